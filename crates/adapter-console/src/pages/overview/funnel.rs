//! Overview: outcomes of the messages of the chosen period, compared with the one before.

use domain::statistics::{Counts, Outcome};

use super::range::Selection;
use crate::html::Html;
use crate::number::{count, grouped, percent};
use crate::plot::shares::{Part, shares};

/// A change since fewer than these would be a large percentage of little.
const MIN_COMPARED: u64 = 10;

/// A number that leads to its list.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) share: Option<String>,
    /// The change since the time before.
    pub(super) delta: Option<String>,
    pub(super) path: Option<String>,
    pub(super) tone: &'static str,
    pub(super) note: Option<&'static str>,
}

/// The figures and their plot.
pub(super) struct Funnel {
    pub(super) figures: Vec<Figure>,
    pub(super) finding: String,
    pub(super) plot: Html,
}

/// Returns a count, which is never negative.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

/// Returns the funnel of a time, compared with the time before.
pub(super) fn funnel(now: &Counts, before: &Counts, selection: &Selection) -> Funnel {
    let total = unsigned(now.total_messages());
    let finding = if total == 0 {
        "No message was reported".to_owned()
    } else {
        format!(
            "{} of {} arrived, {} failed",
            percent(arrived(now), total),
            count(total, "message", "messages"),
            percent(of(now, Outcome::Failed), total)
        )
    };
    Funnel {
        plot: shares("funnel", &finding, &parts(now)),
        figures: figures(now, before, selection),
        finding,
    }
}

fn of(counts: &Counts, outcome: Outcome) -> u64 {
    unsigned(counts.messages_with(outcome))
}

fn arrived(counts: &Counts) -> u64 {
    of(counts, Outcome::Delivered) + of(counts, Outcome::Read)
}

fn figures(now: &Counts, before: &Counts, selection: &Selection) -> Vec<Figure> {
    let total = unsigned(now.total_messages());
    let reported = Figure {
        name: "Reported",
        value: grouped(total),
        share: None,
        delta: delta(total, unsigned(before.total_messages())),
        path: Some(selection.messages(&[])),
        tone: "",
        note: None,
    };
    let figure = |name, value, before, filter: Option<&[(&str, &str)]>, tone, note| Figure {
        name,
        value: grouped(value),
        share: Some(percent(value, total)),
        delta: delta(value, before),
        path: filter.map(|filter| selection.messages(filter)),
        tone,
        note,
    };
    let outcome = |name, outcome, filter, tone, note| {
        let (now, before) = (of(now, outcome), of(before, outcome));
        figure(name, now, before, filter, tone, note)
    };
    let read = Some(&[("status", "read")][..]);
    let contradicted = Some(&[("contradicted", "1")][..]);
    let failed = Some(&[("status", "undelivered")][..]);
    let read_note = Some("at least: read receipts can be off");
    let (arrived, arrived_before) = (arrived(now), arrived(before));
    vec![
        reported,
        figure("Arrived", arrived, arrived_before, None, "delivered", None),
        outcome("Read", Outcome::Read, read, "read", read_note),
        outcome("Failed", Outcome::Failed, failed, "failed", None),
        outcome(
            "Contradicted",
            Outcome::Contradicted,
            contradicted,
            "contradicted",
            None,
        ),
        outcome("Still open", Outcome::Open, None, "waiting", None),
    ]
}

/// Returns the messages by outcome: every message is in one part.
fn parts(now: &Counts) -> [Part; 6] {
    let parts = [
        ("Read", "read", Outcome::Read),
        ("Delivered", "delivered", Outcome::Delivered),
        ("Still open", "waiting", Outcome::Open),
        ("Canceled", "sent", Outcome::Canceled),
        ("Failed", "failed", Outcome::Failed),
        ("Contradicted", "contradicted", Outcome::Contradicted),
    ];
    parts.map(|(name, tone, outcome)| Part {
        name,
        tone,
        value: of(now, outcome),
        hatched: outcome == Outcome::Contradicted,
    })
}

/// Returns the change of a number in percent; `None` if there was too little before to compare.
pub(super) fn delta(now: u64, before: u64) -> Option<String> {
    if before < MIN_COMPARED {
        return None;
    }
    let (now, before) = (i128::from(now), i128::from(before));
    let percent = (now - before) * 100 / before;
    Some(match percent {
        0 => "= before".to_owned(),
        percent if percent < 0 => format!("↓ {}\u{a0}%", -percent),
        percent if percent > 999 => "↑ over 10-fold".to_owned(),
        percent => format!("↑ {percent}\u{a0}%"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_is_in_percent_or_a_factor() {
        assert_eq!(delta(500, 9), None);
        assert_eq!(delta(110, 100).unwrap(), "↑ 10\u{a0}%");
        assert_eq!(delta(90, 100).unwrap(), "↓ 10\u{a0}%");
        assert_eq!(delta(1_000, 1_000).unwrap(), "= before");
        assert_eq!(delta(5_000, 100).unwrap(), "↑ over 10-fold");
    }
}
