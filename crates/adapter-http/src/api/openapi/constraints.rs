//! Constraints on texts and numbers of the document, by field and by parameter: as strict as the
//! code that reads and writes them.

use domain::access::{AuditAction, Role};
use domain::page::PageSize;
use domain::subscription::PauseReason;
use domain::trouble::TroubleKind;
use domain::{
    DeliveryState, DeliveryStatus, Effect, EventFilter, EventType, Provenance, RejectionReason,
};
use serde_json::{Map, Value, json};

use crate::api::events::MAX_WAIT_SECONDS;

/// A channel id or the name of a cursor, which must not consist of dots only.
const NAME: &str = r"\.*[A-Za-z0-9_~-][A-Za-z0-9._~-]*";

/// A text of one line that is not blank.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Printable ASCII without spaces.
const TOKEN: &str = "^[!-~]+$";

/// The name of a token: without spaces at its ends, and not a reserved one.
const TOKEN_NAME: &str = concat!(
    "^(?!(?:[aA][dD][mM][iI][nN]|[cC][lL][iI])$)",
    "[A-Za-z0-9._@-](?:[A-Za-z0-9 ._@-]*[A-Za-z0-9._@-])?$",
);

/// 24 to 64 bytes in padded base64.
const SIGNING_SECRET: &str = concat!(
    "^whsec_(?:",
    "(?:[A-Za-z0-9+/]{4}){8,20}",
    "(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?",
    "|(?:[A-Za-z0-9+/]{4}){21}[A-Za-z0-9+/][AQgw]==)$",
);

/// A whole number in unpadded base64url, the form of positions and some cursors.
const NUMBER: &str = concat!(
    "(?:(?:[MN][DTjz]|O[DT])[AEIMQUYcgk][w-z0-5]){0,5}",
    "(?:[MN][AQgw]|O[AQ]|(?:[MN][DTjz]|O[DT])[AEIMQUYcgk])",
);

/// A URL with a host, and optionally a user, a port, a path, a query and a fragment.
const PUBLIC_URL: &str = concat!(
    r"^https?://(?:[\x21\x22\x24-\x2E\x30-\x3E\x40-\x7E]*@)?",
    r"[\x21\x22\x24-\x2E\x30-\x39\x3B-\x3E\x41-\x7E][\x21\x22\x24-\x2E\x30-\x3E\x41-\x7E]*",
    r"(?:[/?#][\x21-\x7E]*)?$",
);

/// Adds the constraints to the document. `integrators` are the names that a channel may have.
pub(super) fn add(document: &mut Value, integrators: &[&str]) {
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

/// Adds the constraints of all fields below a schema.
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
            // A parameter is left out instead of null.
            if let Some(types) = schema["type"].as_array() {
                schema["type"] = types.first().cloned().unwrap_or_default();
            }
            apply(rule(&id, &name, integrators), schema);
        }
    }
}

/// Adds keywords to a schema, or to that of an array's items. Null stays allowed where it was.
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

fn pattern(pattern: &str) -> Value {
    json!({"pattern": format!("^{pattern}$")})
}

fn line(max: u16) -> Value {
    json!({"pattern": LINE, "maxLength": max})
}

fn token(min: u16, max: u16) -> Value {
    json!({"pattern": TOKEN, "minLength": min, "maxLength": max})
}

/// Returns the constraints of a field of a schema, or of a parameter of an operation.
fn rule(owner: &str, name: &str, integrators: &[&str]) -> Option<Value> {
    if let ("ReportView" | "AttemptView" | "TestView" | "Problem", "status") = (owner, name) {
        return None;
    }
    format_or_range(name)
        .or_else(|| of_events(owner, name))
        .or_else(|| id(owner, name))
        .or_else(|| word(owner, name, integrators))
        .or_else(|| text(owner, name))
        .or_else(|| position(owner, name))
}

