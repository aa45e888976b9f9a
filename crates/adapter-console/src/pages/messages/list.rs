//! The list of messages.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::error_code::explain;
use domain::page::{MessageCursor, Page as ListPage, PageSize};
use domain::{ChannelId, DeliveryStatus, IntegratorName, Message, Timestamp};
use ports::{ChannelWithCredentials, StoreError};

use super::filter::{Filter, Range, cursor_text};
use super::outcome::OutcomeFilter;
use crate::console::{ChannelNames, Console, names};
use crate::error::PageError;
use crate::fields::Fields;
use crate::html::Html;
use crate::page::{self, Choice, Page, Section};
use crate::pages::time_form::TimeForm;
use crate::pages::views::ViewsMenu;
use crate::status;
use crate::visit::Visit;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The statuses that the list offers.
const OFFERED: [DeliveryStatus; 6] = [
    DeliveryStatus::Queued,
    DeliveryStatus::Sent,
    DeliveryStatus::Delivered,
    DeliveryStatus::Read,
    DeliveryStatus::Undelivered,
    DeliveryStatus::Failed,
];

/// What stands where the messages would.
pub(crate) enum Listed {
    /// There are messages.
    Rows(Vec<Row>),
    /// None passes the filter.
    NoMatch,
    /// Nothing was ever reported.
    NothingYet,
    /// Nothing was ever reported on the channel of the filter.
    NothingOnChannel { name: String, path: String },
    /// The store failed.
    Failed,
}

/// A message in the list.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) sid: String,
    pub(crate) channel: String,
    pub(crate) channel_path: String,
    pub(crate) recipient: String,
    pub(crate) status: Html,
    pub(crate) error: Option<RowError>,
    pub(crate) arrived: Html,
    pub(crate) changed: Html,
}

/// The error of a message in the list.
pub(crate) struct RowError {
    pub(crate) code: String,
    pub(crate) title: Option<&'static str>,
    pub(crate) path: String,
}

/// A link that changes one part of the filter.
pub(crate) struct Pill {
    pub(crate) path: String,
    pub(crate) word: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) shape: Option<&'static str>,
    pub(crate) chosen: bool,
}

#[derive(Template)]
#[template(path = "messages/list.html")]
struct MessagesPage {
    page: Page,
    listed: Listed,
    pills: Vec<Pill>,
    channels: Vec<Choice>,
    ranges: Vec<Choice>,
    code: String,
    recipient: Option<String>,
    without_recipient: String,
    /// The parts of the filter that the form of filters keeps.
    kept: Vec<(&'static str, String)>,
    csv: String,
    next: Option<String>,
    /// How far back the page was searched, if it ended before it was full.
    searched_to: Option<Html>,
    first: Option<String>,
    narrow: bool,
    /// The times of the filter, if it has no range.
    times: Option<Html>,
    time_form: TimeForm,
    views: ViewsMenu,
}

/// Shows a page of messages.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let filter = Filter::parse(&visit.query, &console.state.recipients, &visit.times)?;
    let channels = console.channels().await.unwrap_or_default();
    let size = PageSize::default();
    let list = console
        .state
        .list
        .run(&filter.messages, filter.after.as_ref(), size);
    let found = console.run(list).await;
    let status = match &found {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let page = found.as_ref().ok();
    let next = page.and_then(|page| page.next.as_ref());
    let is_short = page.is_some_and(|page| page.items.len() < usize::from(size.get()));
    let searched_to = next.filter(|_| is_short);
    let searched_to = searched_to.map(|end| visit.times.clock(end.first_reported_at));
    let query = &visit.query;
    let next = next.map(|next| list_path(&query.with("after", Some(&cursor_text(next)))));
    let unpaged = query.with("after", None);
    let csv = format!("/console/messages.csv{}", unpaged.query());
    let chosen = (filter.messages.since, filter.messages.until);
    let now = visit.times.now();
    let time_form = TimeForm::new(
        &visit,
        "/console/messages",
        &["status", "outcome", "contradicted", "to", "channel", "code"],
        filter.range.is_none().then_some(chosen),
        (
            filter
                .messages
                .since
                .unwrap_or(now.plus_micros(-DAY_MICROS)),
            now,
        ),
    );
    let keep = |name| Some((name, unpaged.get(name)?.to_owned()));
    let template = MessagesPage {
        listed: listed(&visit, &filter, &channels, found),
        pills: pills(&unpaged, filter.outcome),
        channels: channel_choices(&channels, filter.messages.channel.as_ref()),
        ranges: range_choices(filter.range),
        code: unpaged.get("code").unwrap_or_default().to_owned(),
        recipient: filter.messages.recipient.as_ref().map(ToString::to_string),
        without_recipient: list_path(&unpaged.with("to", None)),
        kept: ["status", "outcome", "contradicted", "to", "since", "until"]
            .into_iter()
            .filter_map(keep)
            .collect(),
        csv,
        next,
        searched_to,
        first: filter.after.is_some().then(|| list_path(&unpaged)),
        narrow: filter.is_narrow(),
        times: filter.range.is_none().then(|| times(&visit, &filter)),
        time_form,
        views: ViewsMenu::read(&console, &visit, "messages").await,
        page: visit.page("Messages", Section::Messages),
    };
    page::show_as(status, &template)
}

/// Says which times the list is about.
fn times(visit: &Visit, filter: &Filter) -> Html {
    let time = |time: Option<Timestamp>| {
        time.map_or_else(|| Html::trusted("…"), |time| visit.times.minute(time))
    };
    let (since, until) = (time(filter.messages.since), time(filter.messages.until));
    Html::trusted(format!("{since} – {until}"))
}

fn list_path(query: &Fields) -> String {
    format!("/console/messages{}", query.query())
}

fn listed(
    visit: &Visit,
    filter: &Filter,
    channels: &[ChannelWithCredentials],
    found: Result<ListPage<Message, MessageCursor>, StoreError>,
) -> Listed {
    let Ok(found) = found else {
        return Listed::Failed;
    };
    if !found.items.is_empty() {
        let names = names(channels);
        let row = |message: &Message| row(visit, message, &names, integrator(channels, message));
        return Listed::Rows(found.items.iter().map(row).collect());
    }
    let chosen = filter.messages.channel.as_ref();
    let chosen = chosen.and_then(|id| channels.iter().find(|each| each.channel.id == *id));
    if let Some(found) = chosen
        && found
            .credentials
            .iter()
            .all(|each| each.last_used_at.is_none())
        && filter.after.is_none()
    {
        return Listed::NothingOnChannel {
            name: found.channel.name.to_string(),
            path: crate::pages::channels::path(&found.channel.id),
        };
    }
    let used = channels.iter().flat_map(|each| &each.credentials);
    let ever_used = used.filter(|each| each.last_used_at.is_some()).count() > 0;
    if filter.is_narrow() || filter.after.is_some() || ever_used {
        Listed::NoMatch
    } else {
        Listed::NothingYet
    }
}

/// Returns the integrator of a message's channel; `None` if the channel was removed.
pub(crate) fn integrator<'a>(
    channels: &'a [ChannelWithCredentials],
    message: &Message,
) -> Option<&'a IntegratorName> {
    let id = &message.key.channel;
    let found = channels.iter().find(|each| each.channel.id == *id);
    found.map(|each| &each.channel.integrator)
}

