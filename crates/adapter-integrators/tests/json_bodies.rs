//! What single integrators may send and hardly do. The conformance kit checks what all have in
//! common.

use std::path::PathBuf;

use adapter_integrators::all;
use domain::Alias;
use ports::integrator::{Integrator, ParsedBody, ParsedReport};
use proptest::prelude::*;
use rstest::rstest;
use testkit::integrators::Lines;

/// Runs a check with the integrator of a name.
fn with<T>(name: &str, check: impl FnOnce(&dyn Integrator) -> T) -> T {
    let integrators = all();
    let found = integrators.iter().find(|each| each.name().as_str() == name);
    check(found.expect("it is supported").as_ref())
}

/// Parses a body that was sent to the endpoint of reports.
fn parse(name: &str, body: &str) -> ParsedBody {
    let parsed = with(name, |integrator| {
        let endpoint = integrator.report_endpoint();
        integrator.parse(endpoint, &Lines::default(), body.as_bytes())
    });
    parsed.unwrap_or_else(|error| panic!("{error:?}: {body}"))
}

fn infobip(body: &str) -> ParsedBody {
    parse("infobip", body)
}

/// Parses a body with one report.
fn report(name: &str, body: &str) -> ParsedReport {
    let mut parsed = parse(name, body);
    assert_eq!(
        (parsed.reports.len(), parsed.invalid.len()),
        (1, 0),
        "{body}"
    );
    parsed.reports.remove(0)
}

/// Returns the one status in the envelope of Meta.
fn envelope(status: &str) -> String {
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"changes":[{{"field":"messages","value":{{"statuses":[{status}]}}}}]}}]}}"#
    )
}

const GOOD: &str = r#"{"messageId":"a","to":"15550100001","status":{"groupName":"DELIVERED"}}"#;

