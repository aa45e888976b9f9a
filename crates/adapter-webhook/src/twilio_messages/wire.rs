//! The JSON of Twilio's Messages API. The text of a message comes along and is not read.

use domain::report::ReportError;
use domain::{Address, ErrorCode, ErrorText, MessageSid, ReportedStatus, Timestamp};
use ports::error::Source;
use ports::message_records::{MessageRecord, RecordsPage, RecordsPlace};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// A message.
#[derive(Deserialize)]
struct WireMessage {
    sid: String,
    status: String,
    direction: Option<String>,
    to: Option<String>,
    from: Option<String>,
    /// A number; a text is accepted too.
    error_code: Option<Value>,
    error_message: Option<String>,
    date_updated: Option<String>,
}

/// A page of a list.
#[derive(Deserialize)]
struct WirePage {
    messages: Vec<Value>,
    next_page_uri: Option<String>,
}

/// An error.
#[derive(Deserialize)]
struct WireError {
    code: u64,
}

/// The maximum length of the place of a page.
const PLACE_MAX: usize = 4_096;

/// The body is not the expected JSON. The parser's own message can contain parts of the body, such
/// as the text of a message.
#[derive(Debug, thiserror::Error)]
#[error("the response is not the expected JSON (line {line}, column {column})")]
struct InvalidJson {
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for InvalidJson {
    fn from(error: serde_json::Error) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Returns the code of an error response.
pub(super) fn error_code(body: &[u8]) -> Option<u64> {
    let error: WireError = serde_json::from_slice(body).ok()?;
    Some(error.code)
}

/// Parses a message; `None` if it is an incoming one.
pub(super) fn record(body: &[u8]) -> Result<Option<MessageRecord>, Source> {
    parse(serde_json::from_slice(body).map_err(InvalidJson::from)?)
}

/// Parses a page. A message that cannot be parsed is counted and costs no other.
pub(super) fn page(body: &[u8]) -> Result<RecordsPage, Source> {
    let page: WirePage = serde_json::from_slice(body).map_err(InvalidJson::from)?;
    let (mut records, mut unreadable) = (Vec::with_capacity(page.messages.len()), 0);
    for message in page.messages {
        match serde_json::from_value(message)
            .map_err(|error| InvalidJson::from(error).into())
            .and_then(parse)
        {
            Ok(record) => records.extend(record),
            Err(_) => unreadable += 1,
        }
    }
    let next = page.next_page_uri.filter(|next| !next.is_empty());
    if next.as_ref().is_some_and(|next| next.len() > PLACE_MAX) {
        return Err("the address of the next page is too long".into());
    }
    Ok(RecordsPage {
        records,
        unreadable,
        next: next.map(RecordsPlace),
    })
}

fn parse(message: WireMessage) -> Result<Option<MessageRecord>, Source> {
    if message.direction.as_deref() == Some("inbound") {
        return Ok(None);
    }
    let code = message.error_code.and_then(|code| match code {
        Value::Number(code) => Some(code.to_string()),
        Value::String(code) => Some(code),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    let code = code.filter(|code| !code.is_empty() && code != "0");
    let code = code.map(|code| ErrorCode::parse(&code)).transpose()?;
    let text = message.error_message.unwrap_or_default();
    let sender = message.from.filter(|from| !from.is_empty());
    Ok(Some(MessageRecord {
        sid: MessageSid::parse(&message.sid)?,
        status: ReportedStatus::parse(&message.status)?,
        error: code.map(|code| ReportError {
            code,
            text: ErrorText::new(&text),
        }),
        recipient: Address::parse(&message.to.unwrap_or_default())?,
        sender: sender.as_deref().map(Address::parse).transpose()?,
        updated_at: message.date_updated.as_deref().and_then(date),
    }))
}

/// Parses a date like `Fri, 24 May 2019 17:44:46 +0000`; `None` if it is invalid: it is evidence
/// only.
fn date(text: &str) -> Option<Timestamp> {
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Timestamp::try_from(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = r#"{
        "account_sid": "AC00000000000000000000000000000001",
        "body": "private words",
        "date_created": "Fri, 24 May 2019 17:44:46 +0000",
        "date_sent": null,
        "date_updated": "Fri, 24 May 2019 17:44:50 +0000",
        "direction": "outbound-api",
        "error_code": 63016,
        "error_message": "outside the allowed window",
        "from": "whatsapp:+15550109999",
        "sid": "SM00000000000000000000000000000001",
        "status": "undelivered",
        "to": "whatsapp:+15550100001",
        "price": null,
        "new_field": {"of": ["tomorrow"]}
    }"#;

    #[test]
    fn message_is_parsed_without_its_text() {
        let record = record(FAILED.as_bytes()).unwrap().unwrap();
        let expected = MessageRecord {
            sid: MessageSid::parse("SM00000000000000000000000000000001").unwrap(),
            status: ReportedStatus::parse("undelivered").unwrap(),
            error: Some(ReportError {
                code: ErrorCode::parse("63016").unwrap(),
                text: ErrorText::new("outside the allowed window"),
            }),
            recipient: Address::parse("whatsapp:+15550100001").unwrap(),
            sender: Some(Address::parse("whatsapp:+15550109999").unwrap()),
            updated_at: Some(Timestamp::parse("2019-05-24T17:44:50Z").unwrap()),
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn incoming_message_is_left_out() {
        let incoming = FAILED.replace("outbound-api", "inbound");
        assert_eq!(record(incoming.as_bytes()).unwrap(), None);
    }

    #[test]
    fn unreadable_message_costs_no_other() {
        let body = format!(
            r#"{{"messages": [{{"sid": 7}}, {FAILED}, null], "page": 0,
                 "next_page_uri": "/2010-04-01/Accounts/AC1/Messages.json?Page=1"}}"#
        );
        let page = page(body.as_bytes()).unwrap();
        assert_eq!((page.records.len(), page.unreadable), (1, 2));
        let next = "/2010-04-01/Accounts/AC1/Messages.json?Page=1".to_owned();
        assert_eq!(page.next, Some(RecordsPlace(next)));
    }

    #[test]
    fn error_shows_nothing_of_the_body() {
        for body in [
            &br#""private words""#[..],
            br#"{"messages": "private words"}"#,
            br#"{"messages": [], "next_page_uri": {"private": "words"}}"#,
            b"{\"private\0words\":",
        ] {
            let error = page(body).unwrap_err().to_string();
            assert!(error.starts_with("the response is not"), "{error}");
            assert!(record(body).is_err());
        }
    }

    #[test]
    fn place_of_a_page_is_bounded() {
        let body = format!(
            r#"{{"messages": [], "next_page_uri": "{}"}}"#,
            "x".repeat(4_097)
        );
        assert!(page(body.as_bytes()).is_err());
    }

    #[test]
    fn last_page_has_no_next() {
        let page = page(br#"{"messages": [], "next_page_uri": null}"#).unwrap();
        assert_eq!(page.next, None);
    }

    #[test]
    fn odd_dates_and_codes_do_not_refuse_a_message() {
        let odd = FAILED
            .replace("Fri, 24 May 2019 17:44:50 +0000", "yesterday")
            .replace("63016", "null");
        let record = record(odd.as_bytes()).unwrap().unwrap();
        assert_eq!((record.updated_at, record.error), (None, None));
    }
}
