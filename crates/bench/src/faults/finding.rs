//! What a scenario found: what was acknowledged against what is there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bench::events::told::Told;
use bench::table::number;
use domain::DeliveryStatus;

use crate::ledger::Ledger;
use crate::report::Report;
use crate::store::Kept;

/// How long Twilio waits for an answer, all its tries together.
const GIVES_UP: Duration = Duration::from_secs(15);

/// What a scenario found. Numbers are of different reports, not of requests.
#[derive(Debug, Default)]
pub struct Finding {
    /// Reports that were answered 204.
    pub acknowledged: usize,
    /// Those of them that are in the log.
    pub found: usize,
    /// Those of them that are not, and should be.
    pub lost: usize,
    /// Rows of the log that say what another row says.
    pub doubled: u64,
    /// Requests that were answered with anything but 204.
    pub refused: usize,
    /// Requests that were not answered.
    pub unanswered: usize,
    /// Reports that were not answered and are in the log all the same.
    pub cut_off: usize,
    /// The longest that an answer took.
    pub slowest: Duration,
    /// What subscribers were told, where there are some.
    told: Option<Told>,
    notes: Vec<String>,
    failures: Vec<String>,
    late: Vec<String>,
}

impl Finding {
    /// Compares what was answered with what is there.
    pub fn compare(ledger: &Ledger, kept: &Kept) -> Self {
        Self::compare_without(ledger, kept, &HashSet::new())
    }

    /// The same, when these reports are known to be gone.
    pub fn compare_without(ledger: &Ledger, kept: &Kept, gone: &HashSet<Report>) -> Self {
        let acknowledged = ledger.acknowledged();
        let is_kept = |report: &&Report| kept.reports.contains_key(*report);
        let found = acknowledged.iter().filter(is_kept).count();
        let missing = acknowledged.iter().filter(|report| !is_kept(report));
        let lost = missing.filter(|report| !gone.contains(report)).count();
        let left = ledger.left_unanswered();
        let mut finding = Self {
            cut_off: left.iter().filter(is_kept).count(),
            acknowledged: acknowledged.len(),
            found,
            lost,
            doubled: kept.reports.values().map(|times| times - 1).sum(),
            refused: ledger.refused(),
            unanswered: ledger.unanswered(),
            slowest: ledger.slowest(),
            ..Self::default()
        };
        let sent = ledger.sent();
        let invented = kept.reports.keys().filter(|report| !sent.contains(report));
        let invented = invented.count();
        finding.expect(invented == 0, format!("{invented} reports nobody sent"));
        let misstated = misstated(kept);
        finding.expect(
            misstated == 0,
            format!("{misstated} messages in another state than their reports tell"),
        );
        finding.expect(!acknowledged.is_empty(), "nothing was acknowledged");
        finding
    }

    /// Says that something must hold; `otherwise` is what is wrong if not.
    pub fn expect(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.failures.push(otherwise.into());
        }
    }

    /// The same of something that a busy machine may keep from holding, such as
    /// how long it takes.
    pub fn expect_in_time(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.late.push(otherwise.into());
        }
    }

    /// What was late is a failure where the machine is known, and a note where
    /// it is not.
    pub fn judge_times(&mut self, strictly: bool) {
        let late = self.late.drain(..);
        if strictly {
            self.failures.extend(late);
        } else {
            self.notes.extend(late.map(|what| format!("late: {what}")));
        }
    }

    /// Every request was answered 204, within a time.
    pub fn expect_all_taken_within(&mut self, limit: Duration) {
        let (refused, unanswered) = (self.refused, self.unanswered);
        self.expect(refused == 0, format!("{refused} requests were refused"));
        self.expect(
            unanswered == 0,
            format!("{unanswered} requests were not answered"),
        );
        self.expect_answers_within(limit);
    }

    /// Whatever was answered was answered before the integrator gives up; it is
    /// noted if it took longer than it should, which a busy machine may cause.
    pub fn expect_answers_within(&mut self, limit: Duration) {
        let slowest = self.slowest;
        self.expect_in_time(
            slowest <= GIVES_UP,
            format!("an answer took {slowest:.1?}, when nobody waits any more"),
        );
        if slowest > limit {
            self.note(format!("slow: {slowest:.1?}, expected within {limit:?}"));
        }
    }

    /// What another subscriber was told, and should have been.
    pub fn add_told(&mut self, told: Told) {
        let invented = told.invented;
        self.expect(invented == 0, format!("{invented} events of nothing"));
        self.expect(told.events > 0, "there was nothing to tell");
        self.told.get_or_insert_default().add(told);
    }

    /// Something worth knowing.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Whether nothing was lost or doubled, everything was told in order, and all
    /// expectations were met.
    pub fn is_good(&self) -> bool {
        let told = self.told.as_ref().is_none_or(Told::is_good);
        told && self.lost == 0 && self.doubled == 0 && self.failures.is_empty()
    }

    /// The cells of its row, those for scenario and engine not among them.
    pub fn cells(&self) -> [String; 11] {
        let count = |count: usize| thousands(u64::try_from(count).unwrap_or(u64::MAX));
        let mut words = vec![if self.is_good() { "good" } else { "FAILED" }.to_owned()];
        if self.unanswered > 0 {
            words.push(format!("{} not answered", count(self.unanswered)));
        }
        words.extend(self.failures.iter().cloned());
        words.extend(self.notes.iter().cloned());
        let told = |field: fn(&Told) -> usize| {
            let told = self.told.as_ref().map(field);
            told.map_or_else(|| "–".to_owned(), count)
        };
        [
            count(self.acknowledged),
            count(self.found),
            count(self.lost),
            thousands(self.doubled),
            count(self.refused),
            format!("{:.2} s", self.slowest.as_secs_f64()),
            told(|told| told.events),
            told(|told| told.lost),
            told(|told| told.out_of_order),
            told(|told| told.repeated),
            words.join("; "),
        ]
    }
}

