//! What texts and numbers of the document look like, field by field and parameter by
//! parameter: as strict as the code that reads and writes them.

use domain::page::PageSize;
use domain::subscription::PauseReason;
use domain::{DeliveryState, DeliveryStatus, Effect, EventType, RejectionReason};
use serde_json::{Map, Value, json};

/// A channel id or the name of a cursor: not only dots.
const NAME: &str = r"\.*[A-Za-z0-9_~-][A-Za-z0-9._~-]*";

/// Texts of one line that are not blank.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Printable ASCII without spaces.
const TOKEN: &str = "^[!-~]+$";

/// 24 to 64 bytes in padded base64.
const SIGNING_SECRET: &str = concat!(
    "^whsec_(?:",
    "(?:[A-Za-z0-9+/]{4}){8,20}",
    "(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?",
    "|(?:[A-Za-z0-9+/]{4}){21}[A-Za-z0-9+/][AQgw]==)$",
);

/// A whole number in unpadded base64url: how positions and some cursors are written.
const NUMBER: &str = concat!(
    "(?:(?:[MN][DTjz]|O[DT])[AEIMQUYcgk][w-z0-5]){0,5}",
    "(?:[MN][AQgw]|O[AQ]|(?:[MN][DTjz]|O[DT])[AEIMQUYcgk])",
);

/// A URL with a host, and perhaps a user, a port, a path, a query and a fragment.
const PUBLIC_URL: &str = concat!(
    r"^https?://(?:[\x21\x22\x24-\x2E\x30-\x3E\x40-\x7E]*@)?",
    r"[\x21\x22\x24-\x2E\x30-\x39\x3B-\x3E\x41-\x7E][\x21\x22\x24-\x2E\x30-\x3E\x41-\x7E]*",
    r"(?:[/?#][\x21-\x7E]*)?$",
);

/// Makes the document as strict as the code. `integrators` are the names that channels
/// may have.
pub(super) fn tighten(document: &mut Value, integrators: &[&str]) {
    if let Some(schemas) = object(document, "/components/schemas") {
        for (owner, schema) in schemas {
            fields(owner, schema, integrators);
        }
    }
    for part in ["/paths", "/webhooks"] {
        let items = object(document, part);
        let items = items.into_iter().flat_map(Map::values_mut);
        for operation in items
            .filter_map(Value::as_object_mut)
            .flat_map(Map::values_mut)
        {
            parameters(operation, integrators);
        }
    }
}

fn object<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    value.pointer_mut(pointer)?.as_object_mut()
}

/// Tightens all fields below a schema.
fn fields(owner: &str, schema: &mut Value, integrators: &[&str]) {
    match schema {
        Value::Object(keywords) => {
            if let Some(Value::Object(properties)) = keywords.get_mut("properties") {
                for (name, property) in properties {
                    apply(rule(owner, name, integrators), property);
                }
            }
            for below in keywords.values_mut() {
                fields(owner, below, integrators);
            }
        }
        Value::Array(items) => {
            for item in items {
                fields(owner, item, integrators);
            }
        }
        _ => {}
    }
}

fn parameters(operation: &mut Value, integrators: &[&str]) {
    let id = operation["operationId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        if let Some(schema) = parameter.get_mut("schema") {
            // A parameter is left out, never null.
            if let Some(types) = schema["type"].as_array() {
                schema["type"] = types.first().cloned().unwrap_or_default();
            }
            apply(rule(&id, &name, integrators), schema);
        }
    }
}

/// Adds keywords to a schema, or to that of the items of an array. A null stays allowed
/// where it was.
fn apply(keywords: Option<Value>, schema: &mut Value) {
    let Some(Value::Object(keywords)) = keywords else {
        return;
    };
    let schema = match schema.get_mut("items") {
        Some(_) if keywords.contains_key("items") => schema,
        Some(_) => &mut schema["items"],
        None => schema,
    };
    let nullable = schema["type"]
        .as_array()
        .is_some_and(|types| types.contains(&json!("null")));
    for (keyword, mut value) in keywords {
        if let ("enum", true, Some(words)) = (keyword.as_str(), nullable, value.as_array_mut()) {
            words.push(Value::Null);
        }
        schema[keyword] = value;
    }
}

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    let words: Vec<_> = words.into_iter().collect();
    json!({"enum": words})
}

fn statuses() -> Vec<&'static str> {
    DeliveryStatus::ALL
        .into_iter()
        .map(DeliveryStatus::as_str)
        .collect()
}

fn event_types() -> Vec<&'static str> {
    EventType::ALL.into_iter().map(EventType::as_str).collect()
}

