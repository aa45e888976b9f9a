//! Troubles and operator events as the API shows them.

use domain::Timestamp;
use domain::page::Page;
use domain::trouble::{StoredOperatorEvent, Trouble, TroubleId, TroubleState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::query::encode_cursor;

/// A condition that needs an operator, or needed one.
#[derive(Debug, Serialize, ToSchema)]
pub struct TroubleView {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its kind.
    #[schema(example = "silence")]
    pub kind: &'static str,
    /// What it is about: `service`, `channel/ID`, `channel/ID/code/CODE`,
    /// `channel/ID/credential/ID` or `subscription/ID`.
    #[schema(example = "channel/202105102694809992")]
    pub about: String,
    /// The channel that it is about, if it is about one.
    pub channel_id: Option<String>,
    /// `open` or `resolved`.
    #[schema(example = "open")]
    pub state: &'static str,
    /// A title for people.
    pub title: &'static str,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub advice: &'static str,
    /// Since when it has been so.
    pub since: String,
    /// When it was confirmed.
    pub opened: Option<String>,
    /// When its end was confirmed.
    pub resolved: Option<String>,
    /// How many notices were sent that it is open.
    pub notices: u32,
    /// When the last of them was sent.
    pub last_notice: Option<String>,
    /// Until when no notices are sent; `null` if it is not snoozed now.
    pub snoozed_until: Option<String>,
    /// Why.
    pub snooze_reason: Option<String>,
    /// The operator who snoozed it.
    pub snoozed_by: Option<String>,
}

impl TroubleView {
    /// Shows a trouble as it is at `now`.
    #[must_use]
    pub fn new(trouble: &Trouble, now: Timestamp) -> Self {
        let kind = trouble.key.kind;
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let snooze = trouble.snooze.as_ref().filter(|it| it.lasts_at(now));
        Self {
            id: trouble.id.to_string(),
            kind: kind.as_str(),
            about: trouble.key.subject.to_string(),
            channel_id: trouble.key.subject.channel().map(ToString::to_string),
            state: match trouble.state {
                TroubleState::Resolved { .. } => "resolved",
                TroubleState::Pending
                | TroubleState::Open { .. }
                | TroubleState::Clearing { .. } => "open",
            },
            title: kind.title(),
            seen: trouble.finding.seen.clone(),
            advice: kind.advice(),
            since: trouble.finding.since.to_string(),
            opened: time(trouble.state.opened_at()),
            resolved: time(trouble.state.resolved_at()),
            notices: trouble.notices.count,
            last_notice: time(trouble.notices.last_at),
            snoozed_until: snooze.map(|snooze| snooze.until.to_string()),
            snooze_reason: snooze.map(|snooze| snooze.reason.as_str().to_owned()),
            snoozed_by: snooze.map(|snooze| snooze.by.to_string()),
        }
    }
}

/// A page of troubles.
#[derive(Debug, Serialize, ToSchema)]
pub struct TroubleList {
    /// The troubles, newest first.
    pub items: Vec<TroubleView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl TroubleList {
    /// Shows a page as it is at `now`.
    #[must_use]
    pub fn new(page: &Page<Trouble, TroubleId>, now: Timestamp) -> Self {
        let items = page.items.iter();
        Self {
            items: items
                .map(|trouble| TroubleView::new(trouble, now))
                .collect(),
            next: page.next.map(|next| encode_cursor(&next.to_string())),
        }
    }
}

/// An operator event and its place in the sequence.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorEventView {
    /// Later events have greater numbers.
    pub sequence: i64,
    /// The event as it is sent to subscribers: a `CloudEvent` of type
    /// `receiptd.trouble.opened` or `receiptd.trouble.resolved`.
    #[schema(value_type = Object)]
    pub event: Value,
}

/// Operator events.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorEventList {
    /// The events, oldest first.
    pub items: Vec<OperatorEventView>,
    /// The `after` of the next page.
    pub next: i64,
}

impl OperatorEventList {
    /// Shows the events after a sequence.
    #[must_use]
    pub fn new(events: &[StoredOperatorEvent], after: i64) -> Self {
        let view = |stored: &StoredOperatorEvent| OperatorEventView {
            sequence: stored.sequence,
            event: serde_json::from_str(&stored.event.body).unwrap_or_default(),
        };
        Self {
            items: events.iter().map(view).collect(),
            next: events.last().map_or(after, |last| last.sequence),
        }
    }
}
