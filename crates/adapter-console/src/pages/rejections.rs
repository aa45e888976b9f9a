//! Rejected reports: grouped by channel and reason, with what would be right, and one by one.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::access::Permission;
use domain::page::PageSize;
use domain::{ChannelId, RejectionReason, Timestamp};
use ports::rejections::StoredRejection;

use super::messages::list::channel_choices;
use crate::console::{ChannelNames, Console, names};
use crate::error::PageError;
use crate::html::Html;
use crate::number::grouped;
use crate::page::{self, Choice, Page, Section};
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
    fix: Option<Fix>,
}

/// Where the cause is removed.
struct Fix {
    path: String,
    word: &'static str,
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
}

/// How many details of a group are shown.
const MAX_DETAILS: usize = 3;

/// Shows rejections.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let channel = visit.query.get("channel").map(ChannelId::parse).transpose();
    let channel = channel.map_err(|error| PageError::Invalid(error.to_string()))?;
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
    let may_change = visit.viewer.may(Permission::Change);
    let unpaged = visit.query.with("after", None);
    let path = |query: &crate::fields::Fields| format!("/console/rejections{}", query.query());
    let next = page
        .next
        .map(|next| path(&unpaged.with("after", Some(&next.to_string()))));
    page::show(&RejectionsPage {
        groups: groups(&visit, &newest.items, &names, may_change),
        rows: page
            .items
            .iter()
            .map(|each| row(&visit, each, &names))
            .collect(),
        channels: channel_choices(&channels, channel.as_ref()),
        next,
        first: after.is_some().then(|| path(&unpaged)),
        truncated: newest.next.is_some(),
        narrow: channel.is_some(),
        page: visit.page("Rejections", Section::Rejections),
    })
}

fn name(id: &ChannelId, names: &ChannelNames) -> String {
    names
        .get(id)
        .map_or_else(|| id.to_string(), ToString::to_string)
}

/// Groups rejections by channel and reason; the group with the newest one comes first.
fn groups(
    visit: &Visit,
    newest: &[StoredRejection],
    names: &ChannelNames,
    may_change: bool,
) -> Vec<Group> {
    struct Counted<'a> {
        count: u64,
        newest: Timestamp,
        details: Vec<&'a str>,
    }
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
            }
        });
        group.count += 1;
        group.newest = group.newest.max(rejection.arrived_at);
        let detail = rejection.detail.as_str();
        if group.details.len() < MAX_DETAILS && !group.details.contains(&detail) {
            group.details.push(detail);
        }
    }
    let group = |key: (&ChannelId, RejectionReason)| {
        let counted = counted.get(&key)?;
        let (id, reason) = key;
        let details = counted.details.iter().map(|&detail| detail.to_owned());
        let known = names.contains_key(id);
        Some(Group {
            channel: name(id, names),
            channel_path: super::channels::path(id),
            title: title(reason),
            advice: advice(reason),
            count: grouped(counted.count),
            newest: visit.times.relative(counted.newest),
            details: details.collect(),
            fix: fix(reason, id).filter(|_| may_change && known),
        })
    };
    order.into_iter().filter_map(group).collect()
}

fn row(visit: &Visit, each: &StoredRejection, names: &ChannelNames) -> Row {
    let rejection = &each.rejection;
    let fields = rejection.fields.iter();
    Row {
        arrived: visit.times.clock(rejection.arrived_at),
        channel: name(&rejection.channel, names),
        channel_path: super::channels::path(&rejection.channel),
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

fn fix(reason: RejectionReason, id: &ChannelId) -> Option<Fix> {
    let path = super::channels::path(id);
    match reason {
        RejectionReason::SignatureMismatch => Some(Fix {
            path: format!("{path}/edit#signing_token"),
            word: "Change the token",
        }),
        RejectionReason::ChannelDisabled => Some(Fix {
            path,
            word: "Go to the channel",
        }),
        RejectionReason::SenderNotAllowed => Some(Fix {
            path: format!("{path}/edit#senders"),
            word: "Add the sender",
        }),
        RejectionReason::InvalidReport | RejectionReason::RefusedByStore => None,
    }
}
