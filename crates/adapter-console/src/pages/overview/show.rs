//! The page of the overview.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::IntegratorName;
use ports::ChannelWithCredentials;

use super::attention::{self, Attention};
use super::codes::{self, CodeRow};
use super::compared::Compared;
use super::durations::{Durations, Measured, durations};
use super::funnel::{self, Funnel};
use super::range::{Range, Selection};
use super::reports::{self, Reports, SERIES};
use crate::console::Console;
use crate::error::PageError;
use crate::fields::Fields;
use crate::number::count;
use crate::page::{self, Choice, Page, Section};
use crate::pages::messages::list::channel_choices;
use crate::pages::time_form::TimeForm;
use crate::pages::views::ViewsMenu;
use crate::plot::bars::Series;
use crate::time::duration;
use crate::visit::Visit;

/// A lag of the counts up to this is not worth a word.
const SMALL_LAG_SECONDS: u64 = 15;

/// The durations, with their headings.
const MEASURED: [(&str, Measured); 2] = [
    (
        "Time to delivered",
        Measured {
            word: "delivered",
            of: |counts| &counts.time_to_delivered,
        },
    ),
    (
        "Time to read",
        Measured {
            word: "read",
            of: |counts| &counts.time_to_read,
        },
    ),
];

#[derive(Template)]
#[template(path = "overview/show.html")]
struct OverviewPage {
    page: Page,
    attention: Attention,
    ranges: Vec<(Choice, String)>,
    /// The words for the time, and for what it is compared with.
    words: (String, String),
    time_form: TimeForm,
    views: ViewsMenu,
    /// The parts of the query that the form of channels keeps.
    kept: Vec<(&'static str, String)>,
    channels: Vec<Choice>,
    funnel: Funnel,
    reports: Reports,
    series: [Series; 5],
    /// The headings, and what they are about if there is any.
    durations: Vec<(&'static str, Option<Durations>)>,
    codes: Vec<CodeRow>,
    /// How many codes there are: "84 codes".
    codes_counted: String,
    codes_csv: String,
    csv: String,
    /// By how much the counts lag the reports.
    lag: Option<String>,
}

/// Shows the overview.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let mut selection = Selection::parse(&visit.query, &visit.times)?;
    let statistics = &console.state.statistics;
    let report = console.run(statistics.read(&selection.query)).await?;
    // Long times begin with a day. The lists of the numbers begin when the counts do.
    selection.query.from = report.from;
    let compared = Compared::read(&console, &selection, &report, visit.times.now()).await?;
    let channels = console.channels().await?;
    let attention = attention::attention(&console, &visit, &channels).await?;
    let total = &report.total;
    let lag = report.lag_seconds.filter(|lag| *lag > SMALL_LAG_SECONDS);
    let query = &visit.query;
    let (from, until) = (selection.query.from, selection.query.until);
    let codes = codes::codes(&report, &compared, integrator(&channels), &selection);
    let codes = codes::with_newest(&console, &visit, &selection, codes).await;
    let template = OverviewPage {
        ranges: ranges(query, selection.range),
        words: words(&selection, &compared),
        time_form: TimeForm::new(
            &visit,
            "/console/",
            &["channel"],
            selection
                .range
                .is_none()
                .then_some((Some(from), Some(until))),
            (from, until),
        ),
        views: ViewsMenu::read(&console, &visit, "").await,
        kept: ["range", "since", "until"]
            .into_iter()
            .filter_map(|name| Some((name, query.get(name)?.to_owned())))
            .collect(),
        channels: channel_choices(&channels, selection.query.channel.as_ref()),
        funnel: funnel::funnel(total, &compared, &selection),
        reports: reports::reports(&report, &visit.times),
        series: SERIES,
        durations: MEASURED
            .iter()
            .map(|(heading, measured)| (*heading, durations(measured, &report, &visit.times)))
            .collect(),
        codes,
        codes_counted: count(
            u64::try_from(report.total.errors.len()).unwrap_or(u64::MAX),
            "code",
            "codes",
        ),
        codes_csv: format!("/console/codes.csv{}", query.query()),
        csv: format!("/console/overview.csv{}", query.query()),
        lag: lag.map(|lag| {
            let seconds = i64::try_from(lag).unwrap_or(i64::MAX);
            duration(seconds.saturating_mul(1_000_000))
        }),
        attention,
        page: visit.page("Overview", Section::Overview),
    };
    page::show(&template)
}

fn words(selection: &Selection, compared: &Compared) -> (String, String) {
    let (time, before) = selection.words();
    (time, compared.words(&before))
}

/// Returns the integrator that all channels have; `None` if they differ.
pub(super) fn integrator(channels: &[ChannelWithCredentials]) -> Option<&IntegratorName> {
    let first = &channels.first()?.channel.integrator;
    let same = |each: &ChannelWithCredentials| each.channel.integrator == *first;
    channels.iter().all(same).then_some(first)
}

fn ranges(query: &Fields, chosen: Option<Range>) -> Vec<(Choice, String)> {
    let query = query.with("since", None).with("until", None);
    let choice = |range: Range| {
        let query = query.with("range", Some(range.as_str()));
        let choice = Choice {
            value: range.as_str().to_owned(),
            word: range.words().to_owned(),
            chosen: Some(range) == chosen,
        };
        (choice, format!("/console/{}", query.query()))
    };
    Range::ALL.into_iter().map(choice).collect()
}
