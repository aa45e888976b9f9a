//! Lists of deliveries.

use domain::delivery::DeliveryFilter;
use domain::page::{PageSize, ScanLimit};
use domain::{DeliveryKey, DeliveryState, EventType, Timestamp};
use sql_rows::deliveries::DeliveryPlace;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use crate::SqliteStore;
use crate::rows::DeliveryRow;

/// What a page is read from.
struct Scan<'f> {
    filter: &'f DeliveryFilter,
    after: (i64, i64),
    channel: Option<&'f str>,
    sid: Option<Vec<u8>>,
    size: PageSize,
    limit: ScanLimit,
}

/// Reads a page along one access path: `$deliveries` is the table, `$narrowed` the conditions that
/// its index helps with.
macro_rules! read {
    ($snapshot:ident, $scan:ident, $deliveries:literal, $narrowed:literal) => {{
        let state = $scan.filter.state.map(DeliveryState::as_str);
        let rows = sqlx::query_as!(
            DeliveryRow,
            r#"select subscription_id as "subscription_id!: Uuid", report_id as "report_id!",
                   event_index as "event_index!", position as "position!",
                   created_at as "created_at!", retrying_since, next_attempt_at, cooldown_until,
                   finished_at, revision as "revision!", attempts as "attempts!",
                   state as "state!", event_type as "event_type!", channel_id as "channel_id!",
                   sid as "sid!", last_attempts as "last_attempts!", body
               from (select * from "#
                + $deliveries
                + " where subscription_id = ?1 and "
                + $narrowed
                + " and (?4 is null or state = ?4) and (?5 is null or channel_id = ?5 and sid = ?6)
                     order by report_id desc, event_index desc
                     limit ?7
                 )
                 where (?8 is null or event_type = ?8)
                     and created_at >= ?9 and created_at < ?10
                     and exists (select 1 from subscriptions where id = ?1 and not removed)
                 order by report_id desc, event_index desc
                 limit ?11",
            $scan.filter.subscription.0,
            $scan.after.0,
            $scan.after.1,
            state,
            $scan.channel,
            $scan.sid,
            i64::from($scan.limit.get()),
            $scan.filter.event_type.map(EventType::as_str),
            $scan.filter.since.map_or(i64::MIN, Timestamp::unix_micros),
            $scan.filter.until.map_or(i64::MAX, Timestamp::unix_micros),
            i64::from($scan.size.get()) + 1,
        );
        let rows = rows.fetch_all(&mut *$snapshot).await?;
        let scan_end = if rows.len() > usize::from($scan.size.get()) {
            None
        } else {
            let end = sqlx::query!(
                r#"select report_id as "report_id!", event_index as "event_index!" from "#
                    + $deliveries
                    + " where subscription_id = ?1 and "
                    + $narrowed
                    + " and (?4 is null or state = ?4)
                         and (?5 is null or channel_id = ?5 and sid = ?6)
                     order by report_id desc, event_index desc
                     limit 1 offset ?7",
                $scan.filter.subscription.0,
                $scan.after.0,
                $scan.after.1,
                state,
                $scan.channel,
                $scan.sid,
                i64::from($scan.limit.get()) - 1,
            );
            let end = end.fetch_optional(&mut *$snapshot).await?;
            end.map(|end| (end.report_id, end.event_index))
        };
        Ok((rows, scan_end))
    }};
}

/// The rows of a page, one more than it has if there are as many; and the end of its scan if it is
/// not full.
type Read = (Vec<DeliveryRow>, Option<DeliveryPlace>);

impl SqliteStore {
    /// Reads a page. Both its statements see the same deliveries; otherwise the next page could
    /// repeat deliveries of this one.
    pub(super) async fn read_deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
        limit: ScanLimit,
    ) -> Result<Read, sqlx::Error> {
        let scan = Scan {
            filter,
            after: after.map_or((i64::MAX, i64::MAX), |after| {
                (after.report_id, i64::from(after.event_index))
            }),
            channel: filter.message.as_ref().map(|key| key.channel.as_str()),
            sid: filter.message.as_ref().map(|key| key.sid.to_compact()),
            size,
            limit,
        };
        let mut reader = self.readers.acquire().await?;
        let mut snapshot = reader.begin().await?;
        let read = scan.read(&mut snapshot).await?;
        snapshot.commit().await?;
        Ok(read)
    }
}

impl Scan<'_> {
    /// There are four access paths: the reports of a message, an index of pending deliveries, one of
    /// dead letters, and the key for the rest. The engine has to be told: it would always use the
    /// key.
    async fn read(&self, snapshot: &mut SqliteConnection) -> Result<Read, sqlx::Error> {
        if self.filter.message.is_some() {
            return read!(
                snapshot,
                self,
                "deliveries",
                "report_id in (
                     select value from json_each((
                         select report_ids from messages where channel_id = ?5 and sid = ?6
                     ))
                 )
                 and (+report_id, +event_index) < (?2, ?3)"
            );
        }
        match self.filter.state {
            None | Some(DeliveryState::Delivered) => {
                read!(
                    snapshot,
                    self,
                    "deliveries",
                    "(report_id, event_index) < (?2, ?3)"
                )
            }
            Some(DeliveryState::Retrying | DeliveryState::Waiting) => read!(
                snapshot,
                self,
                "deliveries indexed by deliveries_subscription_id_position_idx",
                "state in ('retrying', 'waiting') and (report_id, event_index) < (?2, ?3)"
            ),
            Some(DeliveryState::Dead) => read!(
                snapshot,
                self,
                "deliveries indexed by deliveries_subscription_id_report_id_event_index_idx",
                "state = 'dead' and (report_id, event_index) < (?2, ?3)"
            ),
        }
    }
}