#[rstest]
#[case::numbers(r#"{"messageId":7,"to":15550100001,"status":{"groupName":"DELIVERED","id":"5"}}"#)]
#[case::nulls(
    r#"{"messageId":"a","to":"1","bulkId":null,"seenAt":null,"error":null,"status":{"groupName":"REJECTED","id":null}}"#
)]
#[case::duplicate_keys(
    r#"{"messageId":"b","messageId":"a","to":"1","status":{"groupName":"DELIVERED"}}"#
)]
#[case::done_before_sent(
    r#"{"messageId":"a","to":"1","status":{"groupId":3},"sentAt":"2026-11-20T09:15:42.318+0000","doneAt":"1970-01-01T00:00:00.000+0000"}"#
)]
#[case::far_future(
    r#"{"messageId":"a","to":"1","status":{"groupId":"3"},"doneAt":"9999-12-31T23:59:59.999+0000"}"#
)]
#[case::fields_with_nul(
    r#"{"messageId":"a","to":"1","status":{"groupName":"DELIVERED"},"callbackData":"\u0000"}"#
)]
fn odd_elements_are_reports(#[case] element: &str) {
    let parsed = infobip(&format!(r#"{{"results":[{element}]}}"#));
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (1, 0));
}

#[rstest]
#[case("null")]
#[case("[]")]
#[case("{}")]
#[case(r#"{"messageId":null,"to":null,"status":null}"#)]
#[case(r#"{"messageId":"a\u0000","to":"1","status":{"groupName":"DELIVERED"}}"#)]
#[case(r#"{"messageId":1.5,"to":"1","status":{"groupName":"DELIVERED"}}"#)]
#[case(r#"{"messageId":"a b","to":"1","status":{"groupName":"DELIVERED"}}"#)]
#[case(r#"{"messageId":{"id":"a"},"to":"1","status":{"groupName":"DELIVERED"}}"#)]
#[case(r#"{"messageId":"a","to":["1"],"status":{"groupName":"DELIVERED"}}"#)]
#[case(r#"{"messageId":"a","to":"1"}"#)]
#[case(r#"{"messageId":"a","to":"1","status":{}}"#)]
#[case(r#"{"messageId":"a","to":"1","status":"DELIVERED"}"#)]
fn unusable_element_costs_no_other(#[case] element: &str) {
    let parsed = infobip(&format!(r#"{{"results":[{GOOD},{element},{GOOD}]}}"#));
    let indexes: Vec<_> = parsed.reports.iter().map(|report| report.index).collect();
    assert_eq!(indexes, [0, 2]);
    let invalid: Vec<_> = parsed.invalid.iter().map(|invalid| invalid.index).collect();
    assert_eq!(invalid, [1]);
}

#[rstest]
#[case::typing(
    r#"{"messageId":"t","event":"TYPING_STARTED","sender":"1","destination":"2"}"#,
    "event"
)]
#[case::no_outcome(r#"{"messageId":"t","event":"DELIVERY","destination":"2"}"#, "event")]
#[case::blank_status(
    r#"{"messageId":"t","event":"DELIVERY","to":"2","status":""}"#,
    "event"
)]
#[case::no_time(
    r#"{"messageId":"t","from":"1","to":"2","message":{"text":"a"}}"#,
    "message"
)]
#[case::messages_api(
    r#"{"messageId":"t","event":"MO","sender":"1","destination":"2","content":[{"text":"a"}]}"#,
    "message"
)]
#[case::no_content(
    r#"{"receivedAt":"2026-11-20T09:18:00.000+0000","from":"1"}"#,
    "message"
)]
fn elements_that_are_no_report_are_ignored(#[case] element: &str, #[case] kind: &str) {
    let parsed = infobip(&format!(r#"{{"results":[{GOOD},{element}]}}"#));
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (1, 0));
    assert_eq!(parsed.ignored, [kind]);
}

#[rstest]
#[case::phone_number(
    r#""contact":{"phoneNumber":"15550100001","userId":"US.1"}"#,
    "15550100001"
)]
#[case::user(r#""to":"","contact":{"phoneNumber":null,"userId":"US.1"}"#, "US.1")]
#[case::to_first(r#""to":"2","contact":{"phoneNumber":"15550100001"}"#, "2")]
#[case::destination_first(r#""to":"2","destination":"3""#, "3")]
#[case::blank_destination(r#""to":"2","destination":" ""#, "2")]
#[case::none(r#""to":null"#, "unknown")]
fn recipient_is_the_first_that_is_present(#[case] fields: &str, #[case] recipient: &str) {
    let element = format!(r#"{{"messageId":"a","status":{{"groupName":"DELIVERED"}},{fields}}}"#);
    let report = report("infobip", &format!(r#"{{"results":[{element}]}}"#));
    assert_eq!(report.recipient.reveal(), recipient);
}

#[rstest]
#[case(
    "infobip",
    r#"{"results":[{"messageId":"a","to":"1","seenAt":"","status":{"groupName":"DELIVERED"}}]}"#,
    "a",
    "1"
)]
#[case("infobip", r#"{"results":[{"messageId":"a","to":"1","deletedAt":" ","event":"DELIVERY","status":{"groupName":"DELIVERED"}}]}"#, "a", "1")]
#[case("gupshup", r#"{"type":"message-event","payload":{"type":"delivered","gsId":"","id":"wamid.Q","destination":"","userId":"IN.1"}}"#, "wamid.Q", "IN.1")]
fn blank_field_is_absent_where_another_may_have_the_value(
    #[case] name: &str,
    #[case] body: &str,
    #[case] sid: &str,
    #[case] recipient: &str,
) {
    let report = report(name, body);
    assert_eq!(report.sid.as_str(), sid);
    assert_eq!(report.recipient.reveal(), recipient);
    assert_eq!(report.status.as_str(), "delivered");
}

#[rstest]
#[case("meta", "wamid.A", Alias::None)]
#[case("gupshup", "wamid.A", Alias::Unknown)]
fn blank_ids_and_recipients_of_an_envelope_are_absent(
    #[case] name: &str,
    #[case] sid: &str,
    #[case] alias: Alias,
) {
    let status = r#"{"gs_id":" ","id":"wamid.A","status":"read","recipient_id":"","recipient_user_id":"US.13"}"#;
    let report = report(name, &envelope(status));
    assert_eq!((report.sid.as_str(), report.alias), (sid, alias));
    assert_eq!(report.recipient.reveal(), "US.13");
}

#[rstest]
#[case("{\"entry\":[null]}", "entry")]
#[case(r#"{"entry":[{"changes":{"0":{}}}]}"#, "changes")]
#[case(r#"{"entry":[{"id":"1"}]}"#, "changes")]
#[case(r#"{"entry":[{"changes":["x"]}]}"#, "changes")]
#[case(
    r#"{"entry":[{"changes":[{"field":"messages","value":[]}]}]}"#,
    "value"
)]
#[case(
    r#"{"entry":[{"changes":[{"value":{"statuses":{"0":{"id":"1"}}}}]}]}"#,
    "statuses"
)]
fn part_of_an_envelope_that_is_none_is_one_invalid_element(
    #[case] body: &str,
    #[case] field: &str,
    #[values("meta", "360dialog", "gupshup")] name: &str,
) {
    let good =
        r#"{"changes":[{"value":{"statuses":[{"id":"a","status":"sent","recipient_id":"1"}]}}]}"#;
    let body = body.replace(r#""entry":["#, &format!(r#""entry":[{good},"#));
    let body = body.strip_suffix("]}").unwrap().to_owned() + "," + good + "]}";
    let parsed = parse(name, &body);
    let indexes: Vec<_> = parsed.reports.iter().map(|report| report.index).collect();
    assert_eq!(indexes, [0, 2]);
    let invalid = parsed
        .invalid
        .iter()
        .map(|each| (each.index, each.error.field));
    assert_eq!(invalid.collect::<Vec<_>>(), [(1, field)]);
}

#[test]
fn change_without_anything_known_is_ignored() {
    let body = r#"{"entry":[{"changes":[{"field":"messages","value":{"contacts":[]}}]}]}"#;
    assert_eq!(parse("meta", body).ignored, ["other_value"]);
}

#[rstest]
#[case::none("0")]
#[case::text("\"0\"")]
#[case::null("\"null\"")]
#[case::upper_case("\" NULL \"")]
#[case::blank("\" \"")]
#[case::absent("null")]
fn zero_null_and_blank_are_no_error_code(#[case] code: &str) {
    let infobip = format!(
        r#"{{"results":[{{"messageId":"a","to":"1","status":{{"groupName":"REJECTED","id":{code}}},"error":{{"id":{code}}}}}]}}"#
    );
    let gupshup = format!(
        r#"{{"type":"message-event","payload":{{"type":"failed","id":"a","destination":"1","payload":{{"code":{code},"reason":"x"}}}}}}"#
    );
    let meta = envelope(&format!(
        r#"{{"id":"a","status":"failed","recipient_id":"1","code":{code},"errors":[{{"code":{code}}}]}}"#
    ));
    for (name, body) in [
        ("infobip", &infobip),
        ("gupshup", &gupshup),
        ("meta", &meta),
    ] {
        let report = report(name, body);
        assert_eq!(
            (report.status.as_str(), &report.error),
            ("failed", &None),
            "{name}"
        );
    }
}

#[rstest]
#[case::second(
    r#""errors":[{"title":"a"},{"code":131026,"title":"b"}]"#,
    "131026",
    "b"
)]
#[case::beside(r#""errors":[{"title":"a"}],"code":"470""#, "470", "a")]
#[case::reason(r#""errors":[{"title":"a"}],"code":"470","reason":"c""#, "470", "c")]
#[case::listed(
    r#""errors":[{"code":1,"error_data":{"details":"d"}}],"code":"470""#,
    "1",
    "d"
)]
fn error_is_the_first_with_a_code(#[case] fields: &str, #[case] code: &str, #[case] text: &str) {
    let status = format!(r#"{{"id":"a","status":"failed","recipient_id":"1",{fields}}}"#);
    let error = report("gupshup", &envelope(&status)).error.unwrap();
    assert_eq!((error.code.as_str(), error.text.reveal()), (code, text));
}

#[test]
fn setting_the_url_in_version_3_is_ignored() {
    let body = br#"{"object":"whatsapp_business_account","gs_app_id":"x","entry":[{"changes":[
        {"field":"messages","value":{"statuses":[{"type":"set-callback"}]}}]}]}"#;
    let parsed = with("gupshup", |gupshup| {
        gupshup.parse(gupshup.report_endpoint(), &Lines::default(), body)
    })
    .unwrap();
    assert_eq!(parsed.ignored, ["set-callback"]);
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (0, 0));
}

