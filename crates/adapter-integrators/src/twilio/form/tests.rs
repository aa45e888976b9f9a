//! Valid, malformed and hostile forms.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const GOOD: &str =
    "MessageSid=SM1&MessageStatus=sent&To=whatsapp:%2B15550100001&From=whatsapp:%2B15550100002";

fn read_text(body: &str) -> Result<ParsedBody, ParseError> {
    parse(body.as_bytes(), None)
}

fn report(body: &str) -> ParsedReport {
    match read_text(body) {
        Ok(mut parsed) if parsed.reports.len() == 1 => parsed.reports.remove(0),
        other => panic!("{other:?}"),
    }
}

fn validation_error(body: &[u8]) -> ValidationError {
    match parse(body, None) {
        Err(ParseError::Invalid(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_long_fields_are_invalid() {
    // Every byte takes six in JSON.
    let with = |bytes: usize| [GOOD.as_bytes(), b"&a=b&Note=", &vec![1; bytes]].concat();
    let room = FIELDS_LENGTH_MAX - r#"{"a":"b","Note":""}"#.len();
    assert!(parse(&with(room / 6), None).is_ok());
    let refused = validation_error(&with(room / 6 + 1));
    assert_eq!(
        (refused.field, refused.kind),
        ("fields", ValidationErrorKind::TooLong)
    );
    assert!(refused.expected.ends_with("; Note is the longest"));
}

fn split(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields(body)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

#[rstest]
#[case::empty("", &[])]
#[case::only_separators("&&&", &[])]
#[case::plain("a=1&b=2", &[("a", "1"), ("b", "2")])]
#[case::no_value("a&b=", &[("a", ""), ("b", "")])]
#[case::no_name("=1", &[("", "1")])]
#[case::second_equals_sign("a=1=2", &[("a", "1=2")])]
#[case::plus_is_a_space("a+b=c+d", &[("a b", "c d")])]
#[case::escaped_plus("a=%2B+%2b", &[("a", "+ +")])]
#[case::escaped_separators("a%3D%26=%26%3D", &[("a=&", "&=")])]
#[case::a_percent_sign_alone("a=100%&b=%zz&c=%4", &[("a", "100%"), ("b", "%zz"), ("c", "%4")])]
#[case::not_ascii("n%C3%A4me=na\u{ef}ve", &[("näme", "naïve")])]
fn form_is_split_into_fields(#[case] body: &str, #[case] expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    assert_eq!(split(body.as_bytes()), expected);
}

#[rstest]
#[case::unescaped_plus("whatsapp:+15550100001", "whatsapp:+15550100001")]
#[case::escaped_space("whatsapp%3A%2015550100001", "whatsapp:+15550100001")]
#[case::bare_number("+15550100001", "+15550100001")]
#[case::escaped_plus("%2B15550100001", "+15550100001")]
#[case::business_scoped_user("whatsapp:US.1349aB", "whatsapp:US.1349aB")]
#[case::no_plus_at_all("15550100001", "15550100001")]
#[case::scheme_in_capitals("WhatsApp:%2B15550100001", "WhatsApp:%2B15550100001")]
#[case::two_spaces("whatsapp:++15550100001", "whatsapp:  15550100001")]
#[case::space_before_letters("whatsapp:+US.1349", "whatsapp: US.1349")]
#[case::space_at_the_end("whatsapp:%2B15550100001+", "whatsapp:+15550100001 ")]
fn address_is_unchanged_except_for_a_lost_plus(#[case] sent: &str, #[case] kept: &str) {
    let kept = kept.replace("%2B", "+");
    let report = report(&format!(
        "MessageSid=SM1&MessageStatus=sent&To={sent}&From={sent}"
    ));
    assert_eq!(report.recipient.reveal(), kept);
    assert_eq!(report.sender.unwrap().reveal(), kept);
}

#[rstest]
#[case::nothing("", "MessageSid", ValidationErrorKind::Missing)]
#[case::json(r#"{"MessageSid":"SM1"}"#, "MessageSid", ValidationErrorKind::Missing)]
#[case::blank_sid(
    "MessageSid=+&MessageStatus=sent&To=1&From=2",
    "MessageSid",
    ValidationErrorKind::Missing
)]
#[case::letter_case_of_names(
    "messagesid=SM1&MessageStatus=sent&To=1&From=2",
    "MessageSid",
    ValidationErrorKind::Missing
)]
#[case::space_in_sid(
    "MessageSid=S+M&MessageStatus=sent&To=1&From=2",
    "MessageSid",
    ValidationErrorKind::Invalid
)]
#[case::nul_in_sid(
    "MessageSid=S%00M&MessageStatus=sent&To=1&From=2",
    "MessageSid",
    ValidationErrorKind::Invalid
)]
#[case::broken_sid(
    "MessageSid=S%FFM&MessageStatus=sent&To=1&From=2",
    "MessageSid",
    ValidationErrorKind::Invalid
)]
#[case::two_sids(
    "MessageSid=SM1&MessageSid=SM2&MessageStatus=sent&To=1&From=2",
    "MessageSid",
    ValidationErrorKind::Conflicting
)]
#[case::no_status(
    "MessageSid=SM1&SmsStatus=sent&To=1&From=2",
    "MessageStatus",
    ValidationErrorKind::Missing
)]
#[case::nul_in_status(
    "MessageSid=SM1&MessageStatus=se%00nt&To=1&From=2",
    "MessageStatus",
    ValidationErrorKind::Invalid
)]
#[case::two_statuses(
    "MessageSid=SM1&MessageStatus=sent&MessageStatus=read&To=1&From=2",
    "MessageStatus",
    ValidationErrorKind::Conflicting
)]
#[case::no_recipient(
    "MessageSid=SM1&MessageStatus=sent&From=2",
    "To",
    ValidationErrorKind::Missing
)]
#[case::broken_recipient(
    "MessageSid=SM1&MessageStatus=sent&To=%C3&From=2",
    "To",
    ValidationErrorKind::Invalid
)]
#[case::no_sender(
    "MessageSid=SM1&MessageStatus=sent&To=1&From=",
    "From",
    ValidationErrorKind::Missing
)]
#[case::nul_in_sender(
    "MessageSid=SM1&MessageStatus=sent&To=1&From=2%00",
    "From",
    ValidationErrorKind::Invalid
)]
#[case::two_codes(
    "MessageSid=SM1&MessageStatus=sent&To=1&From=2&ErrorCode=1&ErrorCode=2",
    "ErrorCode",
    ValidationErrorKind::Conflicting
)]
#[case::two_messages(
    "MessageSid=SM1&MessageStatus=sent&To=1&From=2&ErrorMessage=a&ErrorMessage=b",
    "ErrorMessage",
    ValidationErrorKind::Conflicting
)]
fn error_names_the_field(
    #[case] body: &str,
    #[case] field: &str,
    #[case] kind: ValidationErrorKind,
) {
    let error = validation_error(body.as_bytes());
    assert_eq!((error.field, error.kind), (field, kind));
}

