//! Follows the report log and keeps the statistics current.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU16;
use std::sync::Arc;

use domain::crypto::ServerSecret;
use domain::statistics::{MessageSummary, StatusChange};
use domain::{ChannelId, LogPosition, MessageKey, Timestamp};
use ports::statistics::{ProblemMessage, RecipientEntry, StatisticsStep};
use ports::{Calendar, Statistics, StoreError};
use tokio::sync::Mutex;

use super::days::MakeDays;
use super::summaries::{DigestSet, RecentSummaries};
use super::tally::Tally;

/// Reports per step: enough that the cost of a transaction does not matter.
const STEP_REPORTS: NonZeroU16 = NonZeroU16::new(5_000).unwrap();

/// Channels whose last arrival is remembered.
const MAX_REMEMBERED_CHANNELS: usize = 10_000;

/// Keeps the statistics current, a step at a time. Several processes may do so at once.
pub struct StatisticsReader {
    store: Arc<dyn Statistics>,
    calendar: Arc<dyn Calendar>,
    secret: ServerSecret,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None`: ask the store.
    place: Option<Place>,
    recent: RecentSummaries,
    /// When the last report of channels arrived.
    last_arrivals: BTreeMap<ChannelId, Timestamp>,
}

/// Where a reader is in the log.
#[derive(Clone, Copy)]
struct Place {
    /// Up to where the log is counted; `None`: nothing is.
    position: Option<LogPosition>,
    /// The end of the log after this reader had asked the store for the position. Another reader may
    /// have counted a later report of a message whose first one is between the two, since the order
    /// of the log is not always that of recording.
    taken_over_at: LogPosition,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It counted reports, and there may be more.
    More,
    /// Everything in the log is counted.
    UpToDate,
    /// Another process counts.
    LeftToAnother,
    /// Retention has removed reports that were not counted. The step counted what follows them.
    Missed,
}

impl StatisticsReader {
    /// Creates a reader that continues where the statistics of the store end. It hashes recipients
    /// with the server secret.
    #[must_use]
    pub fn new(
        store: Arc<dyn Statistics>,
        calendar: Arc<dyn Calendar>,
        secret: ServerSecret,
    ) -> Self {
        Self {
            store,
            calendar,
            secret,
            state: Mutex::default(),
        }
    }

    /// Counts the next reports of the log.
    pub async fn step(&self) -> Result<Progress, StoreError> {
        let mut state = self.state.lock().await;
        let progress = self.try_step(&mut state).await;
        if !matches!(progress, Ok(Progress::More | Progress::UpToDate)) {
            // What this reader remembers may not be what the store has counted. Another one may
            // have counted a report of a message before the first one, so it starts afresh.
            *state = State::default();
        }
        progress
    }

    async fn try_step(&self, state: &mut State) -> Result<Progress, StoreError> {
        let place = if let Some(place) = state.place {
            place
        } else {
            let days = MakeDays {
                store: &*self.store,
                calendar: &*self.calendar,
            };
            if !days.run().await? {
                return Ok(Progress::LeftToAnother);
            }
            *state.place.insert(Place {
                position: self.store.statistics_position().await?,
                // Asked for afterwards, so that it is behind all that was counted.
                taken_over_at: self.store.log_end().await?,
            })
        };
        let from = place.position;
        let page = self.store.changes(from, STEP_REPORTS).await?;
        if page.changes.is_empty() && !page.pruned {
            // A rebuild may have reset the position that is remembered here.
            let is_known = from == self.store.statistics_position().await?;
            return Ok(if is_known {
                Progress::UpToDate
            } else {
                Progress::LeftToAnother
            });
        }
        let mut changes = page.changes;
        let tests = changes.iter().filter(|change| change.key.sid.is_test());
        let mut recipients: Vec<_> = tests.filter_map(|test| self.recipient(test)).collect();
        changes.retain(|change| !change.key.sid.is_test());
        for (key, summary) in self.unknown(state, &changes, place).await? {
            let digest = state.recent.digest(&key);
            state.recent.insert(digest, summary);
        }
        let channels: BTreeSet<_> = changes.iter().map(|it| &it.key.channel).collect();
        self.read_last_arrivals(state, &channels).await?;
        let mut tally = Tally::after(&*self.calendar, std::mem::take(&mut state.last_arrivals));
        let mut problems = HashMap::new();
        for change in &changes {
            let digest = state.recent.digest(&change.key);
            let before = state.recent.take(digest);
            // The recipient of a message is that of its earliest report.
            let first = before.as_ref().map(MessageSummary::first_reported_at);
            if first.is_none_or(|first| change.arrived_at < first) {
                recipients.extend(self.recipient(change));
            }
            let after = tally.count(before, change);
            if let Some(problem) = ProblemMessage::of(&change.key, &after) {
                problems.insert(digest, problem);
            }
            state.recent.insert(digest, after);
        }
        state.last_arrivals = tally.last_arrivals();
        let arrivals = channels.iter().filter_map(|channel| {
            let at = state.last_arrivals.get(*channel)?;
            Some(((*channel).clone(), *at))
        });
        let step = StatisticsStep {
            position: page.next,
            zone: self.calendar.zone().to_owned(),
            last_arrivals: arrivals.collect(),
            problems: problems.into_values().collect(),
            recipients,
            erasures: page.erasures,
            counts: tally.into_counts(),
        };
        if !self.store.apply_statistics(from, &step).await? {
            return Ok(Progress::LeftToAnother);
        }
        state.place = Some(Place {
            position: Some(page.next),
            ..place
        });
        Ok(match (page.pruned, page.complete) {
            (true, _) => Progress::Missed,
            (false, true) => Progress::UpToDate,
            (false, false) => Progress::More,
        })
    }

    fn recipient(&self, change: &StatusChange) -> Option<RecipientEntry> {
        RecipientEntry::of(
            &change.key,
            &change.recipient,
            change.arrived_at,
            &self.secret,
        )
    }

    /// Reads when the last report of those channels arrived that this reader does not remember.
    async fn read_last_arrivals(
        &self,
        state: &mut State,
        channels: &BTreeSet<&ChannelId>,
    ) -> Result<(), StoreError> {
        if state.last_arrivals.len() > MAX_REMEMBERED_CHANNELS {
            state.last_arrivals.clear();
        }
        let unknown = channels
            .iter()
            .filter(|channel| !state.last_arrivals.contains_key(**channel));
        let unknown: Vec<ChannelId> = unknown.map(|channel| (*channel).clone()).collect();
        if !unknown.is_empty() {
            let mut read = self.store.last_arrivals(&unknown).await?;
            state.last_arrivals.append(&mut read);
        }
        Ok(())
    }

    /// Returns what the store knows of the messages that this reader does not remember.
    ///
    /// The first report of a message has none before it, so the store is not asked, unless another
    /// reader may have counted a later report of the message.
    async fn unknown(
        &self,
        state: &State,
        changes: &[StatusChange],
        place: Place,
    ) -> Result<Vec<(MessageKey, MessageSummary)>, StoreError> {
        let mut seen = DigestSet::default();
        let unknown: Vec<StatusChange> = changes
            .iter()
            .filter(|change| {
                let digest = state.recent.digest(&change.key);
                seen.insert(digest) && !state.recent.contains(digest)
            })
            .filter(|change| change.revision > 1 || change.position <= place.taken_over_at)
            .cloned()
            .collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        self.store.summaries(&unknown).await
    }
}

#[cfg(test)]
mod out_of_order;
#[cfg(test)]
mod tests;
