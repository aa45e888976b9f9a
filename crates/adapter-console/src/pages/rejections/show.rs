//! Rejected reports: grouped by channel and reason, with what would be right, and one by one.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::page::PageSize;
use domain::{Address, Channel, ChannelId, RejectionReason, Timestamp};
use ports::ChannelWithCredentials;
use ports::rejections::StoredRejection;

use crate::console::{ChannelNames, Console, names};
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::html::Html;
use crate::notice;
use crate::number::grouped;
use crate::page::{self, Choice, Page, Section};
use crate::pages::messages::list::channel_choices;
use crate::visit::Visit;

/// Rejections of one channel for one reason.
struct Group {
    channel: String,
    channel_path: String,
    title: &'static str,
    advice: &'static str,
    count: String,
    newest: Html,
    details: Vec<String>,
    /// What is configured now.
    configured: Option<String>,
    fixes: Vec<Fix>,
}

/// How the cause is removed.
enum Fix {
    /// Where it is removed.
    Link { path: String, word: &'static str },
    /// One click removes it.
    Post {
        path: String,
        /// The rejection that the change is taken from.
        rejection: Option<i64>,
        word: String,
    },
}

/// One rejection.
struct Row {
    arrived: Html,
    channel: String,
    channel_path: String,
    title: &'static str,
    detail: String,
    fields: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "rejections.html")]
struct RejectionsPage {
    page: Page,
    groups: Vec<Group>,
    rows: Vec<Row>,
    channels: Vec<Choice>,
    next: Option<String>,
    first: Option<String>,
    /// Whether the groups are of the newest rejections only.
    truncated: bool,
    narrow: bool,
    csv: String,
}

/// How many details of a group are shown.
const MAX_DETAILS: usize = 3;

/// How many senders of a group can be added.
const MAX_SENDERS: usize = 3;

/// Shows rejections.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let channel = channel(&visit.query)?;
    let after = visit.query.get("after").map(str::parse::<i64>).transpose();
    let invalid = |_| PageError::Invalid("this page of the list is not valid".to_owned());
    let after = after.map_err(invalid)?;
    let channels = console.channels().await?;
    let rejections = &console.state.rejections;
    let page = rejections.run(channel.as_ref(), after, PageSize::default());
    let page = console.run(page).await?;
    let newest = rejections.run(channel.as_ref(), None, PageSize::MAX);
    let newest = console.run(newest).await?;
    let names = names(&channels);
    let unpaged = visit.query.with("after", None);
    let path = |query: &Fields| format!("/console/rejections{}", query.query());
    let next = page
        .next
        .map(|next| path(&unpaged.with("after", Some(&next.to_string()))));
    page::show(&RejectionsPage {
        groups: groups(&console, &visit, &newest.items, &channels),
        rows: page
            .items
            .iter()
            .map(|each| row(&visit, each, &names))
            .collect(),
        channels: channel_choices(&channels, channel.as_ref()),
        next,
        first: after.is_some().then(|| path(&unpaged)),
        csv: format!("/console/rejections.csv{}", unpaged.query()),
        truncated: newest.next.is_some(),
        narrow: channel.is_some(),
        page: visit.page("Rejections", Section::Rejections),
    })
}

/// Returns the channel of a query.
pub(super) fn channel(query: &Fields) -> Result<Option<ChannelId>, PageError> {
    let channel = query.get("channel").map(ChannelId::parse).transpose();
    channel.map_err(|error| PageError::Invalid(error.to_string()))
}

fn name(id: &ChannelId, names: &ChannelNames) -> String {
    names
        .get(id)
        .map_or_else(|| id.to_string(), ToString::to_string)
}

/// Rejections of one channel for one reason, as they are counted.
struct Counted<'a> {
    count: u64,
    newest: Timestamp,
    details: Vec<&'a str>,
    rejections: Vec<&'a StoredRejection>,
}

/// Groups rejections by channel and reason; the group with the newest one comes first.
fn groups(
    console: &Console,
    visit: &Visit,
    newest: &[StoredRejection],
    channels: &[ChannelWithCredentials],
) -> Vec<Group> {
    let names = names(channels);
    let mut order = Vec::new();
    let mut counted: HashMap<(&ChannelId, RejectionReason), Counted<'_>> = HashMap::new();
    for each in newest {
        let rejection = &each.rejection;
        let key = (&rejection.channel, rejection.reason);
        let group = counted.entry(key).or_insert_with(|| {
            order.push(key);
            Counted {
                count: 0,
                newest: rejection.arrived_at,
                details: Vec::new(),
                rejections: Vec::new(),
            }
        });
        group.count += 1;
        group.newest = group.newest.max(rejection.arrived_at);
        group.rejections.push(each);
        let detail = rejection.detail.as_str();
        if group.details.len() < MAX_DETAILS && !group.details.contains(&detail) {
            group.details.push(detail);
        }
    }
    let group = |key: (&ChannelId, RejectionReason)| {
        let counted = counted.get(&key)?;
        let (id, reason) = key;
        let details = counted.details.iter().map(|&detail| detail.to_owned());
        let known = channels.iter().find(|each| each.channel.id == *id);
        let known = known.map(|found| &found.channel);
        let changeable = known.filter(|_| visit.viewer.may(Permission::Change));
        let fixes = changeable.map(|channel| fixes(console, reason, channel, &counted.rejections));
        Some(Group {
            channel: name(id, &names),
            channel_path: crate::pages::channels::path(id),
            title: title(reason),
            advice: advice(reason),
            count: grouped(counted.count),
            newest: visit.times.relative(counted.newest),
            details: details.collect(),
            configured: known.and_then(|channel| configured(console, reason, channel)),
            fixes: fixes.unwrap_or_default(),
        })
    };
    order.into_iter().filter_map(group).collect()
}