#[rstest]
#[case(
    "MessageSid",
    "a message id is 1 to 200 printable ASCII characters without spaces"
)]
#[case(
    "MessageStatus",
    "a status is 1 to 64 characters without control characters, like delivered"
)]
fn error_says_what_is_expected_and_never_the_value(#[case] field: &str, #[case] right: &str) {
    let value = "5550100001 ".repeat(100);
    let body = GOOD.replace(&format!("{field}="), &format!("{field}={value}"));
    let error = validation_error(body.as_bytes());
    assert_eq!(error.expected, right);
    assert!(!format!("{error:?}").contains("5550100001"));
}

#[test]
fn code_and_message_form_the_error() {
    let error = report(&format!(
        "{GOOD}&ErrorCode=63016&ErrorMessage=Outside+the+window"
    ))
    .error;
    let error = error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.text.reveal()),
        ("63016", "Outside the window")
    );
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn invalid_error_fields_are_stored_and_do_not_invalidate_the_report() {
    let broken = report(&format!("{GOOD}&ErrorCode=6+3&ErrorMessage=caf%E9"));
    assert_eq!(broken.error, None);
    let fields = broken.fields.to_pairs();
    assert_eq!(
        fields,
        owned(&[("ErrorCode", "6 3"), ("ErrorMessage", "caf\u{fffd}")])
    );
    let words = report(&format!("{GOOD}&ErrorCode=63016&ErrorMessage=caf%E9"))
        .error
        .unwrap();
    assert_eq!(words.text.reveal(), "caf\u{fffd}");
}

