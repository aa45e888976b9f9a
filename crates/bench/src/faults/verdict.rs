//! What a scenario found: the acknowledged reports compared with the stored ones.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::DeliveryStatus;

use super::ledger::Ledger;
use super::report::Report;
use super::store::StoredData;
use crate::events::delivery_check::DeliveryCheck;
use crate::table::{count, number};

/// How long Twilio waits for a response, all attempts together.
const CALLER_TIMEOUT: Duration = Duration::from_secs(15);

/// Counts are of different reports, not of requests, unless they say so.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Reports that were answered 204.
    pub acknowledged: usize,
    /// Acknowledged reports that are in the log.
    pub found: usize,
    /// Acknowledged reports that should be in the log and are not.
    pub lost: usize,
    /// Rows of the log with the same report as another row.
    pub doubled: u64,
    /// Requests that were answered with anything but 204.
    pub refused: usize,
    /// Requests that were not answered.
    pub unanswered: usize,
    /// Reports that were not answered but are in the log.
    pub stored_unanswered: usize,
    pub slowest: Duration,
    /// What all subscribers received; `None` without subscribers.
    deliveries: Option<DeliveryCheck>,
    notes: Vec<String>,
    failures: Vec<String>,
    /// Failures that a busy machine may cause.
    late: Vec<String>,
}

impl Verdict {
    pub fn compare(ledger: &Ledger, stored: &StoredData) -> Self {
        Self::compare_except(ledger, stored, &HashSet::new())
    }

    /// Compares, where these reports are known to be gone.
    pub fn compare_except(ledger: &Ledger, stored: &StoredData, gone: &HashSet<Report>) -> Self {
        let acknowledged = ledger.acknowledged();
        let is_stored = |report: &&Report| stored.reports.contains_key(*report);
        let missing = acknowledged.iter().filter(|report| !is_stored(report));
        let unanswered = ledger.unanswered_reports();
        let mut verdict = Self {
            acknowledged: acknowledged.len(),
            found: acknowledged.iter().filter(is_stored).count(),
            lost: missing.filter(|report| !gone.contains(report)).count(),
            doubled: stored.reports.values().map(|times| times - 1).sum(),
            refused: ledger.refused().count(),
            unanswered: ledger.unanswered().count(),
            stored_unanswered: unanswered.iter().filter(is_stored).count(),
            slowest: ledger.slowest(),
            ..Self::default()
        };
        let sent = ledger.sent();
        let reports = stored.reports.keys();
        let unknown = reports.filter(|report| !sent.contains(report)).count();
        verdict.expect(unknown == 0, format!("{unknown} reports were never sent"));
        let wrong = wrong_states(stored);
        verdict.expect(
            wrong == 0,
            format!("{wrong} messages are in another state than their reports say"),
        );
        verdict.expect(!acknowledged.is_empty(), "nothing was acknowledged");
        verdict
    }

    /// Adds a failure unless the condition holds.
    pub fn expect(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.failures.push(otherwise.into());
        }
    }

    /// Adds a failure that a busy machine may cause, such as a delay, unless the condition holds.
    pub fn expect_in_time(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.late.push(otherwise.into());
        }
    }

    /// Turns failures that a busy machine may cause into real ones, or into notes.
    pub fn judge_times(&mut self, strictly: bool) {
        let late = self.late.drain(..);
        if strictly {
            self.failures.extend(late);
        } else {
            self.notes.extend(late.map(|what| format!("late: {what}")));
        }
    }

    /// Expects that no request was refused.
    pub fn expect_none_refused(&mut self) {
        let refused = self.refused;
        self.expect(refused == 0, format!("{refused} requests were refused"));
    }

    /// Expects that every request was answered 204 within `limit`.
    pub fn expect_all_accepted_within(&mut self, limit: Duration) {
        self.expect_none_refused();
        let unanswered = self.unanswered;
        self.expect(
            unanswered == 0,
            format!("{unanswered} requests were not answered"),
        );
        self.expect_responses_within(limit);
    }

    /// Expects that every response arrived before the integrator gives up. One that took longer
    /// than `limit`, as on a busy machine, is noted.
    pub fn expect_responses_within(&mut self, limit: Duration) {
        let slowest = self.slowest;
        self.expect_in_time(
            slowest <= CALLER_TIMEOUT,
            format!("a response took {slowest:.1?}, longer than callers wait"),
        );
        if slowest > limit {
            self.note(format!("slow: {slowest:.1?}, expected within {limit:?}"));
        }
    }

    /// Notes how many reports went to the journal, and expects some.
    pub fn expect_journal_used(&mut self, journaled: f64) {
        self.note(format!("{journaled} went to the journal"));
        self.expect(journaled > 0.0, "the journal was not used");
    }

    /// Adds what another subscriber received.
    pub fn add_deliveries(&mut self, check: DeliveryCheck) {
        let unknown = check.unknown;
        self.expect(
            unknown == 0,
            format!("{unknown} events follow from no report"),
        );
        self.expect(check.events > 0, "there was no event to deliver");
        self.deliveries.get_or_insert_default().add(check);
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Returns whether nothing was lost or doubled, every event was delivered in order, and all
    /// expectations were met.
    pub fn is_good(&self) -> bool {
        let deliveries = self.deliveries.as_ref();
        deliveries.is_none_or(DeliveryCheck::is_good)
            && self.lost == 0
            && self.doubled == 0
            && self.failures.is_empty()
    }

    /// Returns the cells of the scenario's row after scenario and engine.
    pub fn cells(&self) -> [String; 11] {
        let size = |size: usize| count(u64::try_from(size).unwrap_or(u64::MAX));
        let mut result = vec![if self.is_good() { "good" } else { "FAILED" }.to_owned()];
        if self.unanswered > 0 {
            result.push(format!("{} not answered", size(self.unanswered)));
        }
        result.extend(self.failures.iter().chain(&self.notes).cloned());
        let delivered = |field: fn(&DeliveryCheck) -> usize| match &self.deliveries {
            Some(check) => size(field(check)),
            None => number(None),
        };
        [
            size(self.acknowledged),
            size(self.found),
            size(self.lost),
            count(self.doubled),
            size(self.refused),
            format!("{:.2} s", self.slowest.as_secs_f64()),
            delivered(|check| check.events),
            delivered(|check| check.lost),
            delivered(|check| check.out_of_order),
            delivered(|check| check.repeated),
            result.join("; "),
        ]
    }
}

