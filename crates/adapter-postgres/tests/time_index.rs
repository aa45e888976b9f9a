//! Seeking the log by time.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod database;

use adapter_postgres::PostgresStore;
use database::Database;
use domain::{LogEntry, LogPosition};
use ports::{EventLog as _, Maintenance as _, ReportStore as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::builders::{report, time};
use testkit::contract::in_time;
use testkit::contract::log::{Reader, page};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Records a report of a message of its own that arrived at a time, and waits until it can
/// be read.
async fn arrives(store: &PostgresStore, count: usize, at: i64) {
    let sid = format!("SM{count}");
    let recorded = store.record(&[report(&sid).at(at).build()]).await;
    recorded.unwrap();
    Reader::read(store, count, 100).await;
}

async fn add_entry(store: &PostgresStore, at: i64) {
    let head = store.head().await.unwrap();
    store.add_time_index_entry(time(at), head).await.unwrap();
}

/// What happens, in this order.
#[derive(Clone, Copy)]
enum Step {
    /// A report arrived at this time and is recorded now.
    Report(i64),
    /// An entry is added at this time of some clock.
    Entry(i64),
}
use Step::{Entry, Report};

/// Reading on from any time hands out all reports from the first one of that time on, and
/// whether that is not the beginning of the log.
async fn assert_found(steps: &[Step], moments: &[(i64, usize)]) {
    let database = Database::create().await;
    let store = database.store().await;
    store.make_partitions(time(0)).await.unwrap();
    let mut count = 0;
    for step in steps {
        match *step {
            Report(at) => {
                count += 1;
                arrives(&store, count, at).await;
            }
            Entry(at) => add_entry(&store, at).await,
        }
    }
    let all = Reader::read(&store, count, 100).await.entries;
    for (moment, first) in moments {
        let arrived = |entry: &LogEntry| entry.report.report.arrived_at >= time(*moment);
        let wanted = all.iter().position(arrived).unwrap_or(all.len());
        assert_eq!(wanted, *first, "of {moment}");
        let from = store.seek(time(*moment)).await.unwrap();
        let found = page(&store, Some(from), 100).await.entries;
        assert_eq!(found, all[*first..], "from {moment} on");
    }
}

#[tokio::test]
async fn time_and_late_reports_are_found_after_index_entry() {
    in_time(assert_found(
        &[
            Report(HOUR),
            Entry(HOUR + SECOND),
            Report(2 * HOUR),
            // Out of a journal.
            Report(HOUR / 2),
            Entry(2 * HOUR + SECOND),
            // The receiver's clock is ahead, by less than a minute.
            Report(3 * HOUR + 59 * SECOND),
            Entry(3 * HOUR + SECOND),
            Report(3 * HOUR + 2 * SECOND),
            Report(2 * HOUR + 1),
            Entry(4 * HOUR),
        ],
        &[
            (0, 0),
            (HOUR, 0),
            (HOUR + 1, 1),
            (2 * HOUR, 1),
            (2 * HOUR + 1, 3),
            (3 * HOUR + 3 * SECOND, 3),
            (3 * HOUR + 59 * SECOND, 3),
            (3 * HOUR + MINUTE, 6),
            (5 * HOUR, 6),
        ],
    ))
    .await;
}

#[tokio::test]
async fn entry_of_slow_clock_hides_no_report() {
    in_time(assert_found(
        &[
            Report(HOUR),
            Entry(HOUR + SECOND),
            Report(4 * HOUR),
            Entry(4 * HOUR + SECOND),
            Report(4 * HOUR + 2 * SECOND),
            Entry(2 * HOUR),
            Report(4 * HOUR + 3 * SECOND),
        ],
        &[
            (2 * HOUR + MINUTE, 1),
            (4 * HOUR, 1),
            (4 * HOUR + 2 * SECOND, 2),
            (4 * HOUR + 3 * SECOND, 3),
        ],
    ))
    .await;
}

#[tokio::test]
async fn entry_of_fast_clock_hides_no_report() {
    in_time(assert_found(
        &[
            Report(HOUR),
            Entry(9 * HOUR),
            Report(2 * HOUR),
            Entry(2 * HOUR + SECOND),
            Report(9 * HOUR + MINUTE),
            Entry(9 * HOUR + 2 * MINUTE),
            Report(9 * HOUR + 3 * MINUTE),
        ],
        &[
            (HOUR + 1, 1),
            (2 * HOUR, 1),
            (9 * HOUR, 2),
            (9 * HOUR + 2 * MINUTE, 3),
        ],
    ))
    .await;
}

async fn connect(database: &Database) -> PgConnection {
    PgConnection::connect(&database.url()).await.unwrap()
}

async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .expect(query)
}

