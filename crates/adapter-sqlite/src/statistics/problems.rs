//! The list of messages that failed.

use domain::page::{MessageCursor, MessageFilter, PageSize};
use domain::{DeliveryStatus, ErrorCode};
use ports::statistics::ProblemMessage;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::SqliteStore;
use crate::json;
use crate::rows::MessageRow;

impl SqliteStore {
    pub(super) async fn try_list_problems(
        &self,
        problems: &[ProblemMessage],
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        list_problems(&mut write, problems).await?;
        write.commit().await
    }

    /// Returns one row more than a page has, if there are as many.
    pub(super) async fn problem_rows(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        page_of_problems(filter, after, size)
            .build_query_as()
            .fetch_all(&self.readers)
            .await
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

/// Reads entries along the index of the filter, and their messages. A message that has changed
/// since its entry was made is left out until its change is counted.
fn page_of_problems(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    size: PageSize,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "select message.channel_id, message.sid, recipient, sender, first_reported_at,
             last_reported_at, duplicates, seen_mask, accepted_at, scheduled_at, queued_at,
             sending_at, sent_at, partially_delivered_at, canceled_at, failed_at, undelivered_at,
             delivered_at, read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
         from problem_messages as problem
         cross join messages as message
             on message.channel_id = problem.channel_id and message.sid = problem.sid
         where first_reported_at = reported_at and status_rank is rank and error_code is code",
    );
    if let Some(channel) = &filter.channel {
        query
            .push(" and problem.channel_id = ")
            .push_bind(channel.as_str().to_owned());
    }
    if let Some(status) = filter.status.map(DeliveryStatus::rank) {
        query.push(" and rank = ").push_bind(i64::from(status));
    }
    match filter.contradicted {
        Some(true) => {
            query.push(" and contradicted");
        }
        Some(false) => {
            query.push(" and not contradicted");
        }
        None => {}
    }
    if let Some(code) = &filter.error_code {
        query
            .push(" and code = ")
            .push_bind(code.as_str().to_owned());
    }
    if let Some(since) = filter.since {
        query
            .push(" and reported_at >= ")
            .push_bind(since.unix_micros());
    }
    if let Some(until) = filter.until {
        query
            .push(" and reported_at < ")
            .push_bind(until.unix_micros());
    }
    if let Some(after) = after {
        query
            .push(" and (reported_at, problem.channel_id, problem.sid) < (")
            .push_bind(after.first_reported_at.unix_micros())
            .push(", ")
            .push_bind(after.key.channel.as_str().to_owned())
            .push(", ")
            .push_bind(after.key.sid.to_compact())
            .push(")");
    }
    query
        .push(" order by reported_at desc, problem.channel_id desc, problem.sid desc limit ")
        .push_bind(i64::from(size.get()) + 1);
    query
}
