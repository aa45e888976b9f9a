//! Real requests, and what a correct receiver concludes from each.

use std::path::Path;

use domain::{Address, ReportedStatus, Timestamp};
use ports::integrator::{Endpoint, Integrator, ParseError, ParsedReport, endpoint};
use serde_json::{Map, Value, json};

use super::Lines;

/// Parses all requests of an integrator in `folder`, and compares what they contain with
/// `expected.json` there. Returns how many there are. `path_word` returns the path word of the
/// endpoint that a file was sent to; `None` is that of reports.
///
/// # Panics
///
/// If a file is missing, or contains something else.
pub fn check(
    integrator: &dyn Integrator,
    folder: &Path,
    path_word: fn(file: &str) -> Option<&'static str>,
) -> usize {
    let expected = std::fs::read(folder.join("expected.json")).expect("it is there");
    let expected: Map<String, Value> = serde_json::from_slice(&expected).expect("a JSON object");
    let name = integrator.name().as_str();
    let own = expected
        .iter()
        .filter(|(file, _)| file.split('/').next() == Some(name));
    let mut count = 0;
    for (file, expected) in own {
        let body = std::fs::read(folder.join(file)).expect("it is there");
        let sent_to = match path_word(file) {
            None => integrator.report_endpoint(),
            Some(word) => endpoint(integrator, word).expect("it has this endpoint"),
        };
        compare(integrator, sent_to, (file, &body), expected);
        count += 1;
    }
    count
}

fn compare(
    integrator: &dyn Integrator,
    endpoint: &Endpoint,
    (file, body): (&str, &[u8]),
    expected: &Value,
) {
    let parsed = integrator.parse(endpoint, &Lines(Vec::new()), body);
    if let Some(refused) = text(expected, "refused") {
        let Err(ParseError::Invalid(error)) = parsed else {
            panic!("{file}: {parsed:?}");
        };
        assert_eq!(error.expected, refused, "{file}");
        return;
    }
    let parsed = parsed.unwrap_or_else(|error| panic!("{file}: {error:?}"));
    let reports: Vec<_> = parsed.reports.iter().map(shown).collect();
    let wanted: Vec<_> = list(expected, "reports").map(normalised).collect();
    assert_eq!(reports, wanted, "{file}");
    let defects = parsed.invalid.iter().map(|invalid| {
        let kind = format!("{:?}", invalid.error.kind).to_lowercase();
        json!({ "at": invalid.index, "field": invalid.error.field, "kind": kind })
    });
    let wanted: Vec<_> = list(expected, "defects").cloned().collect();
    assert_eq!(defects.collect::<Vec<_>>(), wanted, "{file}");
    let ignored: Vec<_> = text(expected, "ignored").into_iter().collect();
    match list(expected, "callback_failures").next() {
        // A callback that failed is no report, and has an effect.
        Some(sid) => {
            let failed = parsed.callback_failures.iter();
            let failed: Vec<_> = failed.map(|failure| json!(failure.sid.as_str())).collect();
            assert_eq!(failed, std::slice::from_ref(sid), "{file}");
        }
        None => assert_eq!(parsed.ignored, ignored, "{file}"),
    }
    let kept = parsed.reports.iter().map(|report| report.fields.as_json());
    assert!(!kept.collect::<String>().contains("private"), "{file}");
}

fn text<'a>(expected: &'a Value, name: &str) -> Option<&'a str> {
    expected.get(name).and_then(Value::as_str)
}

fn list<'a>(expected: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = expected.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn shown(report: &ParsedReport) -> Value {
    let status = match &report.status {
        ReportedStatus::Delivery(status) => status.as_str().to_owned(),
        other => format!("unknown:{}", other.as_str()),
    };
    json!({
        "message_id": report.sid.as_str(),
        "status": status,
        "recipient": report.recipient.reveal(),
        "sender": report.sender.as_ref().map(Address::reveal),
        "at": report.happened_at.map(|at| at.to_string()),
        "code": report.error.as_ref().map(|error| error.code.as_str()),
    })
}

/// Returns an expected report with its time as this program shows it.
fn normalised(report: &Value) -> Value {
    let mut report = report.clone();
    if let Some(Value::String(at)) = report.get_mut("at") {
        let time = Timestamp::parse(at).expect("a time");
        *at = time.to_string();
    }
    report
}