/// Messages whose state is not the highest status that is in the log.
fn misstated(kept: &Kept) -> usize {
    let mut highest: HashMap<&str, Option<i64>> = HashMap::new();
    for report in kept.reports.keys() {
        let rank = DeliveryStatus::from_word(&report.status).map(|status| status.rank().into());
        let highest = highest.entry(&report.sid).or_default();
        *highest = (*highest).max(rank);
    }
    let states = highest.iter();
    let wrong = states.filter(|(sid, rank)| kept.ranks.get(**sid) != Some(*rank));
    // A message without reports is wrong as well.
    wrong.count() + kept.ranks.len().saturating_sub(highest.len())
}

fn thousands(count: u64) -> String {
    if count < 1_000 {
        return count.to_string();
    }
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    number(Some(count as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Entry;

    fn ledger(statuses: &[Option<u16>]) -> Ledger {
        let mut ledger = Ledger::default();
        for (number, status) in (0..).zip(statuses) {
            ledger.entries.push(Entry {
                stream: 1,
                number,
                sent: Duration::ZERO,
                took: Duration::from_millis(number),
                status: *status,
            });
        }
        ledger
    }

    fn kept(numbers: &[u64]) -> Kept {
        let mut kept = Kept::default();
        for number in numbers {
            let report = Report::nth(1, *number);
            let rank = DeliveryStatus::from_word(&report.status).map(|it| it.rank().into());
            let state = kept.ranks.entry(report.sid.clone()).or_default();
            *state = (*state).max(rank);
            *kept.reports.entry(report).or_default() += 1;
        }
        kept
    }

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_lost() {
        let ledger = ledger(&[Some(204), Some(204), Some(503), None]);
        let finding = Finding::compare(&ledger, &kept(&[0, 3]));
        assert_eq!((finding.acknowledged, finding.found), (2, 1));
        assert_eq!((finding.lost, finding.doubled), (1, 0));
        assert_eq!((finding.refused, finding.unanswered), (1, 1));
        assert!(!finding.is_good());
        let gone = [Report::nth(1, 1)].into();
        assert!(Finding::compare_without(&ledger, &kept(&[0, 3]), &gone).is_good());
    }

    #[test]
    fn doubled_invented_and_misstated_reports_are_noticed() {
        let ledger = ledger(&[Some(204), Some(204)]);
        assert!(Finding::compare(&ledger, &kept(&[0, 1])).is_good());
        assert_eq!(Finding::compare(&ledger, &kept(&[0, 1, 1])).doubled, 1);
        assert!(!Finding::compare(&ledger, &kept(&[0, 1, 2])).is_good());
        let mut wrong = kept(&[0, 1]);
        wrong.ranks.insert(Report::nth(1, 0).sid, Some(3));
        assert!(!Finding::compare(&ledger, &wrong).is_good());
    }

    #[test]
    fn the_row_says_what_is_wrong() {
        let mut finding = Finding::compare(&ledger(&[Some(204)]), &kept(&[0]));
        finding.note("quickly");
        assert_eq!(finding.cells().last().unwrap(), "good; quickly");
        finding.expect(false, "wrong");
        assert_eq!(finding.cells().last().unwrap(), "FAILED; wrong; quickly");
    }

    #[test]
    fn an_event_that_was_not_told_or_out_of_order_fails_and_a_repetition_does_not() {
        let good = |told: Told| {
            let mut finding = Finding::compare(&ledger(&[Some(204)]), &kept(&[0]));
            finding.add_told(Told { events: 3, ..told });
            finding.is_good()
        };
        let told = Told::default();
        assert!(good(Told {
            repeated: 2,
            ..told
        }));
        assert!(!good(Told { lost: 1, ..told }));
        assert!(!good(Told {
            out_of_order: 1,
            ..told
        }));
        assert!(!good(Told {
            invented: 1,
            ..told
        }));
    }

    #[test]
    fn what_is_late_fails_where_times_are_judged_strictly() {
        for (strictly, words) in [(true, "FAILED; 9 s"), (false, "good; late: 9 s")] {
            let mut finding = Finding::compare(&ledger(&[Some(204)]), &kept(&[0]));
            finding.expect_in_time(false, "9 s");
            finding.judge_times(strictly);
            assert_eq!(finding.cells().last().unwrap(), words);
        }
    }
}