/// Returns what the channel has configured where the reason points to.
fn configured(console: &Console, reason: RejectionReason, channel: &Channel) -> Option<String> {
    match reason {
        RejectionReason::SignatureMismatch => {
            let url = console.state.channels.callback_url(channel).ok()?;
            let url = url.split('#').next().unwrap_or_default();
            Some(format!("The configured URL is {url}"))
        }
        RejectionReason::SenderNotAllowed => {
            let senders: Vec<_> = channel.senders.iter().map(ToString::to_string).collect();
            Some(match senders.as_slice() {
                [] => "The channel allows any sender now.".to_owned(),
                senders => format!("Allowed now: {}", senders.join(", ")),
            })
        }
        RejectionReason::ChannelDisabled => {
            let word = if channel.enabled { "on" } else { "off" };
            Some(format!("The channel is {word} now."))
        }
        RejectionReason::InvalidReport | RejectionReason::RefusedByStore => None,
    }
}

/// Adds the sender of a rejection to its channel.
pub(crate) async fn add_sender(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = form.0.get("rejection").and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| PageError::Invalid("choose a rejection".to_owned()))?;
    let (rejection, sender) = console.run(console.state.allow_sender.run(id)).await?;
    console.channels_changed().await;
    let channel = rejection.channel.as_str();
    let details = format!("senders: {sender} added, which was rejected");
    console
        .audit(&visit, AuditAction::ChannelChange, channel, &details)
        .await;
    let query = Fields::default()
        .with("channel", Some(channel))
        .with(notice::PARAMETER, Some("sender-added"));
    Ok(page::redirect(&format!(
        "/console/rejections{}",
        query.query()
    )))
}

fn row(visit: &Visit, each: &StoredRejection, names: &ChannelNames) -> Row {
    let rejection = &each.rejection;
    let fields = rejection.fields.iter();
    Row {
        arrived: visit.times.clock(rejection.arrived_at),
        channel: name(&rejection.channel, names),
        channel_path: crate::pages::channels::path(&rejection.channel),
        title: title(rejection.reason),
        detail: rejection.detail.clone(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

const fn title(reason: RejectionReason) -> &'static str {
    match reason {
        RejectionReason::SignatureMismatch => "Wrong signature",
        RejectionReason::ChannelDisabled => "Channel is off",
        RejectionReason::InvalidReport => "Invalid report",
        RejectionReason::SenderNotAllowed => "Sender not allowed",
        RejectionReason::RefusedByStore => "Refused by the database",
    }
}

/// Says what would be right.
const fn advice(reason: RejectionReason) -> &'static str {
    match reason {
        RejectionReason::SignatureMismatch => {
            "The signature token must be the integrator's auth token, and the public URL exactly \
             the one that is set at the integrator."
        }
        RejectionReason::ChannelDisabled => {
            "Switch the channel on to receive its reports. The integrator does not send the \
             refused ones again."
        }
        RejectionReason::InvalidReport => {
            "The integrator sent a report without a required field, or with a value that no report \
             can have. Show the fields below to the integrator."
        }
        RejectionReason::SenderNotAllowed => {
            "Add the sender to the channel if it belongs to it. Otherwise another account uses \
             this callback URL."
        }
        RejectionReason::RefusedByStore => {
            "The database cannot store this report. The server log has the details."
        }
    }
}

fn fixes(
    console: &Console,
    reason: RejectionReason,
    channel: &Channel,
    rejections: &[&StoredRejection],
) -> Vec<Fix> {
    let path = crate::pages::channels::path(&channel.id);
    match reason {
        RejectionReason::SignatureMismatch => vec![
            Fix::Link {
                path: format!("{path}/edit#signing_token"),
                word: "Change the token",
            },
            Fix::Link {
                path: format!("{path}/edit#public_url"),
                word: "Change the URL",
            },
        ],
        RejectionReason::ChannelDisabled if !channel.enabled => vec![Fix::Post {
            path: format!("{path}/enable"),
            rejection: None,
            word: "Switch on".to_owned(),
        }],
        RejectionReason::SenderNotAllowed => senders(console, channel, rejections),
        RejectionReason::ChannelDisabled
        | RejectionReason::InvalidReport
        | RejectionReason::RefusedByStore => Vec::new(),
    }
}

/// Returns a button for each sender that is still not allowed; a link to the form if the
/// rejections do not contain the sender.
fn senders(console: &Console, channel: &Channel, rejections: &[&StoredRejection]) -> Vec<Fix> {
    let mut found: Vec<(Address, i64)> = Vec::new();
    let mut is_unknown = false;
    for stored in rejections {
        match console.state.allow_sender.sender_of(&stored.rejection) {
            Some(sender) if channel.allows(Some(&sender)) => {}
            Some(sender) => {
                if found.iter().all(|(known, _)| *known != sender) {
                    found.push((sender, stored.id));
                }
            }
            None => is_unknown = true,
        }
    }
    if found.is_empty() && is_unknown {
        return vec![Fix::Link {
            path: format!("{}/edit#senders", crate::pages::channels::path(&channel.id)),
            word: "Add the sender",
        }];
    }
    let fix = |(sender, id): (Address, i64)| Fix::Post {
        path: "/console/rejections/add-sender".to_owned(),
        rejection: Some(id),
        word: format!("Add {sender}"),
    };
    found.into_iter().take(MAX_SENDERS).map(fix).collect()
}