#[rstest]
#[case("enqueued", Some("wamid."))]
#[case("delivered", Some("wamid."))]
#[case("failed_before_sending", None)]
#[case("read_after_a_week_without_gsid", None)]
fn gupshup_names_both_ids_while_it_knows_them(#[case] name: &str, #[case] alias: Option<&str>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let body = std::fs::read(folder.join(format!("gupshup/{name}.json"))).unwrap();
    let parsed = adapter_integrators::gupshup::gupshup();
    let parsed = parsed
        .parse(parsed.report_endpoint(), &Lines::default(), &body)
        .unwrap();
    match (&parsed.reports[0].alias, alias) {
        (Alias::Known(found), Some(prefix)) => assert!(found.as_str().starts_with(prefix)),
        (found, expected) => assert_eq!((found, expected), (&Alias::Unknown, None)),
    }
}

#[test]
fn redacted_fields_of_an_element_are_its_own() {
    let body = format!(r#"{{"results":[{GOOD},{{"messageId":"b","to":"15550100002"}}]}}"#);
    let fields = with("infobip", |infobip| {
        infobip.redacted_fields(infobip.report_endpoint(), body.as_bytes(), Some(1))
    });
    let shown: Vec<_> = fields.iter().collect();
    let expected = [("messageId", "*** (1 byte)"), ("to", "***0002")];
    assert_eq!(shown, expected);
}

proptest! {
    #[test]
    fn no_json_panics(
        kind in "message-event|user-event|x",
        word in "sent|read|failed|[a-z]{0,9}",
        value in r#"null|0|"[ -!#-\[\]-~]{0,20}"|\[\]|\{\}|-1|1e99"#,
        name in "infobip|gupshup|koomessage|360dialog|meta",
    ) {
        let payload = format!(
            r#"{{"type":"{word}","gsId":{value},"id":{value},"destination":{value},"ts":{value},"payload":{{"code":{value}}}}}"#
        );
        let body = format!(
            r#"{{"type":"{kind}","payload":{payload},"results":[{payload}],"message_id":{value},"entry":{value}}}"#
        );
        with(&name, |integrator| {
            if let Ok(parsed) = integrator.parse(integrator.report_endpoint(), &Lines::default(), body.as_bytes()) {
                for report in parsed.reports {
                    prop_assert!(!report.fields.are_too_long());
                }
            }
            Ok(())
        })?;
    }
}
