//! Compares the integrator's whole list of a channel's messages with what is stored.

use std::collections::HashSet;

use domain::{Address, Channel, Timestamp};
use ports::message_records::{MessageRecord, RecordsError, RecordsPlace, RecordsQuery};

use super::run::{ReconcileError, Reconciled};
use super::session::Session;

/// How many pages of a sender's list are read, at most: 20 million messages.
const MAX_PAGES: usize = 20_000;

/// How many records are compared at once, however many a page has.
const MAX_COMPARED_RECORDS: usize = 1_000;

/// The period of a listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedPeriod {
    /// Messages that were sent on the UTC day of this time or later.
    pub(super) since: Timestamp,
    /// Records that changed later may be followed by a report that is on its way.
    pub(super) until: Timestamp,
    /// Records that changed later count as listed: the previous listing had the others.
    pub(super) counted_after: Option<Timestamp>,
    /// Messages that changed last before this time and are not known may have expired.
    pub(super) expired_before: Timestamp,
}

/// Lists the messages of all senders of a channel and records what is missing. Returns how many
/// messages changed in the counted time. Without a list of senders, nothing is listed: the account
/// may belong to other channels too.
pub(super) async fn compare_list(
    session: &mut Session<'_>,
    channel: &Channel,
    period: ListedPeriod,
    progress: impl Fn(f64, Reconciled),
) -> Result<u64, ReconcileError> {
    let mut listed = 0;
    for (number, sender) in (1_u32..).zip(&channel.senders) {
        let query = RecordsQuery {
            sender: with_scheme(sender),
            since: period.since,
        };
        let mut visited = VisitedPages::default();
        let mut place = None;
        loop {
            let page = session.requests.list(&query, place.as_ref()).await?;
            let mut records = page.records;
            records.retain(|record| is_settled(record, period.until));
            records.retain(|record| channel.allows(record.sender.as_ref()));
            let counted = records.iter().filter(|record| is_counted(record, period));
            listed += u64::try_from(counted.count()).unwrap_or(u64::MAX);
            for records in records.chunks(MAX_COMPARED_RECORDS) {
                let before = session.done;
                session
                    .compare_records(records, |record| !is_expired(record, period))
                    .await?;
                session.note(before, None, None).await?;
            }
            let Some(next) = page.next else {
                break;
            };
            visited.add(&next)?;
            place = Some(next);
        }
        let senders = u32::try_from(channel.senders.len()).unwrap_or(u32::MAX);
        progress(f64::from(number) / f64::from(senders), session.done);
    }
    Ok(listed)
}

/// The places of the pages of a list, to notice one that does not end.
#[derive(Default)]
struct VisitedPages(HashSet<String>);

impl VisitedPages {
    fn add(&mut self, place: &RecordsPlace) -> Result<(), RecordsError> {
        let is_new = self.0.insert(place.0.clone());
        if is_new && self.0.len() < MAX_PAGES {
            return Ok(());
        }
        Err(RecordsError::Unexpected(if is_new {
            format!("the list has more than {MAX_PAGES} pages").into()
        } else {
            "the list leads back to one of its pages".into()
        }))
    }
}

fn is_settled(record: &MessageRecord, until: Timestamp) -> bool {
    record.updated_at.is_none_or(|at| at <= until)
}

fn is_expired(record: &MessageRecord, period: ListedPeriod) -> bool {
    record
        .updated_at
        .is_some_and(|at| at < period.expired_before)
}

fn is_counted(record: &MessageRecord, period: ListedPeriod) -> bool {
    let after = period.counted_after.zip(record.updated_at);
    after.is_none_or(|(after, at)| at > after)
}

/// Returns a sender as the integrator names it: a number without a scheme is one of WhatsApp.
fn with_scheme(sender: &Address) -> Address {
    let text = sender.reveal();
    if text.contains(':') {
        return sender.clone();
    }
    Address::parse(&format!("whatsapp:{text}")).unwrap_or_else(|_| sender.clone())
}
