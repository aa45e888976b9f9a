//! Journal entries as JSON, one object per record, so that they can be read by eye in an
//! emergency.

use std::error::Error;

use domain::report::{ReportError, ReportFields};
use domain::{
    Address, Alias, ChannelId, CredentialId, ErrorCode, ErrorText, IntegratorName, MessageKey,
    MessageSid, Report, ReportedStatus, Timestamp,
};
use ports::JournalEntry;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct JournalRecord {
    integrator: String,
    channel: String,
    sid: String,
    /// Another id of the message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    alias: Option<String>,
    /// Whether `sid` may be an alias.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    maybe_alias: bool,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    error: Option<JournalRecordError>,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    from: Option<String>,
    /// Microseconds since 1970.
    arrived_at: i64,
    /// Microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    happened_at: Option<i64>,
    credential: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    idempotency_token: Option<String>,
    /// A JSON object as text, as in the stores.
    fields: String,
}

#[derive(Serialize, Deserialize)]
struct JournalRecordError {
    code: String,
    text: String,
}

/// Encodes an entry.
pub(super) fn encode(entry: &JournalEntry) -> Result<Vec<u8>, serde_json::Error> {
    let report = &entry.report;
    serde_json::to_vec(&JournalRecord {
        integrator: entry.integrator.as_str().to_owned(),
        channel: report.key.channel.as_str().to_owned(),
        sid: report.key.sid.as_str().to_owned(),
        alias: match &report.alias {
            Alias::Known(alias) => Some(alias.as_str().to_owned()),
            Alias::None | Alias::Unknown => None,
        },
        maybe_alias: report.alias == Alias::Unknown,
        status: report.status.as_str().to_owned(),
        error: report.error.as_ref().map(|error| JournalRecordError {
            code: error.code.as_str().to_owned(),
            text: error.text.reveal().to_owned(),
        }),
        to: report.recipient.reveal().to_owned(),
        from: report.sender.as_ref().map(|it| it.reveal().to_owned()),
        arrived_at: report.arrived_at.unix_micros(),
        happened_at: report.happened_at.map(Timestamp::unix_micros),
        credential: report.credential.to_string(),
        idempotency_token: report.idempotency_token.clone(),
        fields: report.fields.as_json().to_owned(),
    })
}

/// Decodes a record whose checksum matched.
pub(super) fn decode(bytes: &[u8]) -> Result<JournalEntry, Box<dyn Error + Send + Sync>> {
    let wire: JournalRecord = serde_json::from_slice(bytes)?;
    let error = match wire.error {
        Some(error) => Some(ReportError {
            code: ErrorCode::parse(&error.code)?,
            text: ErrorText::new(&error.text),
        }),
        None => None,
    };
    let alias = match wire.alias {
        Some(alias) => Alias::Known(MessageSid::parse(&alias)?),
        None if wire.maybe_alias => Alias::Unknown,
        None => Alias::None,
    };
    Ok(JournalEntry {
        integrator: IntegratorName::parse(&wire.integrator)?,
        report: Report {
            key: MessageKey {
                channel: ChannelId::parse(&wire.channel)?,
                sid: MessageSid::parse(&wire.sid)?,
            },
            alias,
            status: ReportedStatus::parse(&wire.status)?,
            error,
            recipient: Address::parse(&wire.to)?,
            sender: wire.from.as_deref().map(Address::parse).transpose()?,
            arrived_at: Timestamp::from_unix_micros(wire.arrived_at)?,
            happened_at: wire
                .happened_at
                .map(Timestamp::from_unix_micros)
                .transpose()?,
            credential: CredentialId(Uuid::parse_str(&wire.credential)?),
            idempotency_token: wire.idempotency_token,
            fields: ReportFields::from_json(&wire.fields)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use testkit::builders::report;

    use super::*;

    #[test]
    fn aliases_come_back() {
        for report in [
            report("gs-1").alias("wamid.1"),
            report("wamid.1").maybe_alias(),
            report("SM1"),
        ] {
            let entry = JournalEntry {
                integrator: IntegratorName::parse("gupshup").unwrap(),
                report: report.build(),
            };
            let decoded = decode(&encode(&entry).unwrap()).unwrap();
            assert_eq!(decoded.report, entry.report);
        }
    }
}