/// The fields that contain a time.
const TIMES: &str = "created updated expires last_used first_reported_at last_reported_at \
    reported_at arrived_at asked_at finished_at since until inactive_since \
    previous_secret_expires last_delivered failing_since at next_attempt finished time revoked opened \
    resolved last_notice snoozed_until changed_at last_run_at checked_through listed_at \
    last_alert_at";

fn format_or_range(name: &str) -> Option<Value> {
    Some(match name {
        name if TIMES.split(' ').any(|time| time == name) => json!({"format": "date-time"}),
        "subscription" | "credential" | "erasure" | "credential_id" | "trouble" => {
            json!({"format": "uuid"})
        }
        "limit" => json!({"minimum": 1, "maximum": PageSize::MAX.get()}),
        "wait" => json!({"minimum": 0, "maximum": MAX_WAIT_SECONDS}),
        "overlap_hours" => json!({"minimum": 0, "maximum": 720}),
        "silence_minutes" => json!({"minimum": 1, "maximum": 10_080}),
        "challenges" => json!({"minimum": 1, "maximum": 1_000_000}),
        "code_share_percent" => json!({"minimum": 1, "maximum": 100}),
        "keep_messages_days" => json!({"minimum": 1, "maximum": 36_500}),
        _ => return None,
    })
}

/// Returns the lists in the parameters of events.
fn of_events(owner: &str, name: &str) -> Option<Value> {
    match (owner, name) {
        ("pull_events" | "stream_events", "channel") => {
            let list = format!("^{NAME}(?:,{NAME})*$");
            Some(json!({"pattern": list, "maxLength": 64}))
        }
        ("pull_events" | "stream_events", "types") => {
            let words = EventType::ALL.map(EventType::as_str).join("|");
            let words = words.replace('.', "\\.");
            Some(pattern(&format!("(?:{words})(?:,(?:{words}))*")))
        }
        _ => None,
    }
}

fn id(owner: &str, name: &str) -> Option<Value> {
    Some(match (owner, name) {
        (_, "channel" | "channel_id" | "channels")
        | ("ChannelInfo" | "ChannelRequest", "id")
        | ("CursorView" | "show_cursor" | "put_cursor" | "remove_cursor", "name")
        | ("pull_events", "cursor") => {
            json!({"pattern": format!("^{NAME}$"), "maxLength": 64})
        }
        (_, "sid" | "message_sid" | "MessageSid") => token(1, 200),
        (_, "error_code") | ("ErrorView" | "ErrorData", "code") => token(1, 32),
        _ => return None,
    })
}

/// Returns the constraint of fields that have one of a few words.
fn word(owner: &str, name: &str, integrators: &[&str]) -> Option<Value> {
    Some(match (owner, name) {
        (_, "status" | "previous_status") => {
            one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str))
        }
        (_, "actor") => one_of("sender recipient template_owner integrator nobody".split(' ')),
        (_, "permanence") => one_of(["permanent", "temporary", "configuration", "unknown"]),
        (_, "provenance") => {
            one_of([Provenance::Callback, Provenance::Reconciled].map(Provenance::as_str))
        }
        (_, "effect") => one_of(Effect::ALL.map(Effect::as_str)),
        ("CloudEvent" | "list_deliveries" | "retry_deliveries", "type") | (_, "event_type") => {
            one_of(EventType::ALL.map(EventType::as_str))
        }
        (_, "types") => one_of(EventFilter::all_type_names()),
        ("TroubleView" | "list_troubles", "state") => one_of(["open", "resolved"]),
        ("TroubleView", "kind") | (_, "off") => one_of(TroubleKind::ALL.map(TroubleKind::as_str)),
        ("TokenView" | "IssuedTokenView", "state") => one_of(["valid", "expired", "revoked"]),
        (_, "role") => one_of(Role::ALL.map(Role::as_str)),
        (_, "rights") => one_of(["reveal", "audit"]),
        (_, "action") => one_of(AuditAction::ALL.iter().map(|action| action.as_str())),
        ("SubscriptionView", "state") => one_of(["active", "failing", "paused", "ended"]),
        (_, "state") => one_of(DeliveryState::ALL.map(DeliveryState::as_str)),
        (_, "paused_for") => one_of(PauseReason::ALL.map(PauseReason::as_str)),
        (_, "asked_through") => one_of(["api", "command_line"]),
        (_, "condition") => one_of(["ready", "degraded", "down"]),
        ("RejectionView", "reason") => one_of(RejectionReason::ALL.map(RejectionReason::as_str)),
        ("ChannelRequest", "integrator") => one_of(integrators.iter().copied()),
        (_, "integrator") => pattern("[a-z0-9]{1,32}"),
        _ => return None,
    })
}