#[rstest]
#[case("+63016%09", Some("63016"))]
#[case("63016", Some("63016"))]
#[case("00", Some("00"))]
#[case("0", None)]
#[case("+0+", None)]
#[case("null", None)]
#[case("NULL", None)]
#[case("+%09+", None)]
fn error_code_is_trimmed_and_zero_or_null_means_none(
    #[case] sent: &str,
    #[case] code: Option<&str>,
) {
    let report = report(&format!("{GOOD}&ErrorCode={sent}"));
    let found = report.error.as_ref().map(|error| error.code.as_str());
    assert_eq!(found, code);
}

#[test]
fn blanks_around_id_and_status_are_trimmed() {
    let report = report("MessageSid=+SM1+&MessageStatus=delivered%20&To=1&From=2");
    assert_eq!(report.sid.as_str(), "SM1");
    assert_eq!(
        report.status.delivery(),
        Some(domain::DeliveryStatus::Delivered)
    );
}

#[test]
fn message_without_a_code_is_kept_among_the_other_fields() {
    let report = report(&format!(
        "{GOOD}&ErrorCode=&ErrorMessage=words&EventType=READ"
    ));
    assert_eq!(report.error, None);
    let fields = report.fields.to_pairs();
    assert_eq!(
        fields,
        owned(&[("EventType", "READ"), ("ErrorMessage", "words")])
    );
}

#[test]
fn other_fields_keep_their_order_and_lose_only_unstorable_characters() {
    let report = report(&format!(
        "B=2&{GOOD}&A=%00x&B=1&C=caf%E9&%FF=&MessageSid=SM1"
    ));
    let fields = report.fields.to_pairs();
    assert_eq!(
        fields,
        owned(&[
            ("B", "2"),
            ("B", "1"),
            ("A", "\u{fffd}x"),
            ("C", "caf\u{fffd}"),
            ("\u{fffd}", "")
        ])
    );
}

#[test]
fn unknown_word_is_a_status() {
    let status = report(&GOOD.replace("=sent", "=Teleported")).status;
    assert_eq!(status.as_str(), "Teleported");
}

#[test]
fn the_501st_field_is_one_too_many() {
    let body = format!("{GOOD}{}", "&x=1".repeat(MAX_FIELDS - 4));
    assert!(read_text(&body).is_ok());
    for more in [format!("{body}&x=1"), "x&".repeat(MAX_FIELDS + 1)] {
        assert!(matches!(read_text(&more), Err(ParseError::TooLarge(_))));
    }
}

proptest! {
    #[test]
    fn encoded_form_is_decoded(
        fields in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20),
        spaces_as_plus: bool,
    ) {
        let encoded = |text: &[u8]| {
            let text = percent_encode(text, NON_ALPHANUMERIC).to_string();
            if spaces_as_plus { text.replace("%20", "+") } else { text }
        };
        let body: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        prop_assert_eq!(split(body.join("&").as_bytes()), fields);
    }

    #[test]
    fn no_body_panics(body: Vec<u8>) {
        let _ = parse(&body, None);
    }

    #[test]
    fn no_form_panics(body in "((MessageSid|MessageStatus|To|From|ErrorCode|ErrorMessage|X)(=[ -~]{0,3}(%[0-9A-F]{2})?)?&?){0,12}") {
        if let Ok(parsed) = read_text(&body) {
            prop_assert_eq!(parsed.reports.len(), 1);
        }
    }
}
