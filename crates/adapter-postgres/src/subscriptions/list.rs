//! Lists of deliveries.

use domain::delivery::DeliveryFilter;
use domain::page::{PageSize, ScanLimit};
use domain::{DeliveryKey, DeliveryState};
use sql_rows::deliveries::DeliveryPlace;
use sqlx::{Postgres, QueryBuilder};

use crate::PostgresStore;
use crate::rows::DeliveryRow;

const NEWEST_FIRST: &str = " order by report_id desc, event_index desc";

impl PostgresStore {
    /// Reads the rows of a page, and the end of its scan if it is not full.
    pub(super) async fn read_deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<(Vec<DeliveryRow>, Option<DeliveryPlace>), sqlx::Error> {
        let begin = "begin isolation level repeatable read read only";
        let mut snapshot = self.pool.begin_with(begin).await?;
        let rows: Vec<_> = select_page(filter, after, size, scan)
            .build_query_as()
            .fetch_all(&mut *snapshot)
            .await?;
        let scan_end = if rows.len() > usize::from(size.get()) {
            None
        } else {
            select_scan_end(filter, after, scan)
                .build_query_as()
                .fetch_optional(&mut *snapshot)
                .await?
        };
        snapshot.commit().await?;
        Ok((rows, scan_end))
    }
}

/// Selects the rows of a page: one more than it has, if there are as many.
fn select_page(
    filter: &DeliveryFilter,
    after: Option<DeliveryKey>,
    size: PageSize,
    scan: ScanLimit,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select subscription_id, report_id, position, created_at, retrying_since,
             next_attempt_at, cooldown_until, finished_at, revision::bigint, attempts::bigint,
             event_index::bigint, state, event_type, channel_id, sid,
             last_attempts::text as last_attempts, body
         from (select * from deliveries where true",
    );
    push_examined(&mut query, filter, after);
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(scan.get()))
        .push(
            ") as examined
             where exists (select from subscriptions where id = subscription_id and not removed)",
        );
    push_type_and_times(&mut query, filter);
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(size.get()) + 1);
    query
}

/// Selects the place at which the scan ends, if there are so many deliveries.
fn select_scan_end(
    filter: &DeliveryFilter,
    after: Option<DeliveryKey>,
    scan: ScanLimit,
) -> QueryBuilder<Postgres> {
    let mut query =
        QueryBuilder::new("select report_id, event_index::bigint from deliveries where true");
    push_examined(&mut query, filter, after);
    query
        .push(NEWEST_FIRST)
        .push(" limit 1 offset ")
        .push_bind(i64::from(scan.get()) - 1);
    query
}

/// Adds the conditions of the deliveries that are examined for a page.
fn push_examined(
    query: &mut QueryBuilder<Postgres>,
    filter: &DeliveryFilter,
    after: Option<DeliveryKey>,
) {
    push_indexed(query, filter);
    if let Some(after) = after {
        query
            .push(" and (report_id, event_index) < (")
            .push_bind(after.report_id)
            .push(", ")
            .push_bind(i16::from(after.event_index))
            .push(")");
    }
}

/// Adds the conditions that an index helps with.
pub(super) fn push_indexed(query: &mut QueryBuilder<Postgres>, filter: &DeliveryFilter) {
    query
        .push(" and subscription_id = ")
        .push_bind(filter.subscription.0);
    // As constants: a partial index is used only if the statement implies its condition.
    match filter.state {
        None => {}
        Some(DeliveryState::Delivered) => drop(query.push(" and state = 'delivered'")),
        Some(DeliveryState::Retrying) => drop(query.push(" and state = 'retrying'")),
        Some(DeliveryState::Waiting) => drop(query.push(" and state = 'waiting'")),
        Some(DeliveryState::Dead) => drop(query.push(" and state = 'dead'")),
    }
    if let Some(message) = &filter.message {
        let channel = message.channel.as_str().to_owned();
        let sid = message.sid.to_compact();
        // There is no index on the messages of delivered events, which would be too expensive at
        // the rate of deliveries. The message row has the ids of its reports.
        query
            .push(" and report_id = any ((select report_ids from messages where channel_id = ")
            .push_bind(channel.clone())
            .push(" and sid = ")
            .push_bind(sid.clone())
            .push(")::bigint[]) and channel_id = ")
            .push_bind(channel)
            .push(" and sid = ")
            .push_bind(sid);
    }
}

/// Adds the conditions that no index helps with.
pub(super) fn push_type_and_times(query: &mut QueryBuilder<Postgres>, filter: &DeliveryFilter) {
    if let Some(event_type) = filter.event_type {
        query
            .push(" and event_type = ")
            .push_bind(event_type.as_str());
    }
    if let Some(since) = filter.since {
        query
            .push(" and created_at >= ")
            .push_bind(since.to_date_time());
    }
    if let Some(until) = filter.until {
        query
            .push(" and created_at < ")
            .push_bind(until.to_date_time());
    }
}