/// So many reports of the first day, their ids from 1 on, ten a second.
async fn fill(database: &Database, reports: i64) {
    let mut connection = connect(database).await;
    let statement = format!(
        "insert into reports (
             id, arrived_at, credential_id, revision, channel_id, sid, status, effect, recipient,
             sender, fields
         )
         select n, timestamptz '1970-01-01 00:00:00+00' + n * interval '100 ms',
             '00000000-0000-0000-0000-000000000000', 1, 'CH', '', 'sent', 'advanced', '', '', '{{}}'
         from generate_series(1, {reports}) as n;
         analyze reports"
    );
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn time_late_in_busy_day_is_found_without_reading_the_day() {
    const REPORTS: i64 = 300_000;
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        store.make_partitions(time(0)).await.unwrap();
        fill(&database, REPORTS).await;
        for minute in 1..REPORTS / 600 {
            let marked =
                store.add_time_index_entry(time(minute * MINUTE), LogPosition(minute * 600));
            marked.await.unwrap();
        }
        let found = store.seek(time(29_000 * SECOND)).await.unwrap();
        assert_eq!(found, LogPosition(289_999));
        // The server counts up when the connections end, at the latest.
        store.close().await;
        let mut observer = connect(&database).await;
        let others = "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()";
        while number(&mut observer, others).await > 0 {
            tokio::task::yield_now().await;
        }
        let read = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes
             where relname like 'reports%'";
        let read = number(&mut observer, read).await;
        assert!(
            read > 0 && read < 5_000,
            "{read} of {REPORTS} reports were read"
        );
    })
    .await;
}

#[tokio::test]
async fn position_of_time_is_early_if_too_many_arrived_and_never_late() {
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        store.make_partitions(time(0)).await.unwrap();
        fill(&database, 250_000).await;
        let wanted = 220_000;
        for (mark, from) in [(None, 0), (Some(50_000), 50_000), (Some(130_000), 130_000)] {
            if let Some(mark) = mark {
                let at = time(mark * SECOND / 10);
                store
                    .add_time_index_entry(at, LogPosition(mark))
                    .await
                    .unwrap();
            }
            let moment = time((wanted + 1) * SECOND / 10);
            let LogPosition(found) = store.seek(moment).await.unwrap();
            let looked_at = found - from;
            assert_eq!(looked_at, 100_000.min(wanted - from), "from {from}");
        }
    })
    .await;
}

#[tokio::test]
async fn index_entries_are_few_and_are_pruned_with_their_reports() {
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        let mut observer = connect(&database).await;
        let count = "select count(*) from log_time_index";
        let now = async |store: &PostgresStore, observer: &mut PgConnection, at: i64| {
            add_entry(store, at).await;
            number(observer, count).await
        };
        assert_eq!(
            now(&store, &mut observer, MINUTE).await,
            0,
            "nothing is there"
        );
        arrives(&store, 1, HOUR).await;
        assert_eq!(now(&store, &mut observer, HOUR).await, 1);
        assert_eq!(
            now(&store, &mut observer, 2 * HOUR).await,
            1,
            "nothing is new"
        );
        arrives(&store, 2, HOUR).await;
        assert_eq!(
            now(&store, &mut observer, HOUR + 49 * SECOND).await,
            1,
            "too near"
        );
        assert_eq!(now(&store, &mut observer, HOUR + 51 * SECOND).await, 2);
        arrives(&store, 3, 3 * HOUR).await;
        assert_eq!(now(&store, &mut observer, 3 * HOUR).await, 3);
        let third = Reader::read(&store, 3, 100).await.entries[2].position;
        let pruned = format!("update report_log set pruned_through = {third} returning 1::bigint");
        number(&mut observer, &pruned).await;
        let last = [report("SM4").at(4 * HOUR).build()];
        store.record(&last).await.unwrap();
        assert_eq!(now(&store, &mut observer, 4 * HOUR).await, 2);
    })
    .await;
}
