//! Overview: outcomes of the messages of the chosen period, compared with the one before.

use domain::statistics::{Counts, Outcome};

use super::compared::Compared;
use super::range::Selection;
use crate::html::Html;
use crate::number::{count, grouped, percent};
use crate::pages::messages::outcome::OutcomeFilter;
use crate::plot::shares::{Part, shares};

/// A number that leads to its list.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) share: Option<String>,
    /// The change of the count since the time before.
    pub(super) delta: Option<String>,
    pub(super) path: String,
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
pub(super) fn funnel(now: &Counts, compared: &Compared, selection: &Selection) -> Funnel {
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
        figures: figures(now, compared, selection),
        finding,
    }
}

fn of(counts: &Counts, outcome: Outcome) -> u64 {
    unsigned(counts.messages_with(outcome))
}

fn arrived(counts: &Counts) -> u64 {
    of(counts, Outcome::Delivered) + of(counts, Outcome::Read)
}

fn figures(now: &Counts, compared: &Compared, selection: &Selection) -> Vec<Figure> {
    let total = unsigned(now.total_messages());
    let reported = Figure {
        name: "Reported",
        value: grouped(total),
        share: None,
        delta: compared.signed_delta(Counts::total_messages),
        path: selection.messages(&[]),
        tone: "",
        note: None,
    };
    let figure = |name, outcome: OutcomeFilter, tone, note| {
        let of = |counts: &Counts| {
            outcome
                .outcomes()
                .iter()
                .map(|each| of(counts, *each))
                .sum()
        };
        let value = of(now);
        Figure {
            name,
            value: grouped(value),
            share: Some(percent(value, total)),
            delta: compared.delta(of),
            path: selection.messages(&[("outcome", outcome.as_str())]),
            tone,
            note,
        }
    };
    let read_note = Some("at least: read receipts can be off");
    let mut figures = vec![
        reported,
        figure("Arrived", OutcomeFilter::Arrived, "delivered", None),
        figure("Read", OutcomeFilter::Read, "read", read_note),
        figure("Failed", OutcomeFilter::Failed, "failed", None),
        figure(
            "Contradicted",
            OutcomeFilter::Contradicted,
            "contradicted",
            None,
        ),
        figure("Still open", OutcomeFilter::Open, "waiting", None),
    ];
    if of(now, Outcome::Canceled) > 0 {
        figures.push(figure("Canceled", OutcomeFilter::Canceled, "sent", None));
    }
    figures
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