/// What is known of a field of a schema, or of a parameter of an operation.
#[expect(clippy::too_many_lines, reason = "a table")]
fn rule(owner: &str, name: &str, integrators: &[&str]) -> Option<Value> {
    let line = |max: u16| json!({"pattern": LINE, "maxLength": max});
    let token = |min: u16, max: u16| json!({"pattern": TOKEN, "minLength": min, "maxLength": max});
    let named = || json!({"pattern": format!("^{NAME}$"), "maxLength": 64});
    let position = || json!({"pattern": format!("^(?:latest|oldest|{NUMBER})$")});
    Some(match (owner, name) {
        (
            _,
            "created"
            | "updated"
            | "expires"
            | "last_used"
            | "first_reported_at"
            | "last_reported_at"
            | "reported_at"
            | "arrived_at"
            | "asked_at"
            | "finished_at"
            | "since"
            | "until"
            | "inactive_since"
            | "previous_secret_expires"
            | "last_delivered"
            | "failing_since"
            | "at"
            | "next_attempt"
            | "finished"
            | "time",
        ) => json!({"format": "date-time"}),
        (_, "limit") => json!({"minimum": 1, "maximum": PageSize::MAX.get()}),
        (_, "wait") => json!({"minimum": 0, "maximum": super::super::events::WAIT_MAX}),
        (_, "overlap_hours") => json!({"minimum": 0, "maximum": 720}),
        (_, "keep_messages_days") => json!({"minimum": 1, "maximum": 36_500}),
        ("pull_events" | "stream_events", "channel") => {
            json!({"pattern": format!("^{NAME}(?:,{NAME})*$"), "maxLength": 64})
        }
        ("pull_events" | "stream_events", "types") => {
            let words = event_types().join("|").replace('.', "\\.");
            json!({"pattern": format!("^(?:{words})(?:,(?:{words}))*$")})
        }
        (_, "channel" | "channel_id" | "channels")
        | ("ChannelInfo" | "ChannelRequest", "id")
        | ("CursorView" | "show_cursor" | "put_cursor" | "remove_cursor", "name")
        | ("pull_events", "cursor") => named(),
        (_, "sid" | "message_sid" | "MessageSid") => token(1, 64),
        (_, "error_code") | ("ErrorView" | "ErrorData", "code") => token(1, 32),
        (_, "subscription" | "credential" | "erasure" | "credential_id") => {
            json!({"format": "uuid"})
        }
        ("ReportView" | "AttemptView" | "TestView" | "Problem", "status") => return None,
        (_, "status" | "previous_status") => one_of(statuses()),
        (_, "actor") => one_of([
            "sender",
            "recipient",
            "template_owner",
            "integrator",
            "nobody",
        ]),
        (_, "permanence") => one_of(["permanent", "temporary", "configuration", "unknown"]),
        ("TwilioReport", "MessageStatus") => line(64),
        (_, "effect") => one_of(Effect::ALL.into_iter().map(Effect::as_str)),
        ("CloudEvent" | "list_deliveries" | "retry_deliveries", "type")
        | (_, "event_type" | "types") => one_of(event_types()),
        ("SubscriptionView", "state") => one_of(["active", "failing", "paused", "ended"]),
        (_, "state") => one_of(DeliveryState::ALL.into_iter().map(DeliveryState::as_str)),
        (_, "paused_for") => one_of(PauseReason::ALL.into_iter().map(PauseReason::as_str)),
        (_, "asked_through") => one_of(["api", "command_line"]),
        (_, "condition") => one_of(["ready", "degraded", "down"]),
        ("RejectionView", "reason") => one_of(
            RejectionReason::ALL
                .into_iter()
                .map(RejectionReason::as_str),
        ),
        ("ChannelRequest", "integrator") => one_of(integrators.iter().copied()),
        (_, "integrator") => json!({"pattern": "^[a-z0-9]{1,32}$"}),
        ("ChannelRequest" | "ChannelPatch" | "ChannelInfo", "name") => line(200),
        ("ChannelRequest" | "CredentialRequest", "label") | ("ErasureRequest", "reason") => {
            line(200)
        }
        ("SubscriptionRequest" | "SubscriptionPatch", "description") => {
            json!({"pattern": format!("^$|{LINE}"), "maxLength": 200})
        }
        ("ChannelRequest" | "CredentialRequest", "user") => json!({
            "pattern": LINE.replace("\\x00-\\x1f", "\\x00-\\x1f:"),
            "maxLength": 255,
        }),
        ("ChannelRequest" | "CredentialRequest", "password") => {
            json!({"minLength": 8, "maxLength": 1024})
        }
        ("ChannelRequest" | "ChannelPatch", "public_url") => {
            json!({"pattern": PUBLIC_URL, "maxLength": 1024})
        }
        (_, "signing_token") => token(8, 256),
        ("SubscriptionRequest" | "SubscriptionPatch", "url") => {
            // What a URL may be is no regular expression.
            json!({"minLength": 1, "maxLength": 2048})
        }
        ("RotateRequest" | "SubscriptionRequest", "secret") => json!({"pattern": SIGNING_SECRET}),
        ("TwilioReport", "To" | "From")
        | ("ChannelRequest" | "ChannelPatch", "senders")
        | ("ErasureRequest", "recipient")
        | ("list_messages", "to") => line(256),
        ("CursorRequest" | "CursorView" | "SubscriptionDetailView", "position")
        | ("pull_events" | "stream_events" | "SubscriptionRequest" | "ReplayRequest", "after") => {
            position()
        }
        ("CursorRequest", "from") | ("stream_events", "Last-Event-ID") => {
            json!({"pattern": format!("^{NUMBER}$")})
        }
        ("list_rejections", "cursor") => json!({"pattern": format!("^{NUMBER}$")}),
        (_, "cursor") => json!({"pattern": "^[A-Za-z0-9_-]+$"}),
        _ => return None,
    })
}
