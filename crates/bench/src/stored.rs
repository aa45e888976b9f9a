//! Messages that are stored by SQL before a measurement.
//!
//! Each was sent and delivered but not read. Their rows are copies of those that the receiver's
//! own statement wrote for one such message, with ids, times and message ids of their own.

use std::fmt::Write as _;

use adapter_postgres::{Options, PostgresStore};
use anyhow::{Context as _, Result, ensure};
use domain::MessageSid;
use ports::ReportStore as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use traffic::history::ORDERLY;
use traffic::stream::stored_message;

use crate::database::Database;
use crate::direct::ReportSource;

/// The number of reports of each stored message.
pub const REPORTS_EACH: u64 = 2;

/// The lowest id of stored reports. All are below those that the store assigns, which are
/// transaction ids shifted by 16 bits.
const FIRST_ID: u64 = 1 << 20;

/// The time between two messages.
const APART: &str = "interval '20 ms'";

/// Message ids per packet to the server.
const IDS_PER_PACKET: u64 = 10_000;

/// Stores so many messages in an empty database, including the copied one.
pub fn fill(database: &Database<'_>, messages: u64) -> Result<()> {
    let url = database.url();
    let filling = async {
        record_copied_message(&url).await?;
        let mut connection = PgConnection::connect(&url).await?;
        // Nothing of it has to survive a crash of the server.
        connection.execute("set synchronous_commit = off").await?;
        send_message_ids(&mut connection, messages).await?;
        let reports = copies(&mut connection, "reports").await?;
        let messages_sql = copies(&mut connection, "messages").await?;
        for statement in [
            partitions(messages),
            reports,
            messages_sql,
            "drop table made".to_owned(),
            "vacuum (analyze) messages, reports".to_owned(),
        ] {
            connection.execute(AssertSqlSafe(statement)).await?;
        }
        connection.close().await?;
        anyhow::Ok(())
    };
    database.postgres.runtime.block_on(filling)?;
    let (reports, duplicates) = database.reports()?;
    ensure!(
        (u64::try_from(reports)?, duplicates) == (messages * REPORTS_EACH, 0),
        "{reports} reports are stored, not {REPORTS_EACH} of each of {messages} messages"
    );
    Ok(())
}

/// Records the message number 0, whose rows are copied.
async fn record_copied_message(url: &str) -> Result<()> {
    let source = ReportSource::new(0)?;
    let sid = stored_message(0);
    let [sent, delivered, _] = ORDERLY;
    let sent = source.make(sid, sent, 0)?;
    let delivered = source.make(sid, delivered, 1_700_000)?;
    let store = PostgresStore::connect(url, &Options::default())?;
    store.migrate().await?;
    for report in [sent, delivered] {
        store.record(&[report]).await?;
    }
    store.close().await;
    Ok(())
}

async fn send_message_ids(connection: &mut PgConnection, messages: u64) -> Result<()> {
    connection
        .execute("create unlogged table made (number bigint, sid bytea)")
        .await?;
    let copy = "copy made (number, sid) from stdin";
    let mut copy = connection.copy_in_raw(copy).await?;
    for first in (1..messages).step_by(usize::try_from(IDS_PER_PACKET)?) {
        let mut lines = String::new();
        for number in first..messages.min(first + IDS_PER_PACKET) {
            let sid = MessageSid::parse(&stored_message(number).to_string())?;
            write!(lines, "{number}\t\\\\x")?;
            for byte in sid.to_compact() {
                write!(lines, "{byte:02x}")?;
            }
            lines.push('\n');
        }
        copy.send(lines.into_bytes()).await?;
    }
    copy.finish().await?;
    Ok(())
}

/// Returns the statement that creates the partitions for the days of all reports.
fn partitions(messages: u64) -> String {
    format!(
        "select reports_make_partition(day::date) from
         (select min(arrived_at) as first, max(arrived_at) as last from reports) as copied,
         generate_series(
             date_trunc('day', copied.first at time zone 'UTC'),
             (copied.last + {messages} * {APART}) at time zone 'UTC',
             interval '1 day'
         ) as day"
    )
}

/// Returns the statement that copies the rows of a table for all other messages.
async fn copies(connection: &mut PgConnection, table: &str) -> Result<String> {
    let columns = sqlx::query(COLUMNS).bind(table);
    let columns = columns.fetch_all(connection).await?;
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in columns {
        let (name, is_time): (String, bool) = (column.try_get(0)?, column.try_get(1)?);
        let id = format!("{FIRST_ID} + {REPORTS_EACH} * made.number");
        values.push(match name.as_str() {
            "sid" => "made.sid".to_owned(),
            "id" => format!("{id} + copied.revision"),
            "report_ids" => format!("array[{id} + 1, {id} + 2]"),
            // As the integrator would have parsed them.
            "fields" => "replace(copied.fields::text, repeat('0', 32), \
                         encode(substring(made.sid from 2), 'hex'))::json"
                .to_owned(),
            _ if is_time => format!("copied.{name} + made.number * {APART}"),
            _ => format!("copied.{name}"),
        });
        names.push(name);
    }
    let names = Some(names.join(", ")).filter(|names| !names.is_empty());
    let names = names.with_context(|| format!("there is no table {table}"))?;
    Ok(format!(
        "insert into {table} ({names}) select {} from made cross join {table} as copied \
         order by made.number",
        values.join(", ")
    ))
}

const COLUMNS: &str = "
select column_name::text, data_type = 'timestamp with time zone'
from information_schema.columns
where table_schema = current_schema() and table_name = $1
order by ordinal_position";

#[cfg(test)]
mod tests {
    use crate::database::Postgres;

    use super::*;

    #[test]
    fn stored_reports_are_in_the_partitions_of_their_days() {
        let postgres = Postgres::start().unwrap();
        let database = postgres.fresh().unwrap();
        fill(&database, 500).unwrap();
        let places = postgres.runtime.block_on(async {
            let mut connection = PgConnection::connect(&database.url()).await.unwrap();
            let count = "select tableoid::regclass::text = 'reports_' || \
                         to_char(arrived_at at time zone 'UTC', 'YYYYMMDD'), count(*) \
                         from reports group by 1";
            let rows = sqlx::query_as::<_, (bool, i64)>(count);
            rows.fetch_all(&mut connection).await.unwrap()
        });
        assert_eq!(places, [(true, 1_000)]);
    }

    #[test]
    fn partitions_are_created_for_every_day_of_ten_million_reports() {
        let postgres = Postgres::start().unwrap();
        let database = postgres.fresh().unwrap();
        let made = postgres.runtime.block_on(async {
            record_copied_message(&database.url()).await.unwrap();
            let mut connection = PgConnection::connect(&database.url()).await.unwrap();
            let made = sqlx::query(AssertSqlSafe(partitions(5_000_000)));
            made.fetch_all(&mut connection).await.unwrap().len()
        });
        // 100,000 seconds, beginning at six in the evening.
        assert_eq!(made, 2);
    }
}
