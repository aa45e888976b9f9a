//! Overview: the error codes of the chosen period.

use domain::error_code::{ErrorExplanation, explain};
use domain::page::{MessageFilter, PageSize};
use domain::statistics::Counts;
use domain::{ErrorCode, IntegratorName};
use usecases::statistics::StatisticsReport;

use super::compared::Compared;
use super::funnel::unsigned;
use super::range::Selection;
use super::reports::coarse_starts;
use crate::console::Console;
use crate::html::Html;
use crate::number::{grouped, percent};
use crate::pages::messages;
use crate::pages::messages::explain::who_must_act;
use crate::plot::sparkline::sparkline;
use crate::visit::Visit;

/// Codes that are shown.
const MAX_CODES: usize = 20;

/// An error code.
pub(super) struct CodeRow {
    pub(super) code: String,
    pub(super) title: Option<&'static str>,
    pub(super) actor: Option<&'static str>,
    pub(super) messages: String,
    pub(super) share: String,
    pub(super) delta: Option<String>,
    pub(super) trend: Html,
    pub(super) path: String,
    /// When its newest message was first reported, and the page of that message.
    pub(super) newest: Option<(Html, String)>,
}

/// Returns the most frequent codes of a time, compared with the time before. `integrator` explains
/// them, if all channels have the same.
pub(super) fn codes(
    report: &StatisticsReport,
    compared: &Compared,
    integrator: Option<&IntegratorName>,
    selection: &Selection,
) -> Vec<CodeRow> {
    let total = unsigned(report.total.total_messages());
    let mut counted: Vec<_> = report.total.errors.iter().collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let starts = coarse_starts(report);
    let row = |(place, (code, count)): (usize, (&ErrorCode, &i64))| {
        let explained: Option<ErrorExplanation> = integrator.map(|name| explain(name, code));
        let count = unsigned(*count);
        let of = |counts: &Counts| counts.errors.get(code).copied().unwrap_or_default();
        let values = starts.iter().map(|(start, end)| {
            let counts = report.intervals.range(*start..*end);
            unsigned(counts.map(|(_, counts)| of(counts)).sum())
        });
        let values: Vec<_> = values.collect();
        let title = format!("Messages with error {code} over time");
        CodeRow {
            code: code.to_string(),
            title: explained.map(|explained| explained.title),
            actor: explained.as_ref().map(who_must_act),
            messages: grouped(count),
            share: percent(count, total),
            delta: compared.signed_delta(of),
            trend: sparkline(&format!("code-{place}"), &title, "failed", &values),
            path: selection.messages(&[("code", code.as_str())]),
            newest: None,
        }
    };
    counted
        .into_iter()
        .take(MAX_CODES)
        .enumerate()
        .map(row)
        .collect()
}

/// Adds the newest message of each code, if one page of the list has it. Without the store the
/// codes are shown without them.
pub(super) async fn with_newest(
    console: &Console,
    visit: &Visit,
    selection: &Selection,
    mut rows: Vec<CodeRow>,
) -> Vec<CodeRow> {
    for row in &mut rows {
        let filter = MessageFilter {
            channel: selection.query.channel.clone(),
            error_code: ErrorCode::parse(&row.code).ok(),
            since: Some(selection.query.from),
            until: Some(selection.query.until),
            ..MessageFilter::default()
        };
        let newest = console.state.list.run(&filter, None, PageSize::ONE);
        let Ok(newest) = console.run(newest).await else {
            return rows;
        };
        row.newest = newest.items.first().map(|message| {
            let at = visit.times.relative(message.parties.first_reported_at);
            (at, messages::path(&message.key))
        });
    }
    rows
}
