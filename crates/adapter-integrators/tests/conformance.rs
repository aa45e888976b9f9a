//! All integrators against the conformance kit: real requests, odd and hostile ones.

use std::path::PathBuf;

use adapter_integrators::all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ports::integrator::endpoint;
use rstest::rstest;
use serde_json::{Value, json};
use testkit::integrators::{EndpointUnderTest, check, samples};

/// How the requests of an endpoint are built.
struct Requests {
    element: fn(Value, Value) -> Value,
    body: fn(Vec<Value>) -> Vec<u8>,
    batches: bool,
    optional_recipient: bool,
    set_time: Option<fn(&mut Value, bool)>,
    alternatives: &'static [&'static str],
}

fn json_body(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// Returns the first element as the whole body.
fn single(elements: Vec<Value>) -> Vec<u8> {
    json_body(&elements.into_iter().next().unwrap_or_default())
}

/// Returns the fields of the first element as a form.
fn form(elements: Vec<Value>) -> Vec<u8> {
    let element = elements.into_iter().next().unwrap_or_default();
    let fields = element.as_object().into_iter().flatten();
    let fields = fields.filter(|(_, value)| !value.is_null());
    let fields = fields.map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        format!("{}={}", encoded(name), encoded(&text))
    });
    fields.collect::<Vec<_>>().join("&").into_bytes()
}

fn set(element: &mut Value, name: &str, value: &str) {
    if let Some(fields) = element.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

fn iso(far_future: bool) -> &'static str {
    if far_future {
        "9999-12-31T23:59:59.999Z"
    } else {
        "1970-01-01T00:00:00.000Z"
    }
}

fn unix(far_future: bool) -> &'static str {
    if far_future { "253402300799" } else { "0" }
}

const TWILIO: Requests = Requests {
    element: |id, to| {
        json!({
            "MessageSid": id, "MessageStatus": "delivered", "To": to,
            "From": "whatsapp:+15550100900",
        })
    },
    body: form,
    batches: false,
    optional_recipient: false,
    set_time: None,
    alternatives: &["/ErrorCode", "/ErrorMessage"],
};

const EVENT_STREAMS: Requests = Requests {
    element: |id, to| {
        json!({
            "type": "com.twilio.messaging.message.delivered",
            "data": {
                "messageSid": id, "messageStatus": "DELIVERED", "to": to,
                "from": "whatsapp:+15550100900", "timestamp": "2026-11-20T09:15:42.318Z",
            },
        })
    },
    body: |elements| json_body(&elements.into()),
    batches: true,
    optional_recipient: false,
    set_time: Some(|element, far_future| {
        if let Some(data) = element.get_mut("data") {
            set(data, "timestamp", iso(far_future));
        }
    }),
    alternatives: &["/data/errorCode", "/data/dateUpdated"],
};

const INFOBIP: Requests = Requests {
    element: |id, to| json!({ "messageId": id, "to": to, "status": { "groupName": "DELIVERED", "id": 5 } }),
    body: |elements| json_body(&json!({ "results": elements })),
    batches: true,
    optional_recipient: true,
    set_time: Some(|element, far_future| set(element, "doneAt", iso(far_future))),
    alternatives: &[
        "/destination",
        "/sender",
        "/from",
        "/seenAt",
        "/deletedAt",
        "/event",
        "/message",
        "/receivedAt",
        "/error",
    ],
};

const GUPSHUP: Requests = Requests {
    element: |id, to| {
        json!({
            "type": "message-event",
            "payload": { "gsId": id, "type": "delivered", "destination": to },
        })
    },
    body: single,
    batches: false,
    optional_recipient: false,
    set_time: Some(|element, far_future| set(element, "timestamp", unix(far_future))),
    alternatives: &[
        "/phone",
        "/payload/id",
        "/payload/userId",
        "/payload/payload",
        "/entry",
    ],
};

/// Meta's envelope, which 360dialog and version 3 of Gupshup pass on.
const META: Requests = Requests {
    element: |id, to| json!({ "id": id, "status": "delivered", "recipient_id": to }),
    body: |elements| {
        json_body(&json!({
            "object": "whatsapp_business_account",
            "entry": [{ "changes": [{ "field": "messages", "value": { "statuses": elements } }] }],
        }))
    },
    batches: true,
    optional_recipient: false,
    set_time: Some(|element, far_future| set(element, "timestamp", unix(far_future))),
    alternatives: &["/gs_id", "/recipient_user_id", "/type", "/errors", "/code"],
};

const KOOMESSAGE: Requests = Requests {
    element: |id, to| json!({ "message_id": id, "user_number": to, "status": "delivered" }),
    body: single,
    batches: false,
    optional_recipient: false,
    set_time: None,
    alternatives: &["/sender"],
};

#[rstest]
#[case("twilio", "report", TWILIO)]
#[case("twilio", "events", EVENT_STREAMS)]
#[case("infobip", "report", INFOBIP)]
#[case("gupshup", "message", GUPSHUP)]
#[case("gupshup", "message", META)]
#[case("koomessage", "report", KOOMESSAGE)]
#[case("360dialog", "report", META)]
#[case("meta", "report", META)]
fn endpoint_conforms(#[case] name: &str, #[case] path_word: &str, #[case] requests: Requests) {
    let integrators = all();
    let integrator = integrators.iter().find(|each| each.name().as_str() == name);
    let integrator = integrator.unwrap().as_ref();
    check(EndpointUnderTest {
        integrator,
        endpoint: endpoint(integrator, path_word).unwrap(),
        element: requests.element,
        body: requests.body,
        batches: requests.batches,
        optional_recipient: requests.optional_recipient,
        set_time: requests.set_time,
        alternatives: requests.alternatives,
    });
}

#[rstest]
#[case("twilio", 3)]
#[case("infobip", 18)]
#[case("gupshup", 21)]
#[case("koomessage", 4)]
#[case("360dialog", 2)]
#[case("meta", 9)]
fn samples_are_parsed_as_expected(#[case] name: &str, #[case] count: usize) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let integrators = all();
    let integrator = integrators.iter().find(|each| each.name().as_str() == name);
    let path_word = |file: &str| match file.split('/').next_back() {
        Some(name) if name.starts_with("event_streams") => Some("events"),
        Some(name) if name.starts_with("debugger") => Some("debugger"),
        _ => None,
    };
    let checked = samples::check(integrator.unwrap().as_ref(), &folder, path_word);
    assert_eq!(checked, count);
}

#[test]
fn each_integrator_has_a_title_for_people() {
    for integrator in all() {
        let name = integrator.name();
        assert_eq!(name.title().to_ascii_lowercase(), name.as_str());
        let begins = name.title().starts_with(|c: char| !c.is_ascii_lowercase());
        assert!(begins, "`IntegratorName::title` does not know {name}");
    }
}
