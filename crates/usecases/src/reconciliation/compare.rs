//! Compares messages with the integrator's records of them.

use std::collections::{HashMap, HashSet};

use domain::{
    Address, Alias, CredentialId, Effect, Message, MessageKey, MessageSid, Report, ReportFields,
    Timestamp,
};
use ports::message_records::{MessageRecord, RecordsError, RecordsQuery};

use super::requests::PacedRequests;

/// Up to how many messages are looked up one by one. More are searched in the integrator's list
/// first, which has 1,000 messages on a page.
const MAX_SINGLE_LOOKUPS: usize = 20;

/// How many lookups a page of the list may stand for: a list that is longer than that is left.
const LOOKUPS_PER_PAGE: usize = 10;

/// How long before its first report a message may have been sent, by the integrator's clock.
const SENT_BEFORE_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Returns the report that a message lacks: one that advances its status, or that tells of a
/// failure or an arrival after which it is contradicted. `None` if the record says nothing new.
pub(super) fn missing_report(
    message: &Message,
    record: &MessageRecord,
    now: Timestamp,
) -> Option<Report> {
    let report = to_report(message.key.clone(), record, now);
    let mut after = message.clone();
    match after.absorb(&report) {
        Effect::Advanced => Some(report),
        Effect::Late if after.state.contradicted() != message.state.contradicted() => Some(report),
        Effect::Late | Effect::Duplicate | Effect::UnknownStatus | Effect::Inbound => None,
    }
}

/// Returns the report of a message that is not known; `None` if its status is no step of a message
/// that was sent.
pub(super) fn first_report(
    key: MessageKey,
    record: &MessageRecord,
    now: Timestamp,
) -> Option<Report> {
    record.status.delivery()?;
    Some(to_report(key, record, now))
}

/// Converts a record to a report that arrives now: its own time is that of another clock.
fn to_report(key: MessageKey, record: &MessageRecord, now: Timestamp) -> Report {
    Report {
        key,
        alias: Alias::None,
        status: record.status.clone(),
        error: record.error.clone(),
        recipient: record.recipient.clone(),
        sender: record.sender.clone(),
        arrived_at: now,
        happened_at: record.updated_at,
        credential: CredentialId::RECONCILIATION,
        idempotency_token: None,
        fields: ReportFields::default(),
    }
}

/// Returns the records of messages. Messages that the integrator does not know are absent, and
/// those whose record cannot be read.
pub(super) async fn records_of(
    messages: &[Message],
    requests: &mut PacedRequests,
) -> Result<HashMap<MessageSid, MessageRecord>, RecordsError> {
    let mut records = HashMap::with_capacity(messages.len());
    if messages.len() > MAX_SINGLE_LOOKUPS {
        for (sender, messages) in by_sender(messages) {
            search_list(sender, &messages, requests, &mut records).await?;
        }
    }
    for message in messages {
        let sid = &message.key.sid;
        if !records.contains_key(sid)
            && let Some(record) = requests.find(sid).await?
        {
            records.insert(sid.clone(), record);
        }
    }
    Ok(records)
}

fn by_sender(messages: &[Message]) -> HashMap<&Address, Vec<&Message>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for message in messages {
        if let Some(sender) = &message.parties.sender {
            groups.entry(sender).or_default().push(message);
        }
    }
    groups
}

/// Searches the list of a sender's messages for some of them. Stops when all are found, or after
/// as many pages as are cheaper than to look up each.
async fn search_list(
    sender: &Address,
    messages: &[&Message],
    requests: &mut PacedRequests,
    records: &mut HashMap<MessageSid, MessageRecord>,
) -> Result<(), RecordsError> {
    let first = messages.iter().map(|it| it.parties.first_reported_at).min();
    let Some(first) = first else {
        return Ok(());
    };
    let query = RecordsQuery {
        sender: sender.clone(),
        since: first.plus_micros(-SENT_BEFORE_MICROS),
    };
    let mut wanted: HashSet<_> = messages.iter().map(|it| &it.key.sid).collect();
    let mut place = None;
    for _ in 0..messages.len() / LOOKUPS_PER_PAGE {
        let page = requests.list(&query, place.as_ref()).await?;
        for record in page.records {
            if wanted.remove(&record.sid) {
                records.insert(record.sid.clone(), record);
            }
        }
        place = page.next;
        if place.is_none() || wanted.is_empty() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::ReportedStatus;
    use testkit::builders::{report, time, twilio_sid};

    use super::*;

    fn record(status: &str) -> MessageRecord {
        let known = report(&twilio_sid(1)).build();
        MessageRecord {
            sid: known.key.sid,
            status: ReportedStatus::parse(status).unwrap(),
            error: None,
            recipient: known.recipient,
            sender: known.sender,
            updated_at: Some(time(5)),
        }
    }

    fn message(status: &str) -> Message {
        Message::begin(&report(&twilio_sid(1)).status(status).build()).0
    }

    fn missing(known: &str, recorded: &str) -> Option<Report> {
        missing_report(&message(known), &record(recorded), time(9))
    }

    #[test]
    fn record_that_advances_a_message_is_a_missing_report() {
        let report = missing("sent", "delivered").unwrap();
        assert_eq!(report.provenance(), domain::Provenance::Reconciled);
        assert_eq!(report.arrived_at, time(9));
        assert_eq!(report.happened_at, Some(time(5)));
        assert_eq!(report.key, message("sent").key);
    }

    #[test]
    fn record_that_says_nothing_new_is_no_report() {
        for (known, recorded) in [
            ("sent", "sent"),
            // The record lags.
            ("delivered", "sent"),
            ("sent", "word of tomorrow"),
            ("sent", "received"),
        ] {
            assert_eq!(missing(known, recorded), None, "{known} {recorded}");
        }
    }

    #[test]
    fn failure_after_delivery_is_a_missing_report() {
        assert!(missing("delivered", "failed").is_some());
        assert!(missing("failed", "delivered").is_some());
    }
}
