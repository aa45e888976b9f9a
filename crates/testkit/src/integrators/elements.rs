//! Elements of a batch: each is validated separately, and an odd value does not cost the report.

use domain::ReportFields;
use serde_json::{Value, json};

use super::EndpointUnderTest;

pub(super) fn check(endpoint: EndpointUnderTest<'_>) {
    numbers_and_texts_are_interchangeable(endpoint);
    values_that_are_no_id_or_recipient_are_refused(endpoint);
    blank_alternatives_are_absent(endpoint);
    times_do_not_matter(endpoint);
    long_fields_fit_the_stores(endpoint);
    refused_elements_show_no_number(endpoint);
    if endpoint.batches {
        unusable_elements_cost_no_other(endpoint);
        repeated_message_is_reported_twice(endpoint);
    }
}

fn numbers_and_texts_are_interchangeable(endpoint: EndpointUnderTest<'_>) {
    for (id, recipient) in [
        (json!("7"), json!("15550100001")),
        (json!(7), json!(15_550_100_001_u64)),
        (json!(" 7 "), json!(" 15550100001 ")),
    ] {
        let case = format!("{id} {recipient}");
        let element = (endpoint.element)(id, recipient);
        let parsed = endpoint.parse_elements(vec![element]);
        let parsed = parsed.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        let [report] = parsed.reports.as_slice() else {
            panic!("{case}: {parsed:?}");
        };
        assert_eq!(report.sid.as_str(), "7", "{case}");
        assert_eq!(report.recipient.reveal().trim(), "15550100001", "{case}");
        assert_eq!(report.status.as_str(), "delivered", "{case}");
        assert_eq!(report.index, 0, "{case}");
    }
}

fn values_that_are_no_id_or_recipient_are_refused(endpoint: EndpointUnderTest<'_>) {
    let to = json!("15550100001");
    // In a form every value is a text.
    let fraction = if endpoint.takes_json() {
        json!(1.5)
    } else {
        json!("")
    };
    for (id, recipient) in [
        (fraction, to.clone()),
        (Value::Null, to.clone()),
        (json!(""), to.clone()),
        (json!("a b"), to.clone()),
        (json!("a\u{0}"), to.clone()),
        (json!("x".repeat(201)), to.clone()),
        (json!("a"), Value::Null),
        (json!("a"), json!("")),
        (json!("a"), json!("1\u{0}")),
        (json!("a"), json!("1".repeat(300))),
    ] {
        let case = format!("{id} {recipient}");
        let is_absent = recipient.is_null() || recipient == "";
        if is_absent && endpoint.optional_recipient {
            continue;
        }
        let element = (endpoint.element)(id, recipient);
        if let Ok(parsed) = endpoint.parse_elements(vec![element]) {
            assert_eq!(
                (parsed.reports.len(), parsed.invalid.len()),
                (0, 1),
                "{case}"
            );
        }
    }
}

/// A blank field is absent, also where its presence decides what a report is about.
fn blank_alternatives_are_absent(endpoint: EndpointUnderTest<'_>) {
    let element = endpoint.valid("a");
    let expected = endpoint.parse_elements(vec![element.clone()]);
    let expected = expected.expect("a valid element").reports;
    for pointer in endpoint.alternatives {
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
        for blank in [Value::Null, json!(""), json!(" ")] {
            let mut element = element.clone();
            let fields = element.pointer_mut(parent).and_then(Value::as_object_mut);
            let fields = fields.expect("an element has these objects");
            fields.insert(name.to_owned(), blank);
            let parsed = endpoint.parse_elements(vec![element.clone()]);
            let parsed = parsed.unwrap_or_else(|error| panic!("{element}: {error:?}"));
            let [report] = parsed.reports.as_slice() else {
                panic!("{element}: {parsed:?}");
            };
            let mut report = report.clone();
            report.fields = ReportFields::default();
            let mut expected = expected.clone();
            for report in &mut expected {
                report.fields = ReportFields::default();
            }
            assert_eq!(expected, [report], "{element}");
        }
    }
}

fn times_do_not_matter(endpoint: EndpointUnderTest<'_>) {
    let Some(set_time) = endpoint.set_time else {
        return;
    };
    for far_future in [false, true] {
        let mut element = endpoint.valid("a");
        set_time(&mut element, far_future);
        let parsed = endpoint.parse_elements(vec![element.clone()]);
        let reports = parsed.map(|parsed| parsed.reports.len());
        assert_eq!(reports, Ok(1), "{element}");
    }
}

/// Names of fields that nothing interprets come with any content.
fn long_fields_fit_the_stores(endpoint: EndpointUnderTest<'_>) {
    let mut element = endpoint.valid("a");
    let fields = element.as_object_mut().expect("an element is an object");
    for number in 0..200 {
        let value = format!("\u{1}\u{fffd}\"{}", "x".repeat(number * 10));
        fields.insert(format!("zzz{number}"), value.into());
    }
    fields.insert("zzz".to_owned(), Value::Null);
    if let Ok(parsed) = endpoint.parse_elements(vec![element]) {
        for report in parsed.reports {
            assert!(!report.fields.are_too_long());
            let again = ReportFields::from_json(report.fields.as_json());
            assert_eq!(again.ok(), Some(report.fields));
        }
    }
}

fn refused_elements_show_no_number(endpoint: EndpointUnderTest<'_>) {
    let mut element = (endpoint.element)(Value::Null, "15550100001".into());
    let fields = element.as_object_mut().expect("an element is an object");
    fields.insert("profile".to_owned(), "call 15550100001".into());
    let body = (endpoint.body)(vec![element]);
    for index in [None, Some(0), Some(7)] {
        let redacted = endpoint
            .integrator
            .redacted_fields(endpoint.endpoint, &body, index);
        let shown = format!("{:?}", redacted.iter().collect::<Vec<_>>());
        assert!(!shown.contains("5550100"), "{shown}");
    }
}

fn unusable_elements_cost_no_other(endpoint: EndpointUnderTest<'_>) {
    for unusable in [
        Value::Null,
        json!([]),
        json!({}),
        json!(7),
        json!("x"),
        (endpoint.element)(Value::Null, Value::Null),
    ] {
        let mut elements: Vec<_> = (0..999)
            .map(|number| endpoint.valid(&format!("id{number}")))
            .collect();
        *elements.get_mut(500).expect("there are 999") = unusable.clone();
        let parsed = endpoint.parse_elements(elements);
        let parsed = parsed.unwrap_or_else(|error| panic!("{unusable}: {error:?}"));
        assert_eq!(parsed.reports.len(), 998, "{unusable}");
        let invalid: Vec<_> = parsed.invalid.iter().map(|each| each.index).collect();
        assert_eq!(invalid, [500], "{unusable}");
    }
}

fn repeated_message_is_reported_twice(endpoint: EndpointUnderTest<'_>) {
    let twice = vec![endpoint.valid("a"), endpoint.valid("a")];
    let parsed = endpoint.parse_elements(twice).expect("a batch of two");
    let indexes: Vec<_> = parsed.reports.iter().map(|report| report.index).collect();
    assert_eq!(indexes, [0, 1]);
}
