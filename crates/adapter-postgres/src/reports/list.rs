//! Lists of messages.

use domain::Timestamp;
use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, PageSize, ScanLimit};
use sql_rows::lists::{push_statuses, push_times};
use sqlx::{Postgres, QueryBuilder};

use crate::PostgresStore;
use crate::rows::PageRows;

const MESSAGE_COLUMNS: &str = "
    select channel_id, sid, recipient, sender, first_reported_at, last_reported_at, duplicates,
        seen_mask::bigint, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
        partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at, read_at,
        report_ids, seen_fingerprints, error_at, error_code, error_text";

/// The time by which messages are listed.
const TIME: &str = "first_reported_at";

const NEWEST_FIRST: &str = " order by first_reported_at desc, channel_id desc, sid desc";

impl PostgresStore {
    pub(super) async fn try_messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<PageRows, sqlx::Error> {
        let page = page_of_messages(filter, after, size, scan);
        self.read_page(page, scan_end(filter, after, scan), size)
            .await
    }

    /// Reads a page, and the end of its scan if it is not full. Both statements see the same
    /// messages; otherwise the next page could repeat messages of this one.
    pub(crate) async fn read_page(
        &self,
        mut page: QueryBuilder<Postgres>,
        mut scan_end: QueryBuilder<Postgres>,
        size: PageSize,
    ) -> Result<PageRows, sqlx::Error> {
        let begin = "begin isolation level repeatable read read only";
        let mut snapshot = self.pool.begin_with(begin).await?;
        let rows: Vec<_> = page.build_query_as().fetch_all(&mut *snapshot).await?;
        let scan_end = if rows.len() > usize::from(size.get()) {
            None
        } else {
            let end = scan_end.build_query_as();
            end.fetch_optional(&mut *snapshot).await?
        };
        snapshot.commit().await?;
        Ok(PageRows { rows, scan_end })
    }
}

fn page_of_messages(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    size: PageSize,
    scan: ScanLimit,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(MESSAGE_COLUMNS);
    query.push(" from (select * from messages where true");
    push_times(&mut query, TIME, Timestamp::to_date_time, filter, after);
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(scan.get()))
        .push(") as examined where true");
    push_conditions(&mut query, filter);
    push_end_of_page(&mut query, size);
    query
}

/// Selects the message at which the scan ends, if there are so many.
fn scan_end(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    scan: ScanLimit,
) -> QueryBuilder<Postgres> {
    let mut query =
        QueryBuilder::new("select first_reported_at, channel_id, sid from messages where true");
    push_times(&mut query, TIME, Timestamp::to_date_time, filter, after);
    query
        .push(NEWEST_FIRST)
        .push(" limit 1 offset ")
        .push_bind(i64::from(scan.get()) - 1);
    query
}

/// Returns the page of the messages that are listed with a hash.
pub(crate) fn page_of_messages_to(
    hash: RecipientHash,
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    size: PageSize,
) -> QueryBuilder<Postgres> {
    // Materialized, so that the planner does not search along the order of the list.
    let mut query = QueryBuilder::new(
        "with recursive
         days (day) as (
             select min(day) from recipients_by_day
             union all
             select (select min(entry.day) from recipients_by_day as entry where entry.day > days.day)
             from days
             where days.day is not null
         ),
         -- A message whose first report arrived late has two entries.
         entries as (
             select distinct channel_id, sid
             from days
             join recipients_by_day using (day)
             where recipient_hash = ",
    );
    query
        .push_bind(hash.0)
        .push(
            "),
             found as materialized (
                 select message.* from entries join messages as message using (channel_id, sid)
             ) ",
        )
        .push(MESSAGE_COLUMNS)
        .push(" from found where true");
    push_times(&mut query, TIME, Timestamp::to_date_time, filter, after);
    push_conditions(&mut query, filter);
    push_end_of_page(&mut query, size);
    query
}

/// Adds the conditions that no index helps with.
fn push_conditions(query: &mut QueryBuilder<Postgres>, filter: &MessageFilter) {
    if let Some(channel) = &filter.channel {
        query
            .push(" and channel_id = ")
            .push_bind(channel.as_str().to_owned());
    }
    if let Some(statuses) = filter.status {
        push_statuses(query, "status_rank", statuses);
    }
    if let Some(contradicted) = filter.contradicted {
        query
            .push(
                " and ((delivered_at is not null or read_at is not null)
                  and (failed_at is not null or undelivered_at is not null)) = ",
            )
            .push_bind(contradicted);
    }
    if let Some(recipient) = &filter.recipient {
        match recipient.key() {
            Some(key) => query
                .push(" and recipient_key(recipient) = ")
                .push_bind(key),
            None => query
                .push(" and canonical_recipient(recipient) = ")
                .push_bind(recipient.exactly().unwrap_or_default().to_owned()),
        };
    }
    if let Some(code) = &filter.error_code {
        query
            .push(" and error_code = ")
            .push_bind(code.as_str().to_owned());
    }
}

/// Asks for one row more than a page has.
fn push_end_of_page(query: &mut QueryBuilder<Postgres>, size: PageSize) {
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(size.get()) + 1);
}
