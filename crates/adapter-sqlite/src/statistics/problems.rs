//! The list of messages that failed.

use domain::page::{MessageCursor, MessageFilter, PageSize, ScanLimit};
use domain::{DeliveryStatus, ErrorCode, Timestamp};
use ports::statistics::ProblemMessage;
use sql_rows::lists::{ProblemIndex, push_problems, push_times};
use sqlx::{Connection as _, QueryBuilder, Sqlite, SqliteConnection};

use crate::SqliteStore;
use crate::json;
use crate::rows::PageRows;

impl SqliteStore {
    pub(super) async fn try_list_problems(
        &self,
        problems: &[ProblemMessage],
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        list_problems(&mut write, problems).await?;
        write.commit().await
    }

    /// Reads a page, and the end of its scan if it is not full. Both statements see the same
    /// entries; otherwise the next page could repeat messages of this one.
    pub(super) async fn problem_rows(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<PageRows, sqlx::Error> {
        let mut reader = self.readers.acquire().await?;
        let mut snapshot = reader.begin().await?;
        let mut page = page_of_problems(filter, after, size, scan);
        let rows: Vec<_> = page.build_query_as().fetch_all(&mut *snapshot).await?;
        let scan_end = if rows.len() > usize::from(size.get()) {
            None
        } else {
            let mut end = scan_end(filter, after, scan);
            end.build_query_as().fetch_optional(&mut *snapshot).await?
        };
        snapshot.commit().await?;
        Ok(PageRows { rows, scan_end })
    }
}

/// Adds entries, or replaces them.
pub(super) async fn list_problems(
    connection: &mut SqliteConnection,
    problems: &[ProblemMessage],
) -> Result<(), sqlx::Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let rows = json::array(problems.iter().map(|problem| {
        (
            problem.key.channel.as_str(),
            json::hex(&problem.key.sid.to_compact()),
            problem.first_reported_at.unix_micros(),
            problem.cell.status.map(DeliveryStatus::rank),
            problem.error_code.as_ref().map(ErrorCode::as_str),
            problem.cell.contradicted,
        )
    }));
    sqlx::query!(
        "insert into problem_messages (channel_id, sid, reported_at, rank, code, contradicted)
         select message.channel_id, message.sid, problem.value ->> 2, problem.value ->> 3,
             problem.value ->> 4, problem.value ->> 5
         from json_each(?) as problem
         cross join messages as message
             on message.channel_id = problem.value ->> 0
             and message.sid = unhex(problem.value ->> 1)
         where true
         on conflict (channel_id, sid) do update
             set reported_at = excluded.reported_at, rank = excluded.rank, code = excluded.code,
                 contradicted = excluded.contradicted",
        rows,
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
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "select message.channel_id, message.sid, recipient, sender, first_reported_at,
             last_reported_at, duplicates, seen_mask, accepted_at, scheduled_at, queued_at,
             sending_at, sent_at, partially_delivered_at, canceled_at, failed_at, undelivered_at,
             delivered_at, read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
         from (",
    );
    push_examined(&mut query, filter, after, scan);
    query
        .push(NEWEST_FIRST)
        .push(" limit ")
        .push_bind(i64::from(scan.get()))
        .push(
            ") as problem
             cross join messages as message
                 on message.channel_id = problem.channel_id and message.sid = problem.sid
             where first_reported_at = reported_at and status_rank is rank
                 and error_code is code",
        );
    push_problems(&mut query, filter);
    query
        .push(" order by reported_at desc, problem.channel_id desc, problem.sid desc limit ")
        .push_bind(i64::from(size.get()) + 1);
    query
}

/// Selects the entry at which the scan ends, if there are so many.
fn scan_end(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    scan: ScanLimit,
) -> QueryBuilder<Sqlite> {
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
    query: &mut QueryBuilder<Sqlite>,
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
        push_times(query, "reported_at", Timestamp::unix_micros, filter, after);
        query
            .push(NEWEST_FIRST)
            .push(" limit ")
            .push_bind(i64::from(scan.get()))
            .push(") as part");
    }
    query.push(") as examined");
}