/// Returns the number of messages whose status is not the highest one in the log.
fn wrong_states(stored: &StoredData) -> usize {
    let mut highest: HashMap<&str, Option<i64>> = HashMap::new();
    for report in stored.reports.keys() {
        let status = report.status.parse::<DeliveryStatus>();
        let rank = status.ok().map(|it| it.rank().into());
        let highest = highest.entry(&report.sid).or_default();
        *highest = (*highest).max(rank);
    }
    let states = highest.iter();
    let wrong = states.filter(|(sid, rank)| stored.ranks.get(**sid) != Some(*rank));
    // A message without reports is wrong as well.
    wrong.count() + stored.ranks.len().saturating_sub(highest.len())
}

#[cfg(test)]
mod tests {
    use traffic::integrator::Integrator;

    use super::*;
    use crate::faults::ledger::Exchange;

    fn ledger(statuses: &[Option<u16>]) -> Ledger {
        let exchanges = (0..).zip(statuses).map(|(number, status)| Exchange {
            integrator: Integrator::Twilio,
            stream: 1,
            number,
            sent: Duration::ZERO,
            took: Duration::from_millis(number),
            status: *status,
        });
        Ledger {
            exchanges: exchanges.collect(),
        }
    }

    fn stored(numbers: &[u64]) -> StoredData {
        let mut stored = StoredData::default();
        for number in numbers {
            let report = Report::nth(Integrator::Twilio, 1, *number);
            let status = report.status.parse::<DeliveryStatus>();
            let rank = status.ok().map(|it| it.rank().into());
            let state = stored.ranks.entry(report.sid.clone()).or_default();
            *state = (*state).max(rank);
            *stored.reports.entry(report).or_default() += 1;
        }
        stored
    }

    fn good() -> Verdict {
        Verdict::compare(&ledger(&[Some(204)]), &stored(&[0]))
    }

    #[test]
    fn acknowledged_reports_that_are_not_stored_are_lost() {
        let ledger = ledger(&[Some(204), Some(204), Some(503), None]);
        let verdict = Verdict::compare(&ledger, &stored(&[0, 3]));
        assert_eq!((verdict.acknowledged, verdict.found), (2, 1));
        assert_eq!((verdict.lost, verdict.doubled), (1, 0));
        assert_eq!((verdict.refused, verdict.unanswered), (1, 1));
        assert!(!verdict.is_good());
        let gone = [Report::nth(Integrator::Twilio, 1, 1)].into();
        assert!(Verdict::compare_except(&ledger, &stored(&[0, 3]), &gone).is_good());
    }

    #[test]
    fn doubled_unknown_and_wrongly_summed_reports_fail() {
        let ledger = ledger(&[Some(204), Some(204)]);
        assert!(Verdict::compare(&ledger, &stored(&[0, 1])).is_good());
        assert_eq!(Verdict::compare(&ledger, &stored(&[0, 1, 1])).doubled, 1);
        assert!(!Verdict::compare(&ledger, &stored(&[0, 1, 2])).is_good());
        let mut wrong = stored(&[0, 1]);
        wrong
            .ranks
            .insert(Report::nth(Integrator::Twilio, 1, 0).sid, Some(3));
        assert!(!Verdict::compare(&ledger, &wrong).is_good());
    }

    #[test]
    fn row_contains_failures_and_notes() {
        let mut verdict = good();
        verdict.note("quickly");
        assert_eq!(verdict.cells().last().unwrap(), "good; quickly");
        verdict.expect(false, "wrong");
        assert_eq!(verdict.cells().last().unwrap(), "FAILED; wrong; quickly");
    }

    #[test]
    fn lost_misordered_and_unknown_events_fail_and_repeated_ones_do_not() {
        let with = |change: fn(&mut DeliveryCheck)| {
            let mut check = DeliveryCheck {
                events: 3,
                ..DeliveryCheck::default()
            };
            change(&mut check);
            let mut verdict = good();
            verdict.add_deliveries(check);
            verdict.is_good()
        };
        assert!(with(|check| check.repeated = 2));
        assert!(!with(|check| check.lost = 1));
        assert!(!with(|check| check.out_of_order = 1));
        assert!(!with(|check| check.unknown = 1));
    }

    #[test]
    fn lateness_fails_where_times_are_judged_strictly() {
        for (strictly, result) in [(true, "FAILED; 9 s"), (false, "good; late: 9 s")] {
            let mut verdict = good();
            verdict.expect_in_time(false, "9 s");
            verdict.judge_times(strictly);
            assert_eq!(verdict.cells().last().unwrap(), result);
        }
    }
}