fn text(owner: &str, name: &str) -> Option<Value> {
    Some(match (owner, name) {
        ("TokenRequest", "name") => json!({"pattern": TOKEN_NAME, "maxLength": 60}),
        ("IssuedTokenView", "token") => pattern("rcpt_[A-Za-z0-9_-]{43}"),
        ("revoke_token", "token") => json!({"format": "uuid"}),
        ("TwilioReport", "MessageStatus") | ("list_audit" | "AuditEntryView", "operator") => {
            line(64)
        }
        ("ChannelRequest" | "ChannelPatch" | "ChannelInfo", "name")
        | ("ChannelRequest" | "CredentialRequest", "label")
        | ("ErasureRequest" | "SnoozeRequest", "reason") => line(200),
        ("TwilioReport", "To" | "From")
        | ("ChannelRequest" | "ChannelPatch", "senders")
        | ("ErasureRequest", "recipient")
        | ("list_messages", "to") => line(256),
        ("SubscriptionRequest" | "SubscriptionPatch", "description") => {
            json!({"pattern": format!("^$|{LINE}"), "maxLength": 200})
        }
        ("ChannelRequest" | "CredentialRequest", "user") => {
            let without_colon = LINE.replace("\\x00-\\x1f", "\\x00-\\x1f:");
            json!({"pattern": without_colon, "maxLength": 255})
        }
        ("ChannelRequest" | "CredentialRequest", "password") => {
            json!({"minLength": 8, "maxLength": 1024})
        }
        ("ChannelRequest" | "ChannelPatch", "public_url") => {
            json!({"pattern": PUBLIC_URL, "maxLength": 1024})
        }
        (_, "signing_token") => {
            json!({"pattern": "^[!-~]{8,256}( [!-~]{8,256}){0,3}$", "maxLength": 1027})
        }
        ("SubscriptionRequest" | "SubscriptionPatch", "url")
        | ("ChannelRequest" | "ChannelPatch", "forward_url") => {
            // No regular expression describes the valid URLs.
            json!({"minLength": 1, "maxLength": 2048})
        }
        ("TroubleSettingsRequest", "quiet_hours") => {
            pattern("([01]?[0-9]|2[0-3]):[0-5]?[0-9]-([01]?[0-9]|2[0-3]):[0-5]?[0-9]")
        }
        ("RotateRequest" | "SubscriptionRequest", "secret") => json!({"pattern": SIGNING_SECRET}),
        _ => return None,
    })
}

/// Positions in the log and cursors of pages.
fn position(owner: &str, name: &str) -> Option<Value> {
    Some(match (owner, name) {
        ("CursorRequest" | "CursorView" | "SubscriptionDetailView", "position")
        | ("pull_events" | "stream_events" | "SubscriptionRequest" | "ReplayRequest", "after") => {
            pattern(&format!("(?:latest|oldest|{NUMBER})"))
        }
        ("list_operator_events", "after") => json!({"minimum": 0}),
        ("CursorRequest", "from")
        | ("stream_events", "Last-Event-ID")
        | ("list_rejections", "cursor") => pattern(NUMBER),
        (_, "cursor") => pattern("[A-Za-z0-9_-]+"),
        _ => return None,
    })
}
