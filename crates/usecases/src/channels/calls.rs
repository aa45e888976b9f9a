//! Counts the calls of a channel. The counters are part of the directory, so there are
//! as many as channels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::statistics::RequestOutcome;
use domain::{ChannelCalls, RejectionReason, Timestamp};

/// Rejections of a channel that are stored per second; the others are only counted.
const MAX_STORED_PER_SECOND: u32 = 10;

/// How long a problem is shown after it was last seen.
const PROBLEM_SHOWN: Duration = Duration::from_mins(10);

/// How often a channel's wrong credentials are logged.
const REFUSED_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// A setting of a channel that may cost it every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelProblem {
    /// Every credential has expired.
    NoLiveCredential,
    /// Signatures are wrong for the configured URL and token.
    SignatureMismatch,
    /// The channel is disabled.
    Disabled,
    /// The sender list does not have the sender.
    SenderNotAllowed,
    /// An integrator that sends its key or signature unasked sent none.
    MissingCredentials,
}

impl ChannelProblem {
    /// All problems, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::NoLiveCredential,
        Self::SignatureMismatch,
        Self::Disabled,
        Self::SenderNotAllowed,
        Self::MissingCredentials,
    ];

    /// Returns the setting that rejections of this reason point to.
    #[must_use]
    pub const fn of(reason: RejectionReason) -> Option<Self> {
        match reason {
            RejectionReason::SignatureMismatch => Some(Self::SignatureMismatch),
            RejectionReason::ChannelDisabled => Some(Self::Disabled),
            RejectionReason::SenderNotAllowed => Some(Self::SenderNotAllowed),
            RejectionReason::InvalidReport | RejectionReason::RefusedByStore => None,
        }
    }

    /// Returns what is wrong and what to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NoLiveCredential => {
                "every credential has expired; add one and update the callback URL"
            }
            Self::SignatureMismatch => {
                "the signature does not fit; check the signing token and the public URL"
            }
            Self::Disabled => {
                "the channel is disabled; enable it or remove its callback URL at the integrator"
            }
            Self::SenderNotAllowed => "the sender is not on the channel's list; check the senders",
            Self::MissingCredentials => {
                "requests came without the header that holds the key or signature; set it at the \
                 integrator, and check that no proxy removes it"
            }
        }
    }
}

/// The counters of one channel.
#[derive(Debug, Default)]
pub(crate) struct CallCounters {
    challenged: AtomicU64,
    refused: AtomicU64,
    rejected: AtomicU64,
    /// In microseconds; 0 for never.
    last_refused_at: AtomicI64,
    /// For statistics: how many requests had each of [`RequestOutcome::ALL`].
    requests: [AtomicU64; RequestOutcome::ALL.len()],
    /// Not locked by reports that are recorded.
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    /// Start of the second that `stored` counts.
    second: Option<Instant>,
    stored: u32,
    omitted: u64,
    /// For each of [`ChannelProblem::ALL`]: how often, and when last.
    problems: [Option<(u64, Instant)>; ChannelProblem::ALL.len()],
    refused_unlogged: u64,
    refused_logged: Option<Instant>,
}

impl CallCounters {
    /// Counts a request with valid credentials.
    pub(crate) fn authenticated(&self) {
        self.count(RequestOutcome::Authenticated);
    }

    /// Counts a request without credentials.
    pub(crate) fn challenged(&self) {
        self.count(RequestOutcome::Challenged);
        self.challenged.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request with wrong credentials.
    pub(crate) fn refused(&self, now: Timestamp) {
        self.count(RequestOutcome::Refused);
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.last_refused_at
            .fetch_max(now.unix_micros(), Ordering::Relaxed);
    }

    /// Counts a rejected report. If it should be stored, returns how many were only counted since
    /// the last stored one.
    pub(crate) fn rejected(&self, reason: RejectionReason, now: Instant) -> Option<u64> {
        self.count(RequestOutcome::Rejected(reason));
        self.rejected.fetch_add(1, Ordering::Relaxed);
        if let Some(problem) = ChannelProblem::of(reason) {
            self.add_problem(problem, now);
        }
        let mut recent = self.recent();
        let second = recent.second;
        if second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            recent.second = Some(now);
            recent.stored = 0;
        }
        if recent.stored < MAX_STORED_PER_SECOND {
            recent.stored += 1;
            Some(std::mem::take(&mut recent.omitted))
        } else {
            recent.omitted += 1;
            None
        }
    }

