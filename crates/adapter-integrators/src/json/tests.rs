//! Odd values, long names and deep nesting in JSON bodies.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::flatten::{MAX_BYTES, MAX_FIELDS, MAX_NAME_BYTES, MAX_VALUE_CHARS};
use super::*;

#[rstest]
#[case(json!(" 7 "), Some("7"))]
#[case(json!(7), Some("7"))]
#[case(json!(7.0), None)]
#[case(json!(" "), None)]
#[case(json!(null), None)]
#[case(json!(true), None)]
#[case(json!(["7"]), None)]
fn texts_and_whole_numbers_are_texts(#[case] value: Value, #[case] expected: Option<&str>) {
    let element = json!({ "a": { "b": value } });
    assert_eq!(text(&element, &["a", "b"]).as_deref(), expected);
    assert_eq!(text(&element, &["a", "c"]), None);
    assert_eq!(text(&element, &["a", "b", "c"]), None);
}

#[rstest]
#[case(json!(1_795_166_142), Some("2026-11-20T09:15:42.000000Z"))]
#[case(json!("1795166142"), Some("2026-11-20T09:15:42.000000Z"))]
#[case(json!(1_795_166_142_318_i64), Some("2026-11-20T09:15:42.318000Z"))]
#[case(json!(0), None)]
#[case(json!(-5), None)]
#[case(json!(i64::MAX), None)]
#[case(json!("soon"), None)]
fn unix_times_are_seconds_or_milliseconds(#[case] value: Value, #[case] expected: Option<&str>) {
    let time = unix_time(&json!({ "ts": value }), &["ts"]);
    assert_eq!(time.map(|time| time.to_string()).as_deref(), expected);
}

#[rstest]
#[case("2026-11-20T09:15:42.318+0000", Some("2026-11-20T09:15:42.318000Z"))]
#[case("2026-11-20T09:15:42.318-0300", Some("2026-11-20T12:15:42.318000Z"))]
#[case("2026-11-20T09:15:42+05:30", Some("2026-11-20T03:45:42.000000Z"))]
#[case("2026-11-20T09:15:42Z", Some("2026-11-20T09:15:42.000000Z"))]
#[case("9999-12-31T23:59:59.999+0000", Some("9999-12-31T23:59:59.999000Z"))]
#[case("2026-11-20 09:15", None)]
#[case("-0300", None)]
#[case("é0300", None)]
#[case("tomorrow", None)]
fn iso_times_may_lack_the_colon_of_their_offset(
    #[case] text: &str,
    #[case] expected: Option<&str>,
) {
    let time = iso_time(&json!({ "at": text }), &["at"]);
    assert_eq!(time.map(|time| time.to_string()).as_deref(), expected);
}

#[test]
fn fields_are_flattened_without_the_text_of_a_message() {
    let element = json!({
        "id": "1", "status": { "name": "SENT", "id": 5, "final": true, "none": null },
        "list": [1, { "a": "b" }], "message": { "text": "private" }, "status2": { "text": "x" },
    });
    let expected = r#"{"status.name":"SENT","status.id":"5","status.final":"true","list.0":"1","list.1.a":"b"}"#;
    assert_eq!(fields(&element, &["id"]).as_json(), expected);
}

#[test]
fn many_deep_and_long_fields_are_cut() {
    let wide = Value::Array(vec![json!("x"); 100_000]);
    assert_eq!(fields(&wide, &[]).to_pairs().len(), MAX_FIELDS);
    let deep = (0..100).fold(json!("x"), |inner, _| json!({ "a": inner }));
    assert_eq!(fields(&deep, &[]).to_pairs(), []);
    let long = fields(&json!({ "a": "é".repeat(5_000) }), &[]);
    assert_eq!(long.to_pairs()[0].1.chars().count(), MAX_VALUE_CHARS);
}

/// An object whose only member has a long name and holds `value`.
fn under_long_name(bytes: usize, value: Value) -> Value {
    Value::Object([("n".repeat(bytes), value)].into_iter().collect())
}

