//! Operator events as subscribers see them: `CloudEvents` 1.0 in JSON.

use domain::Timestamp;
use domain::trouble::{
    Notice, OperatorEvent, OperatorEventId, OperatorEventType, Trouble, TroubleState,
};

/// Version of the schema of `data`. Adding a field keeps it; any other change makes a new one.
pub const TROUBLE_SCHEMA: &str = "urn:receiptd:trouble-event:1";

/// Returns the event that tells of a trouble.
pub(super) fn event(
    id: OperatorEventId,
    trouble: &Trouble,
    notice: Notice,
    now: Timestamp,
) -> OperatorEvent {
    let event_type = match notice {
        Notice::Opened | Notice::Reminder => OperatorEventType::TroubleOpened,
        Notice::Resolved => OperatorEventType::TroubleResolved,
    };
    let state = match trouble.state {
        TroubleState::Resolved { .. } => "resolved",
        TroubleState::Pending | TroubleState::Open { .. } | TroubleState::Clearing { .. } => "open",
    };
    let kind = trouble.key.kind;
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let body = serde_json::json!({
        "specversion": "1.0",
        "id": id.to_string(),
        "source": "/troubles",
        "type": event_type.as_str(),
        "subject": trouble.id.to_string(),
        "time": now.to_string(),
        "datacontenttype": "application/json",
        "dataschema": TROUBLE_SCHEMA,
        "data": {
            "trouble_id": trouble.id.to_string(),
            "kind": kind.as_str(),
            "about": trouble.key.subject.to_string(),
            "channel_id": trouble.key.subject.channel().map(ToString::to_string),
            "state": state,
            "title": kind.title(),
            "seen": trouble.finding.seen,
            "advice": kind.advice(),
            "since": trouble.finding.since.to_string(),
            "opened_at": time(trouble.state.opened_at()),
            "resolved_at": time(trouble.state.resolved_at()),
            "reminder": notice == Notice::Reminder,
        },
    });
    OperatorEvent {
        id,
        event_type,
        channel: trouble.key.subject.channel().cloned(),
        at: now,
        body: body.to_string(),
    }
}