    fn count(&self, outcome: RequestOutcome) {
        let mut counters = RequestOutcome::ALL.iter().zip(&self.requests);
        if let Some((_, counter)) = counters.find(|(each, _)| **each == outcome) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns and resets how many requests had which outcome.
    pub(crate) fn take_requests(&self) -> BTreeMap<RequestOutcome, i64> {
        let counters = RequestOutcome::ALL.into_iter().zip(&self.requests);
        let counted = counters.filter_map(|(outcome, counter)| {
            let requests = counter.swap(0, Ordering::Relaxed);
            (requests > 0).then(|| (outcome, i64::try_from(requests).unwrap_or(i64::MAX)))
        });
        counted.collect()
    }

    /// Returns whether a rejection at `now` would be stored, and may be logged.
    pub(crate) fn stores_rejections(&self, now: Instant) -> bool {
        let recent = self.recent();
        let second = recent.second;
        recent.stored < MAX_STORED_PER_SECOND
            || second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1))
    }

    /// Counts a report that a setting cost.
    pub(crate) fn add_problem(&self, problem: ChannelProblem, now: Instant) {
        let mut recent = self.recent();
        let slots = ChannelProblem::ALL.iter().zip(&mut recent.problems);
        for (_, slot) in slots.filter(|(each, _)| **each == problem) {
            let count = slot.filter(|(_, last)| now.duration_since(*last) < PROBLEM_SHOWN);
            *slot = Some((count.map_or(1, |(count, _)| count + 1), now));
        }
    }

    /// Resets the problems after the settings changed.
    pub(crate) fn settings_changed(&self) {
        self.recent().problems = Default::default();
    }

    /// Returns the problems of the last ten minutes, and how often each occurred.
    pub(crate) fn problems(&self, now: Instant) -> Vec<(ChannelProblem, u64)> {
        let recent = self.recent();
        let slots = ChannelProblem::ALL.into_iter().zip(recent.problems);
        slots
            .filter_map(|(problem, slot)| {
                let (count, last) = slot?;
                (now.duration_since(last) < PROBLEM_SHOWN).then_some((problem, count))
            })
            .collect()
    }

    /// Returns and resets the counts; `None` if nothing was counted.
    pub(crate) fn take(&self) -> Option<ChannelCalls> {
        let taken = ChannelCalls {
            challenged: self.challenged.swap(0, Ordering::Relaxed),
            refused: self.refused.swap(0, Ordering::Relaxed),
            rejected: self.rejected.swap(0, Ordering::Relaxed),
            last_refused_at: None,
        };
        if taken == ChannelCalls::default() {
            return None;
        }
        let last = self.last_refused_at.load(Ordering::Relaxed);
        let last = Timestamp::from_unix_micros(last).ok();
        Some(ChannelCalls {
            last_refused_at: last.filter(|_| taken.refused > 0),
            ..taken
        })
    }

    /// Adds counts again that could not be stored.
    pub(crate) fn put_back(&self, calls: &ChannelCalls) {
        self.challenged
            .fetch_add(calls.challenged, Ordering::Relaxed);
        self.refused.fetch_add(calls.refused, Ordering::Relaxed);
        self.rejected.fetch_add(calls.rejected, Ordering::Relaxed);
    }

    /// Adds `more` requests with wrong credentials and returns how many to log; `None` if there are
    /// none, or the last line is less than a minute old.
    pub(crate) fn refused_to_log(&self, more: u64, now: Instant) -> Option<u64> {
        let mut recent = self.recent();
        recent.refused_unlogged += more;
        let logged = recent.refused_logged;
        let due = logged.is_none_or(|last| now.duration_since(last) >= REFUSED_LOG_INTERVAL);
        if recent.refused_unlogged == 0 || !due {
            return None;
        }
        recent.refused_logged = Some(now);
        Some(std::mem::take(&mut recent.refused_unlogged))
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejections_beyond_ten_a_second_are_only_counted() {
        let (counters, start) = (CallCounters::default(), Instant::now());
        let reject = |now| counters.rejected(RejectionReason::ChannelDisabled, now);
        for _ in 0..10 {
            assert_eq!(reject(start), Some(0));
        }
        for _ in 0..700 {
            assert_eq!(reject(start), None);
        }
        let later = start + Duration::from_secs(1);
        assert!(!counters.stores_rejections(start) && counters.stores_rejections(later));
        assert_eq!((reject(later), reject(later)), (Some(700), Some(0)));
        assert_eq!(counters.take().map(|calls| calls.rejected), Some(712));
        let found = counters.problems(later);
        assert_eq!(found, [(ChannelProblem::Disabled, 712)]);
        assert_eq!(counters.problems(later + PROBLEM_SHOWN), []);
        let rejected = RequestOutcome::Rejected(RejectionReason::ChannelDisabled);
        assert_eq!(counters.take_requests(), [(rejected, 712)].into());
        assert_eq!(counters.take_requests(), BTreeMap::new());
        counters.settings_changed();
        assert_eq!(counters.problems(later), []);
    }

    #[test]
    fn wrong_credentials_are_logged_once_a_minute() {
        let (counters, start) = (CallCounters::default(), Instant::now());
        assert_eq!(counters.refused_to_log(0, start), None);
        assert_eq!(counters.refused_to_log(3, start), Some(3));
        assert_eq!(counters.refused_to_log(4, start), None);
        assert_eq!(counters.refused_to_log(5, start), None);
        let later = start + REFUSED_LOG_INTERVAL;
        assert_eq!(counters.refused_to_log(0, later), Some(9));
        assert_eq!(
            counters.refused_to_log(0, later + REFUSED_LOG_INTERVAL),
            None
        );
    }

    #[test]
    fn counts_that_were_not_stored_are_added_again() {
        let counters = CallCounters::default();
        assert_eq!(counters.take(), None);
        counters.challenged();
        counters.refused(Timestamp::from_unix_micros(7).unwrap());
        let taken = counters.take().unwrap();
        assert_eq!(counters.take(), None);
        counters.put_back(&taken);
        assert_eq!(counters.take(), Some(taken));
    }
}