#[rstest]
#[case::over_an_array(under_long_name(2_000_000, vec![1; 1_000_000].into()))]
#[case::over_an_object(under_long_name(
    2_000_000,
    (0..100).map(|number| (number.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into(),
))]
#[case::joined(under_long_name(250, json!({ "letters": "x", "y": { "zzzzz": "x" } })))]
fn fields_with_long_names_are_left_out(#[case] long: Value) {
    let mut element = long;
    element["ok"] = "kept".into();
    assert_eq!(fields(&element, &[]).as_json(), r#"{"ok":"kept"}"#);
    let masked = redacted(&element);
    assert_eq!(masked.iter().collect::<Vec<_>>(), [("ok", "*** (4 bytes)")]);
}

#[test]
fn longest_name_is_kept() {
    let element = under_long_name(MAX_NAME_BYTES - 2, json!({ "a": "x", "bc": "y" }));
    let names: Vec<_> = fields(&element, &[]).to_pairs();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].0.len(), MAX_NAME_BYTES);
}

#[rstest]
#[case::escaped("\u{1}")]
#[case::quotes("\"")]
#[case::four_bytes("👍")]
fn element_with_many_long_values_is_cut_to_what_stores_accept(#[case] character: &str) {
    let value = character.repeat(2 * MAX_VALUE_CHARS);
    let element = Value::Array(vec![value.into(); 2 * MAX_FIELDS]);
    let kept = fields(&element, &[]);
    assert!(!kept.are_too_long());
    let kept = kept.to_pairs();
    let bytes = kept.iter().map(|(name, value)| name.len() + value.len());
    let bytes = bytes.sum::<usize>();
    // The next value does not fit, or there are as many fields as are kept.
    let next = character.len() * MAX_VALUE_CHARS + 3;
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    assert!(bytes + next > MAX_BYTES || kept.len() == MAX_FIELDS);
}

#[test]
fn interpreted_fields_count_for_no_limit() {
    let mut element = Value::Array(vec![json!("x"); MAX_FIELDS + 1]);
    element[0] = "y".repeat(2 * MAX_BYTES).into();
    assert_eq!(fields(&element, &["0"]).to_pairs().len(), MAX_FIELDS);
}

#[test]
fn redacted_fields_hold_nothing_personal() {
    let element = json!({
        "to": "15550100001", "contact": { "name": "A. Example", "phoneNumber": "15550100001" },
        "status": { "groupName": "DELIVERED", "id": 5, "note": "15550100001" },
        "type": "call 15550100001", "number": 15_550_100_001_i64, "15550100001": "x",
    });
    let masked = redacted(&element);
    let shown: Vec<_> = masked.iter().collect();
    let expected = [
        ("to", "***0001"),
        ("contact.name", "*** (10 bytes)"),
        ("contact.phoneNumber", "***0001"),
        ("status.groupName", "DELIVERED"),
        ("status.id", "5"),
        ("status.note", "*** (11 bytes)"),
        ("type", "*** (16 bytes)"),
        ("number", "*** (11 bytes)"),
        ("***", "*** (1 byte)"),
    ];
    assert_eq!(shown, expected);
}

#[rstest]
#[case(b"")]
#[case(b"[")]
#[case(b"\xff\xfe{\0}\0")]
#[case(b"{\"a\":\"b\"")]
fn other_bodies_are_invalid(#[case] bytes: &[u8]) {
    assert!(matches!(body(bytes), Err(ParseError::Invalid(_))));
}

#[test]
fn byte_order_mark_is_skipped() {
    assert_eq!(body(b"\xef\xbb\xbf{}"), Ok(json!({})));
}

#[test]
fn broken_values_are_replaced() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let repaired = body(format!(r#"{{"a":"\ud83d","b":1e400,"c":{{"d":{deep}}}}}"#).as_bytes());
    let repaired = repaired.unwrap();
    assert_eq!(text(&repaired, &["a"]).as_deref(), Some("\u{fffd}"));
    assert_eq!(at(&repaired, &["b"]), None);
    assert_eq!(fields(&repaired, &["a"]).to_pairs(), []);
}

proptest! {
    #[test]
    fn no_text_breaks_a_time(text in ".{0,40}") {
        let element = json!({ "at": text });
        let _ = (iso_time(&element, &["at"]), unix_time(&element, &["at"]));
    }
}
