//! The endpoints of Twilio besides that of status callbacks: Event Streams and the Debugger.

use adapter_integrators::twilio::Twilio;
use domain::ReportedStatus;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ports::integrator::{Integrator, ParseError, ParsedBody, ValidationErrorKind, endpoint};
use rstest::rstest;
use serde_json::{Value, json};
use testkit::integrators::Lines;

fn parse(word: &str, body: &[u8]) -> Result<ParsedBody, ParseError> {
    let twilio = Twilio::new();
    let endpoint = endpoint(&twilio, word).expect("it has this endpoint");
    twilio.parse(endpoint, &Lines::default(), body)
}

fn events(events: &Value) -> ParsedBody {
    let parsed = parse("events", events.to_string().as_bytes());
    parsed.unwrap_or_else(|error| panic!("{error:?}: {events}"))
}

fn debugger(payload: &str) -> Result<ParsedBody, ParseError> {
    let payload = utf8_percent_encode(payload, NON_ALPHANUMERIC);
    parse(
        "debugger",
        format!("Sid=NO1&Level=ERROR&Payload={payload}").as_bytes(),
    )
}

/// An event of a message, with changed data.
fn message(change: &Value) -> Value {
    let mut data = json!({
        "messageSid": "SM1", "messageStatus": "UNDELIVERED", "errorCode": 63024,
        "from": "whatsapp:+15550100900", "to": "whatsapp:+15550100001",
        "timestamp": "2026-11-20T09:15:42.318Z", "body": "private", "numberOfSegments": 1,
    });
    let fields = data.as_object_mut().expect("it is an object");
    fields.extend(change.as_object().cloned().unwrap_or_default());
    json!({ "type": "com.twilio.messaging.message.undelivered", "id": "EZ1", "data": data })
}

#[test]
fn event_of_a_message_is_a_report() {
    let parsed = events(&json!([message(&json!({}))]));
    let [report] = parsed.reports.as_slice() else {
        panic!("{parsed:?}");
    };
    assert_eq!(report.status, ReportedStatus::parse("undelivered").unwrap());
    assert_eq!(report.error.as_ref().unwrap().code.as_str(), "63024");
    assert_eq!(
        report.happened_at.unwrap().to_string(),
        "2026-11-20T09:15:42.318000Z"
    );
    // The text of a message is not kept.
    assert_eq!(report.fields.as_json().matches("private").count(), 0);
    assert!(report.fields.as_json().contains("numberOfSegments"));
}

#[rstest]
#[case(json!({ "errorCode": null }), None)]
#[case(json!({ "errorCode": 0 }), None)]
#[case(json!({ "errorCode": "null" }), None)]
#[case(json!({ "errorCode": " " }), None)]
#[case(json!({ "errorCode": "63016" }), Some("63016"))]
fn error_code_may_be_number_text_or_absent(#[case] change: Value, #[case] code: Option<&str>) {
    let parsed = events(&json!([message(&change)]));
    let error = parsed.reports[0].error.as_ref();
    assert_eq!(error.map(|error| error.code.as_str()), code);
}

#[test]
fn each_event_is_judged_alone() {
    let parsed = events(&json!([
        message(&json!({ "messageSid": "SM1" })),
        message(&json!({ "messageSid": null })),
        message(&json!({ "from": "+15550100900" })),
        { "type": "com.twilio.eventstreams.test-event", "data": { "test_id": "1" } },
        { "type": "com.twilio.voice.status-callback.call.completed", "data": {} },
        { "data": {} },
        7,
        message(&json!({ "messageSid": "SM2", "messageStatus": "NEW WORD" })),
    ]));
    let reports: Vec<_> = parsed
        .reports
        .iter()
        .map(|report| (report.index, report.sid.as_str(), report.status.as_str()))
        .collect();
    assert_eq!(reports, [(0, "SM1", "undelivered"), (7, "SM2", "new word")]);
    let invalid: Vec<_> = parsed
        .invalid
        .iter()
        .map(|each| (each.index, each.error.field, each.error.kind))
        .collect();
    let missing = ValidationErrorKind::Missing;
    assert_eq!(
        invalid,
        [
            (1, "messageSid", missing),
            (5, "type", missing),
            (6, "type", missing)
        ]
    );
    let ignored = [
        "not-whatsapp",
        "com.twilio.eventstreams.test-event",
        "other",
    ];
    assert_eq!(parsed.ignored, ignored);
}

#[rstest]
#[case("")]
#[case("{}")]
#[case("null")]
#[case("MessageSid=SM1")]
fn events_are_a_list(#[case] body: &str) {
    assert!(matches!(
        parse("events", body.as_bytes()),
        Err(ParseError::Invalid(_))
    ));
}

#[rstest]
#[case::http(json!({ "error_code": "11200", "resource_sid": "SM1" }), Some("11200"))]
#[case::number(json!({ "error_code": 11205, "resource_sid": "MM1" }), Some("11205"))]
#[case::refused_signature(json!({ "error_code": "57012", "resource_sid": "SM1" }), Some("57012"))]
#[case::of_the_message_itself(json!({ "error_code": "63016", "resource_sid": "SM1" }), None)]
#[case::longer_code(json!({ "error_code": "112000", "resource_sid": "SM1" }), None)]
#[case::call(json!({ "error_code": "11200", "resource_sid": "CA1" }), None)]
#[case::nothing(json!({}), None)]
#[case::list(json!([]), None)]
fn only_failed_callbacks_of_messages_count(#[case] payload: Value, #[case] code: Option<&str>) {
    let parsed = debugger(&payload.to_string()).unwrap();
    let failures = &parsed.callback_failures;
    assert_eq!(failures.first().map(|failure| failure.code.as_str()), code);
    assert_eq!(failures.len() + parsed.ignored.len(), 1);
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (0, 0));
}

#[rstest]
#[case("https://user:secret@example.com/a/b?c=1#rc=5", Some("/a/b"))]
#[case("https://example.com", None)]
#[case("no url", None)]
fn only_the_path_of_the_called_url_is_kept(#[case] url: &str, #[case] path: Option<&str>) {
    for place in [
        json!({ "webhook": { "request": { "url": url } } }),
        json!({ "more_info": { "url": url } }),
    ] {
        let mut payload = json!({ "error_code": "11200", "resource_sid": "SM1" });
        payload
            .as_object_mut()
            .unwrap()
            .extend(place.as_object().unwrap().clone());
        let parsed = debugger(&payload.to_string()).unwrap();
        assert_eq!(parsed.callback_failures[0].path.as_deref(), path);
    }
}

#[rstest]
#[case(b"Level=ERROR")]
#[case(b"Payload=")]
#[case(b"Payload=%7B")]
#[case(b"Payload=%FF")]
fn debugger_without_payload_is_refused(#[case] body: &[u8]) {
    assert!(matches!(
        parse("debugger", body),
        Err(ParseError::Invalid(_))
    ));
}
