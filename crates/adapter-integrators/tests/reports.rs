//! What Twilio sends, as seen in the wild with invented values, and how it is
//! read: one row a file of `fixtures/twilio`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use adapter_integrators::twilio::{form, redacted_fields};
use domain::{InboundStatus, ReportedStatus};
use ports::integrator::ParsedReport;
use rstest::rstest;

const RECIPIENT: &str = "whatsapp:+15550100001";
const SENDER: &str = "whatsapp:+15550100002";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/twilio")
}

fn body(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file).with_extension("form")).expect("the fixture is there")
}

fn parsed(file: &str) -> ParsedReport {
    match form::parse(&body(file), None) {
        Ok(mut parsed) if parsed.reports.len() == 1 => parsed.reports.remove(0),
        other => panic!("{file}: {other:?}"),
    }
}

fn field(report: &ParsedReport, name: &str) -> Option<String> {
    let fields = report.fields.to_pairs();
    fields
        .into_iter()
        .find(|(each, _)| each == name)
        .map(|(_, value)| value)
}

#[rstest]
#[case("vendor_example", "delivered", None, 0)]
#[case("accepted", "accepted", None, 4)]
#[case("scheduled", "scheduled", None, 4)]
#[case("queued", "queued", None, 4)]
#[case("sending", "sending", None, 4)]
#[case("sent", "sent", None, 7)]
#[case("sent_media", "sent", None, 5)]
#[case("sent_messaging_service", "sent", None, 9)]
#[case("partially_delivered", "partially_delivered", None, 4)]
#[case("canceled", "canceled", None, 4)]
#[case("delivered", "delivered", None, 8)]
#[case("delivered_blank_error", "delivered", None, 8)]
#[case("delivered_structured_message", "delivered", None, 10)]
#[case("read", "read", None, 8)]
#[case("read_with_body", "read", None, 3)]
#[case("read_with_external_user", "read", None, 9)]
#[case("failed_outside_window", "failed", Some("63016"), 7)]
#[case("failed_template_missing", "failed", Some("63027"), 9)]
#[case("failed_blank_message", "failed", Some("63012"), 7)]
#[case("undelivered_channel_message", "undelivered", Some("63024"), 9)]
#[case("undelivered_marketing", "undelivered", Some("63049"), 10)]
#[case("undelivered_without_code", "undelivered", None, 8)]
#[case("unescaped_plus", "delivered", None, 4)]
#[case("escaped_space", "sent", None, 1)]
#[case("repeated_equal_field", "sent", None, 2)]
#[case("broken_utf8_elsewhere", "failed", Some("63005"), 2)]
#[case("raw_bytes", "delivered", None, 4)]
#[case("unknown_status", "expired_on_device", None, 9)]
fn a_report_on_whatsapp_is_parsed(
    #[case] file: &str,
    #[case] status: &str,
    #[case] code: Option<&str>,
    #[case] other_fields: usize,
) {
    let report = parsed(file);
    assert_eq!(report.status.as_str(), status);
    assert_eq!(report.error.as_ref().map(|error| error.code.as_str()), code);
    assert_eq!(report.recipient.reveal(), RECIPIENT);
    assert_eq!(report.sender.as_ref().unwrap().reveal(), SENDER);
    assert_eq!(report.fields.to_pairs().len(), other_fields);
    assert_eq!(report.sid.as_str().len(), 34);
    assert_eq!(
        status.parse().ok(),
        report.status.delivery(),
        "a word Twilio documents is one of ours"
    );
}

#[rstest]
#[case(
    "delivered_business_scoped_user",
    "whatsapp:US.1349802745130002",
    SENDER
)]
#[case("delivered_rcs", "rcs:+15550100003", "rcs:example_agent")]
#[case("delivered_sms", "+15550100004", "+15550100005")]
#[case("undelivered_sms", "+15550100004", "+15550100005")]
#[case("unescaped_plus_bare", "+15550100004", "+15550100005")]
#[case("receiving", SENDER, RECIPIENT)]
#[case("received", SENDER, RECIPIENT)]
fn other_addresses_are_stored_unchanged(
    #[case] file: &str,
    #[case] recipient: &str,
    #[case] sender: &str,
) {
    let report = parsed(file);
    assert_eq!(report.recipient.reveal(), recipient);
    assert_eq!(report.sender.as_ref().unwrap().reveal(), sender);
}

#[rstest]
#[case("receiving", InboundStatus::Receiving)]
#[case("received", InboundStatus::Received)]
fn words_about_incoming_messages_are_read(#[case] file: &str, #[case] status: InboundStatus) {
    assert_eq!(parsed(file).status, ReportedStatus::Inbound(status));
}

#[rstest]
#[case("delivered", "EventType", Some("DELIVERED"))]
#[case("delivered", "ChannelToAddress", Some("+1555010XXXX"))]
#[case("delivered_structured_message", "StructuredMessage", Some("true"))]
#[case("delivered_sms", "RawDlrDoneDate", Some("2611221641"))]
#[case(
    "read_with_external_user",
    "ExternalUserId",
    Some("US.1349802745130001")
)]
#[case("read_with_body", "Body", Some("Grüße, 你好 & 100 % 👋\nline two"))]
#[case("unknown_status", "FieldNobodyKnows", Some("1"))]
#[case("repeated_equal_field", "MediaUrl", Some("https://media.example/1"))]
#[case("broken_utf8_elsewhere", "ChannelStatusMessage", Some("caf\u{fffd}"))]
#[case("broken_utf8_elsewhere", "Note", Some("a\u{fffd}b"))]
#[case("raw_bytes", "Flag", Some(""))]
#[case("raw_bytes", "", Some("empty name"))]
#[case("raw_bytes", "Percent", Some("100%"))]
#[case("raw_bytes", "Body", Some("naïve"))]
#[case("delivered_blank_error", "ErrorCode", None)]
#[case("failed_blank_message", "ErrorMessage", None)]
#[case("delivered", "MessageStatus", None)]
fn unparsed_fields_are_stored(#[case] file: &str, #[case] name: &str, #[case] value: Option<&str>) {
    assert_eq!(field(&parsed(file), name).as_deref(), value);
}

#[test]
fn the_words_of_an_error_come_with_its_code() {
    let words = |file| parsed(file).error.unwrap().text.reveal().to_owned();
    assert!(words("failed_outside_window").starts_with("Failed to send freeform message"));
    assert_eq!(words("failed_template_missing"), "");
}

#[test]
fn every_file_is_read_and_none_shows_a_number_when_it_is_refused() {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "form")
        {
            files.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(files.len() >= 35, "{}", files.len());
    for file in files {
        let report = parsed(&file);
        let shown = format!("{:?} {report:?}", redacted_fields::masked(&body(&file)));
        assert!(!shown.contains("5550100"), "{file}: {shown}");
    }
}
