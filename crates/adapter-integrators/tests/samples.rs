//! Every sample of `fixtures` is parsed as `fixtures/expected.json` says.

use std::path::PathBuf;

use adapter_integrators::all;
use domain::{Alias, ReportedStatus};
use ports::integrator::{Endpoint, Headers, Integrator, ParseError, ParsedReport};
use rstest::rstest;
use serde_json::{Map, Value, json};

struct NoHeaders;

impl Headers for NoHeaders {
    fn get(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn samples(integrator: &str) -> Vec<(String, Vec<u8>, Value)> {
    let expected = std::fs::read(folder().join("expected.json")).expect("it is there");
    let expected: Map<String, Value> = serde_json::from_slice(&expected).expect("a JSON object");
    let own = expected
        .into_iter()
        .filter(|(file, _)| file.split('/').next() == Some(integrator));
    own.map(|(file, expected)| {
        let body = std::fs::read(folder().join(&file)).expect("it is there");
        (file, body, expected)
    })
    .collect()
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
        "sender": report.sender.as_ref().map(domain::Address::reveal),
        "at": report.happened_at.map(|at| at.to_string()),
        "code": report.error.as_ref().map(|error| error.code.as_str()),
    })
}

/// Returns an expected report with its time as this program shows it.
fn normalised(mut report: Value) -> Value {
    if let Some(Value::String(at)) = report.get_mut("at") {
        let time = domain::Timestamp::parse(at).expect("a time");
        *at = time.to_string();
    }
    report
}

/// Returns the endpoint that a sample was sent to.
fn endpoint<'a>(integrator: &'a dyn Integrator, file: &str) -> &'a Endpoint {
    let word = match file.split('/').next_back() {
        Some(name) if name.starts_with("event_streams") => "events",
        Some(name) if name.starts_with("debugger") => "debugger",
        _ => return integrator.report_endpoint(),
    };
    ports::integrator::endpoint(integrator, word).expect("it has this endpoint")
}

#[rstest]
#[case("twilio", 3)]
#[case("infobip", 18)]
#[case("gupshup", 21)]
#[case("koomessage", 4)]
#[case("360dialog", 2)]
#[case("meta", 9)]
fn samples_are_parsed_as_expected(#[case] name: &str, #[case] count: usize) {
    let integrators = all();
    let integrator = integrators.iter().find(|each| each.name().as_str() == name);
    let integrator: &dyn Integrator = integrator.unwrap().as_ref();
    let samples = samples(name);
    assert_eq!(samples.len(), count);
    for (file, body, expected) in samples {
        let parsed = integrator.parse(endpoint(integrator, &file), &NoHeaders, &body);
        if let Some(refused) = expected["refused"].as_str() {
            let Err(ParseError::Invalid(error)) = parsed else {
                panic!("{file}: {parsed:?}");
            };
            assert_eq!(error.expected, refused, "{file}");
            continue;
        }
        let parsed = parsed.unwrap_or_else(|error| panic!("{file}: {error:?}"));
        let reports: Vec<_> = parsed.reports.iter().map(shown).collect();
        let wanted = expected["reports"].as_array().unwrap().clone();
        let wanted: Vec<_> = wanted.into_iter().map(normalised).collect();
        assert_eq!(reports, wanted, "{file}");
        let defects: Vec<_> = parsed
            .invalid
            .iter()
            .map(|invalid| {
                let kind = format!("{:?}", invalid.error.kind).to_lowercase();
                json!({ "at": invalid.index, "field": invalid.error.field, "kind": kind })
            })
            .collect();
        let none = Vec::new();
        let wanted = expected["defects"].as_array().unwrap_or(&none);
        assert_eq!(&defects, wanted, "{file}");
        // A callback that failed is no report either.
        let failures = parsed.callback_failures.len();
        match expected["ignored"].as_str() {
            None => assert_eq!((&*parsed.ignored, failures), (&[""; 0][..], 0), "{file}"),
            Some(_) if name == "twilio" => assert_eq!(failures, 1, "{file}"),
            Some(kind) => assert_eq!(parsed.ignored, [kind.trim_start_matches("a ")], "{file}"),
        }
        let kept = parsed.reports.iter().map(|report| report.fields.as_json());
        assert!(!kept.collect::<String>().contains("private"), "{file}");
    }
}

#[rstest]
#[case("enqueued", Some("wamid."))]
#[case("delivered", Some("wamid."))]
#[case("failed_before_sending", None)]
#[case("read_after_a_week_without_gsid", None)]
fn gupshup_names_both_ids_while_it_knows_them(#[case] name: &str, #[case] alias: Option<&str>) {
    let body = std::fs::read(folder().join(format!("gupshup/{name}.json"))).unwrap();
    let parsed = adapter_integrators::gupshup::gupshup();
    let parsed = parsed
        .parse(parsed.report_endpoint(), &NoHeaders, &body)
        .unwrap();
    match (&parsed.reports[0].alias, alias) {
        (Alias::Known(found), Some(prefix)) => assert!(found.as_str().starts_with(prefix)),
        (found, expected) => assert_eq!((found, expected), (&Alias::Unknown, None)),
    }
}