fn row(
    visit: &Visit,
    message: &Message,
    names: &ChannelNames,
    integrator: Option<&IntegratorName>,
) -> Row {
    let id = &message.key.channel;
    let name = names.get(id);
    let error = message.state.error().map(|error| {
        let code = &error.error.code;
        RowError {
            code: code.to_string(),
            title: integrator.map(|integrator| explain(integrator, code).title),
            path: list_path(&Fields::default().with("code", Some(code.as_str()))),
        }
    });
    Row {
        path: super::path(&message.key),
        sid: message.key.sid.to_string(),
        channel: name.map_or_else(|| id.to_string(), ToString::to_string),
        channel_path: format!("/console/channels/{id}"),
        recipient: message.parties.recipient.to_string(),
        status: status::of_message(message),
        error,
        arrived: visit.times.clock(message.parties.first_reported_at),
        changed: visit.times.relative(message.last_reported_at),
    }
}

/// Returns the filters by status; an outcome that was chosen on another page is one of them.
fn pills(query: &Fields, outcome: Option<OutcomeFilter>) -> Vec<Pill> {
    let plain = query.with("status", None).with("contradicted", None);
    let plain = plain.with("outcome", None);
    let contradicted = query.ticked("contradicted");
    let chosen = query.get("status");
    let all = Pill {
        path: list_path(&plain),
        word: "All",
        tone: "",
        shape: None,
        chosen: chosen.is_none() && !contradicted && outcome.is_none(),
    };
    let of_status = OFFERED.into_iter().map(|status| {
        let look = status::look(status);
        Pill {
            path: list_path(&plain.with("status", Some(status.as_str()))),
            word: look.word,
            tone: look.tone,
            shape: Some(look.shape),
            chosen: outcome.is_none() && chosen == Some(status.as_str()),
        }
    });
    let look = status::CONTRADICTED;
    let contradicted = Pill {
        path: list_path(&plain.with("contradicted", Some("1"))),
        word: look.word,
        tone: look.tone,
        shape: Some(look.shape),
        chosen: outcome.is_none() && contradicted,
    };
    let of_outcome = outcome.map(|outcome| {
        let look = outcome.look();
        Pill {
            path: list_path(&plain.with("outcome", Some(outcome.as_str()))),
            word: look.word,
            tone: look.tone,
            shape: Some(look.shape),
            chosen: true,
        }
    });
    [all]
        .into_iter()
        .chain(of_outcome)
        .chain(of_status)
        .chain([contradicted])
        .collect()
}

/// Returns the channels to choose from.
pub(crate) fn channel_choices(
    channels: &[ChannelWithCredentials],
    chosen: Option<&ChannelId>,
) -> Vec<Choice> {
    let choice = |each: &ChannelWithCredentials| Choice {
        value: each.channel.id.to_string(),
        word: each.channel.name.to_string(),
        chosen: chosen == Some(&each.channel.id),
    };
    channels.iter().map(choice).collect()
}

fn range_choices(chosen: Option<Range>) -> Vec<Choice> {
    let choice = |range: Range| Choice {
        value: range.as_str().to_owned(),
        word: range.words().to_owned(),
        chosen: chosen == Some(range),
    };
    Range::ALL.into_iter().map(choice).collect()
}
