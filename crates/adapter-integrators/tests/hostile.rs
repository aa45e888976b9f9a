//! Bodies that no integrator should send: an unusable element costs no other, nothing panics, and
//! what is kept fits the stores.

use std::fmt::Write as _;

use adapter_integrators::all;
use ports::integrator::{Headers, Integrator, ParsedBody};
use proptest::prelude::*;
use rstest::rstest;

struct NoHeaders;

impl Headers for NoHeaders {
    fn get(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

/// Runs a check with the integrator of a name.
fn with<T>(name: &str, check: impl FnOnce(&dyn Integrator) -> T) -> T {
    let integrators = all();
    let found = integrators.iter().find(|each| each.name().as_str() == name);
    check(found.expect("it is supported").as_ref())
}

fn infobip(body: &str) -> ParsedBody {
    let parsed = with("infobip", |infobip| {
        infobip.parse(infobip.report_endpoint(), &NoHeaders, body.as_bytes())
    });
    parsed.unwrap_or_else(|error| panic!("{error:?}: {body}"))
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

#[test]
fn one_invalid_among_999_costs_no_other() {
    let mut elements = vec![GOOD; 999];
    elements[500] = "7";
    let parsed = infobip(&format!(r#"{{"results":[{}]}}"#, elements.join(",")));
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (998, 1));
}

#[test]
fn hundred_thousand_elements_are_parsed() {
    let mut body = r#"{"results":["#.to_owned();
    for number in 0..100_000 {
        let comma = if number == 0 { "" } else { "," };
        write!(body, r#"{comma}{{"messageId":{number},"to":1,"seenAt":0}}"#).unwrap();
    }
    body.push_str("]}");
    assert_eq!(infobip(&body).reports.len(), 100_000);
}

#[rstest]
#[case(r#"{"results":[]}"#, true)]
#[case(r#"{"results":{}}"#, false)]
#[case(r#"{"results":"x"}"#, false)]
#[case(r#"{"results":null}"#, false)]
#[case("{}", false)]
#[case("[]", false)]
#[case("7", false)]
fn list_that_is_none_is_invalid(#[case] body: &str, #[case] valid: bool) {
    let parsed = with("infobip", |infobip| {
        infobip.parse(infobip.report_endpoint(), &NoHeaders, body.as_bytes())
    });
    match parsed {
        Ok(parsed) => assert!(valid && parsed == ParsedBody::default()),
        Err(_) => assert!(!valid),
    }
}

#[test]
fn setting_the_url_in_version_3_is_ignored() {
    let body = br#"{"object":"whatsapp_business_account","gs_app_id":"x","entry":[{"changes":[
        {"field":"messages","value":{"statuses":[{"type":"set-callback"}]}}]}]}"#;
    let parsed = with("gupshup", |gupshup| {
        gupshup.parse(gupshup.report_endpoint(), &NoHeaders, body)
    })
    .unwrap();
    assert_eq!(parsed.ignored, ["set-callback"]);
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (0, 0));
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
    fn no_body_panics(body: Vec<u8>, name in "infobip|gupshup|koomessage|360dialog|meta|twilio") {
        with(&name, |integrator| {
            let _ = integrator.parse(integrator.report_endpoint(), &NoHeaders, &body);
            let _ = integrator.redacted_fields(integrator.report_endpoint(), &body, Some(0));
        });
    }

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
            if let Ok(parsed) = integrator.parse(integrator.report_endpoint(), &NoHeaders, body.as_bytes()) {
                for report in parsed.reports {
                    prop_assert!(!report.fields.are_too_long());
                }
            }
            Ok(())
        })?;
    }
}
