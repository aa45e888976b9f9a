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
    broken_values_cost_no_report(endpoint);
    if endpoint.batches {
        broken_elements_cost_no_other(endpoint);
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
        assert_eq!(parsed.map(|parsed| parsed.reports.len()), Ok(1));
        // Not closed, as an attacker would send it.
        assert!(endpoint.parse(open.repeat(DEPTH).as_bytes()).is_err());
    }
}

/// Values that are not valid JSON, as integrators produce them from texts that are cut off, other
/// encodings and languages.
const BROKEN_VALUES: [&[u8]; 10] = [
    br#""A \ud83d""#,
    br#""\udc4d A""#,
    b"\"caf\xe9\"",
    b"\"two\nlines\"",
    br#""\x41""#,
    b"1e400",
    b"NaN",
    b"[1,]",
    br#"{"a" 1}"#,
    br#"{"a":}"#,
];

/// Builds a body with these elements, and replaces the text `@` by other bytes.
fn body_with(endpoint: EndpointUnderTest<'_>, elements: Vec<Value>, bytes: &[u8]) -> Vec<u8> {
    const PLACE: &str = r#""@""#;
    let body = String::from_utf8((endpoint.body)(elements)).expect("JSON is UTF-8");
    let (before, after) = body.split_once(PLACE).expect("an element has the text");
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

fn broken_values_cost_no_report(endpoint: EndpointUnderTest<'_>) {
    for value in BROKEN_VALUES {
        let case = String::from_utf8_lossy(value);
        let mut element = endpoint.valid("b");
        let fields = element.as_object_mut().expect("an element is an object");
        fields.insert("zzz".to_owned(), "@".into());
        let elements = if endpoint.batches {
            vec![endpoint.valid("a"), element, endpoint.valid("c")]
        } else {
            vec![element]
        };
        let count = elements.len();
        let parsed = endpoint.parse(&body_with(endpoint, elements, value));
        let parsed = parsed.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        let indexes: Vec<_> = parsed.reports.iter().map(|report| report.index).collect();
        assert_eq!(indexes, (0..count).collect::<Vec<_>>(), "{case}");
    }
}

fn broken_elements_cost_no_other(endpoint: EndpointUnderTest<'_>) {
    let elements = || vec![endpoint.valid("a"), "@".into(), endpoint.valid("c")];
    let check = |element: &[u8]| {
        let case = String::from_utf8_lossy(element);
        let body = body_with(endpoint, elements(), element);
        let parsed = endpoint.parse(&body);
        let parsed = parsed.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        let indexes: Vec<_> = parsed.reports.iter().map(|report| report.index).collect();
        assert_eq!(indexes, [0, 2], "{case}");
        let invalid: Vec<_> = parsed.invalid.iter().map(|each| each.index).collect();
        assert_eq!(invalid, [1], "{case}");
        let (integrator, endpoint) = (endpoint.integrator, endpoint.endpoint);
        let fields = integrator.redacted_fields(endpoint, &body, Some(1));
        fields.iter().count()
    };
    for element in BROKEN_VALUES {
        check(element);
    }
    // A refused element shows its own fields, although the body is not valid JSON.
    let mut refused = (endpoint.element)(Value::Null, Value::Null);
    let fields = refused.as_object_mut().expect("an element is an object");
    fields.insert("zzz".to_owned(), "@".into());
    let refused = refused.to_string().replace('@', "A \\ud83d");
    assert!(check(refused.as_bytes()) > 0, "no fields are shown");
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
