//! Bodies: what is no list of reports is refused, and nothing panics.

use ports::integrator::MAX_INVALID_ELEMENTS;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::EndpointUnderTest;

const MANY: usize = 100_000;
const DEPTH: usize = 10_000;

pub(super) fn check(endpoint: EndpointUnderTest<'_>) {
    no_body_panics(endpoint);
    if !endpoint.takes_json() {
        return;
    }
    other_values_are_no_reports(endpoint);
    encodings(endpoint);
    repeated_keys_and_deep_nesting(endpoint);
    if endpoint.batches {
        many_elements_are_parsed(endpoint);
        many_invalid_elements_are_counted(endpoint);
        list_that_is_none_is_refused(endpoint);
    }
}

fn no_body_panics(endpoint: EndpointUnderTest<'_>) {
    let valid = (endpoint.body)(vec![endpoint.valid("a")]);
    let cut_or_changed = (0..valid.len(), any::<u8>(), any::<bool>());
    let bodies = prop_oneof![
        any::<Vec<u8>>(),
        cut_or_changed.prop_map(move |(at, byte, cut)| {
            let mut body = valid.clone();
            if cut {
                body.truncate(at);
            } else if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
            body
        }),
    ];
    let ran = TestRunner::default().run(&bodies, |body| {
        let parsed = endpoint.parse(&body);
        let invalid = parsed.iter().flat_map(|parsed| &parsed.invalid);
        for index in invalid.map(|each| Some(each.index)).chain([None]) {
            let _ = endpoint
                .integrator
                .redacted_fields(endpoint.endpoint, &body, index);
        }
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

fn other_values_are_no_reports(endpoint: EndpointUnderTest<'_>) {
    for value in [
        json!(null),
        json!(7),
        json!("x"),
        json!(true),
        json!({}),
        json!([]),
    ] {
        let parsed = endpoint.parse(value.to_string().as_bytes());
        assert_eq!(
            parsed.map_or(0, |parsed| parsed.reports.len()),
            0,
            "{value}"
        );
    }
    assert!(endpoint.parse(b"").is_err());
}

fn encodings(endpoint: EndpointUnderTest<'_>) {
    let body = (endpoint.body)(vec![endpoint.valid("a")]);
    let with_mark = [b"\xef\xbb\xbf", &*body].concat();
    assert_eq!(endpoint.parse(&with_mark), endpoint.parse(&body));
    let text = String::from_utf8(body).expect("JSON is UTF-8");
    let units = ['\u{feff}'].into_iter().chain(text.chars());
    let units: Vec<u8> = units
        .flat_map(|character| {
            let mut buffer = [0; 2];
            let units = character.encode_utf16(&mut buffer).to_vec();
            units.into_iter().flat_map(u16::to_le_bytes)
        })
        .collect();
    assert!(endpoint.parse(&units).is_err(), "UTF-16 is accepted");
}

fn repeated_keys_and_deep_nesting(endpoint: EndpointUnderTest<'_>) {
    let mut element = endpoint.valid("a");
    let fields = element.as_object_mut().expect("an element is an object");
    fields.insert("zzz".to_owned(), "@".into());
    let body = String::from_utf8((endpoint.body)(vec![element])).expect("JSON is UTF-8");
    let with = |value: &str| endpoint.parse(body.replace(r#""@""#, value).as_bytes());
    let twice = with(r#"1,"zzz":2"#).map(|parsed| parsed.reports.len());
    assert_eq!(twice, Ok(1));
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let nested = [&open.repeat(DEPTH), "1", &close.repeat(DEPTH)].concat();
        let parsed = with(&nested);
        assert!(parsed.map_or(0, |parsed| parsed.reports.len()) <= 1);
        // Not closed, as an attacker would send it.
        assert!(endpoint.parse(open.repeat(DEPTH).as_bytes()).is_err());
    }
}

fn many_elements_are_parsed(endpoint: EndpointUnderTest<'_>) {
    let elements = (0..MANY).map(|number| endpoint.valid(&number.to_string()));
    let parsed = endpoint.parse_elements(elements.collect());
    assert_eq!(parsed.map(|parsed| parsed.reports.len()), Ok(MANY));
}

fn many_invalid_elements_are_counted(endpoint: EndpointUnderTest<'_>) {
    let mut elements = vec![json!(1); MANY];
    elements.push(endpoint.valid("a"));
    let parsed = endpoint.parse_elements(elements);
    let parsed = parsed.expect("unusable elements cost no other");
    let reports: Vec<_> = parsed.reports.iter().map(|report| report.index).collect();
    assert_eq!(reports, [MANY]);
    assert_eq!(parsed.invalid.len(), MAX_INVALID_ELEMENTS);
    assert_eq!(parsed.invalid.len() + parsed.more_invalid, MANY);
}

fn list_that_is_none_is_refused(endpoint: EndpointUnderTest<'_>) {
    let empty = (endpoint.body)(Vec::new());
    let parsed = endpoint.parse(&empty).expect("an empty list is valid");
    assert_eq!((parsed.reports.len(), parsed.invalid.len()), (0, 0));
    for other in [json!({}), json!("x"), Value::Null, json!(7)] {
        let mut body: Value = serde_json::from_slice(&empty).expect("a body is JSON");
        *outermost_list(&mut body).expect("a body has a list") = other;
        let parsed = endpoint.parse(body.to_string().as_bytes());
        assert!(parsed.is_err(), "{body}: {parsed:?}");
    }
}

fn outermost_list(value: &mut Value) -> Option<&mut Value> {
    match value {
        Value::Array(_) => Some(value),
        Value::Object(fields) => fields.values_mut().find_map(outermost_list),
        _ => None,
    }
}
