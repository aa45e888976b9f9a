//! Lists of messages.

use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, PageSize, ScanLimit};
use domain::{ChannelId, ErrorCode, Recipient, Timestamp};
use sqlx::Connection as _;

use crate::SqliteStore;
use crate::rows::{MessageRow, PageRows, PlaceRow};

/// The times of a page in microseconds.
struct TimeRange {
    oldest: i64,
    newest: i64,
    /// The time of the cursor.
    after: i64,
}

impl TimeRange {
    /// Returns one range for both the filter and the cursor, so that the index begins at the page.
    fn new(filter: &MessageFilter, after: Option<&MessageCursor>) -> Self {
        let before = filter.until.map_or(i64::MAX, Timestamp::unix_micros);
        let after = after.map_or(i64::MAX, |after| after.first_reported_at.unix_micros());
        Self {
            oldest: filter.since.map_or(i64::MIN, Timestamp::unix_micros),
            newest: before.saturating_sub(1).min(after),
            after,
        }
    }
}

/// Asks for one row more than a page has. `$from` may use one more parameter, `?13`.
///
/// One statement for all filters: the list is read along its one index in any case, and an absent
/// filter costs a comparison with null.
macro_rules! page_of_rows {
    (from $from:tt, $filter:ident, $after:ident, $size:ident $(, $more:expr)?) => {{
        let range = TimeRange::new($filter, $after);
        sqlx::query_as!(
            MessageRow,
            "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from "
                + $from
                + " where first_reported_at between ?1 and ?2
                 and (?4 is null or first_reported_at < ?3 or (channel_id, sid) < (?4, ?5))
                 and (?6 is null or channel_id = ?6)
                 -- A bit for each rank; the one after the highest for no known status.
                 and (?7 is null or (?7 >> coalesce(status_rank, 11)) & 1)
                 and (
                     ?8 is null
                     or ?8 = (
                         (delivered_at is not null or read_at is not null)
                         and (failed_at is not null or undelivered_at is not null)
                     )
                 )
                 -- As `Recipient::is`: either the number without its separators,
                 and (
                     ?9 is null
                     or ?9 = replace(replace(replace(replace(replace(replace(replace(replace(
                         substr(recipient, instr(recipient, ':') + 1),
                         ' ', ''), '+', ''), '-', ''), '(', ''), ')', ''), '.', ''), '/', ''),
                         char(160), '')
                 )
                 -- or the canonical form.
                 and (
                     ?10 is null
                     or ?10 = lower(trim(
                         substr(recipient, 1, instr(recipient, ':') - 1), ' ' || char(160)
                     ))
                     || substr(':', 1, instr(recipient, ':'))
                     || trim(
                         substr(recipient, instr(recipient, ':') + 1), ' ' || char(160)
                     )
                 )
                 and (?11 is null or error_code = ?11)
             order by first_reported_at desc, channel_id desc, sid desc
             limit ?12",
            range.oldest,
            range.newest,
            range.after,
            $after.map(|after: &MessageCursor| after.key.channel.as_str()),
            $after.map(|after: &MessageCursor| after.key.sid.to_compact()),
            $filter.channel.as_ref().map(ChannelId::as_str),
            $filter.status.map(|statuses| i64::from(statuses.bits())),
            $filter.contradicted,
            $filter.recipient.as_ref().and_then(Recipient::key),
            $filter.recipient.as_ref().and_then(Recipient::exactly),
            $filter.error_code.as_ref().map(ErrorCode::as_str),
            i64::from($size.get()) + 1,
            $($more)?
        )
    }};
}

impl SqliteStore {
    /// Reads a page, and the end of its scan if it is not full. Both statements see the same
    /// messages; otherwise the next page could repeat messages of this one.
    pub(super) async fn try_messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<PageRows, sqlx::Error> {
        let mut reader = self.readers.acquire().await?;
        let mut snapshot = reader.begin().await?;
        let rows = page_of_rows!(
            from "(
                select * from messages
                where first_reported_at between ?1 and ?2
                    and (?4 is null or first_reported_at < ?3 or (channel_id, sid) < (?4, ?5))
                order by first_reported_at desc, channel_id desc, sid desc
                limit ?13
            )",
            filter,
            after,
            size,
            i64::from(scan.get())
        );
        let rows = rows.fetch_all(&mut *snapshot).await?;
        let scan_end = if rows.len() > usize::from(size.get()) {
            None
        } else {
            let range = TimeRange::new(filter, after);
            sqlx::query_as!(
                PlaceRow,
                "select first_reported_at, channel_id, sid
                 from messages
                 where first_reported_at between ?1 and ?2
                     and (?4 is null or first_reported_at < ?3 or (channel_id, sid) < (?4, ?5))
                 order by first_reported_at desc, channel_id desc, sid desc
                 limit 1 offset ?6",
                range.oldest,
                range.newest,
                range.after,
                after.map(|after| after.key.channel.as_str()),
                after.map(|after| after.key.sid.to_compact()),
                i64::from(scan.get()) - 1,
            )
            .fetch_optional(&mut *snapshot)
            .await?
        };
        snapshot.commit().await?;
        Ok(PageRows { rows, scan_end })
    }

    /// Returns the rows of the messages that are listed with a hash: one more than a page has, if
    /// there are as many.
    pub(crate) async fn rows_of_recipient(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        // Reads the messages of the hash first, and sorts them.
        page_of_rows!(
            from "(
                with recursive
                days (day) as (
                    select min(day) from recipients_by_day
                    union all
                    select (
                        select min(entry.day) from recipients_by_day as entry
                        where entry.day > days.day
                    )
                    from days
                    where days.day is not null
                ),
                -- A message whose first report arrived late has two entries.
                entries as (
                    select distinct entry.channel_id, entry.sid
                    from days
                    cross join recipients_by_day as entry
                        on entry.day = days.day and entry.recipient_hash = ?13
                )
                select message.*
                from entries
                cross join messages as message
                    on message.channel_id = entries.channel_id and message.sid = entries.sid
            )",
            filter,
            after,
            size,
            hash.0
        )
        .fetch_all(&self.readers)
        .await
    }
}
