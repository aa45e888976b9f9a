//! The list of messages that failed.

use domain::Timestamp;
use domain::page::{MessageCursor, MessageFilter, PageSize, ScanLimit};
use ports::statistics::ProblemMessage;
use sql_rows::lists::{ProblemIndex, push_problems, push_times};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::PostgresStore;
use crate::rows::PageRows;

impl PostgresStore {
    pub(super) async fn try_list_problems(
        &self,
        problems: &[ProblemMessage],
    ) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        list_problems(&mut connection, problems).await
    }

    pub(super) async fn problem_rows(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<PageRows, sqlx::Error> {
        let page = page_of_problems(filter, after, size, scan);
        self.read_page(page, scan_end(filter, after, scan), size)
            .await
    }
}

/// Adds entries, or replaces them.
pub(super) async fn list_problems(
    connection: &mut PgConnection,
    problems: &[ProblemMessage],
) -> Result<(), sqlx::Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let keys = || problems.iter().map(|problem| &problem.key);
    let channels: Vec<_> = keys().map(|key| key.channel.as_str().to_owned()).collect();
    let sids: Vec<_> = keys().map(|key| key.sid.to_compact()).collect();
    let times = problems
        .iter()
        .map(|it| it.first_reported_at.to_date_time());
    let times: Vec<_> = times.collect();
    let ranks = problems
        .iter()
        .map(|problem| problem.cell.status.map(|status| i16::from(status.rank())));
    let ranks: Vec<Option<i16>> = ranks.collect();
    let codes = problems
        .iter()
        .map(|problem| Some(problem.error_code.as_ref()?.as_str().to_owned()));
    let codes: Vec<Option<String>> = codes.collect();
    let contradicted: Vec<_> = problems.iter().map(|it| it.cell.contradicted).collect();
    sqlx::query!(
        "insert into problem_messages (channel_id, sid, reported_at, rank, code, contradicted)
         select problem.channel_id, problem.sid, problem.reported_at, problem.rank, problem.code,
             problem.contradicted
         from unnest(
             $1::text[], $2::bytea[], $3::timestamptz[], $4::smallint[], $5::text[], $6::boolean[]
         ) as problem (channel_id, sid, reported_at, rank, code, contradicted)
         where exists (
             select from messages as message
             where message.channel_id = problem.channel_id and message.sid = problem.sid
         )
         on conflict (channel_id, sid) do update
             set reported_at = excluded.reported_at, rank = excluded.rank, code = excluded.code,
                 contradicted = excluded.contradicted",
        &channels,
        &sids,
        &times,
        &ranks as &[Option<i16>],
        &codes as &[Option<String>],
        &contradicted,
    )
    .execute(connection)
    .await
    .map(drop)
}

const NEWEST_FIRST: &str = " order by reported_at desc, channel_id desc, sid desc";

/// Reads entries along the index of the filter, and their messages. A message that has changed
/// since its entry was made is left out until its change is counted.
fn page_of_problems(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    size: PageSize,
    scan: ScanLimit,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        // With a limit of its own the inner part is read for one entry after the other, in the
        // order of the index, until the page is full. A plain join is read whole.
        "select channel_id, sid, message.*
         from (",
    );
    push_examined(&mut query, filter, after, scan);
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(scan.get()))
        .push(
            ") as problem
         cross join lateral (
             select recipient, sender, first_reported_at, last_reported_at, duplicates,
                 seen_mask::bigint, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from messages
             where messages.channel_id = problem.channel_id and messages.sid = problem.sid
                 and first_reported_at = reported_at
                 and status_rank is not distinct from rank
                 and error_code is not distinct from code
             limit 1
         ) as message
         where true",
        );
    push_problems(&mut query, filter);
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(size.get()) + 1);
    query
}

/// Selects the entry at which the scan ends, if there are so many.
fn scan_end(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    scan: ScanLimit,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select reported_at as first_reported_at, channel_id, sid
         from (",
    );
    push_examined(&mut query, filter, after, scan);
    query
        .push(") as entries")
        .push(NEWEST_FIRST)
        .push(" limit 1 offset ")
        .push_bind(i64::from(scan.get()) - 1);
    query
}

/// Adds the entries that are examined: the newest of each part of an index. Each part is read in
/// the order of its index up to the scan limit, so that nothing is sorted that is not examined.
fn push_examined(
    query: &mut QueryBuilder<Postgres>,
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    scan: ScanLimit,
) {
    query.push("select * from (");
    for (place, index) in ProblemIndex::of(filter).iter().enumerate() {
        if place > 0 {
            query.push(" union all ");
        }
        query.push("select * from (select * from problem_messages where true");
        index.push(query);
        push_times(query, "reported_at", Timestamp::to_date_time, filter, after);
        query
            .push(NEWEST_FIRST)
            .push(" limit ")
            .push_bind(i64::from(scan.get()))
            .push(") as part");
    }
    query.push(") as examined");
}
