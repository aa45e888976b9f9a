//! How long the console's pages take, and how large they are, when many messages are stored.

use std::sync::Arc;
use std::time::Instant;

use adapter_postgres::{Options, PostgresStore};
use anyhow::{Context as _, Result, ensure};
use domain::crypto::ServerSecret;
use domain::statistics::{
    Counts, Interval, MessageCell, QUARTER_HOUR_MICROS, RequestOutcome, StatusLabel,
};
use domain::{ChannelId, DeliveryStatus, ErrorCode, Recipient, Timestamp};
use ports::Statistics as _;
use ports::statistics::IntervalCounts;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use testkit::clock::FixedClock;
use usecases::RecipientLinks;

use crate::database::Database;
use crate::measure::Bench;
use crate::receiver::Receiver;
use crate::stored::{self, REPORTS_EACH};
use crate::table::{count, number};
use crate::{CHANNEL, SECRET_KEY, http};

/// No page may take longer, in milliseconds.
const PAGE_MS_MAX: f64 = 200.0;

/// No page may be larger, in bytes.
const PAGE_BYTES_MAX: usize = 150_000;

/// How often each page is read; the first time fills caches and does not count.
const READS: u32 = 6;

/// Channels with statistics, besides that of the messages.
const OTHER_CHANNELS: u32 = 13;

const DAY_MICROS: i64 = 96 * QUARTER_HOUR_MICROS;
const DAYS: i64 = 365;
const QUARTER_DAYS: i64 = 90;

/// Intervals of all channels per transaction.
const INTERVALS_PER_BATCH: usize = 200;

/// Of so many messages, one failed.
const FAILED_EACH: u64 = 20;

/// The pages; `{channel}`, `{sid}` and `{to}` stand for the channel, an old message and a
/// recipient.
const PAGES: &[&str] = &[
    "/console/",
    "/console/?range=1h",
    "/console/?range=7d",
    "/console/?range=30d",
    "/console/?range=90d",
    "/console/?range=30d&channel={channel}",
    "/console/channels",
    "/console/channels/{channel}",
    "/console/channels/{channel}/edit",
    "/console/messages",
    "/console/messages?channel={channel}",
    "/console/messages?status=read",
    "/console/messages?status=failed",
    "/console/messages?code=63016",
    "/console/messages?code=63024",
    "/console/messages?contradicted=1",
    "/console/messages?range=all&to={to}",
    "/console/messages/{channel}/{sid}",
    "/console/rejections",
    "/console/subscriptions",
    "/console/subscriptions/new",
    "/console/live",
    "/console/tokens",
    "/console/sessions",
    "/console/audit",
    "/console/erasures",
    "/console/about",
];

/// The recipient of one message; all others have another one.
const RECIPIENT: &str = "whatsapp:+4915123456789";

/// What a page took.
#[derive(Debug)]
pub struct PageCost {
    path: String,
    slowest_ms: f64,
    bytes: usize,
}

/// Measures all pages beside `messages` stored messages and a year of statistics.
pub fn run(bench: &Bench, messages: u64, progress: impl Fn(&str)) -> Result<Vec<PageCost>> {
    progress(&format!("storing {} messages", count(messages)));
    let database = bench.postgres.fresh()?;
    let began = Instant::now();
    stored::fill(&database, messages)?;
    let running = bench.postgres.runtime.block_on(async {
        spread_over_a_year(&database, messages).await?;
        list_recipients(&database).await?;
        progress("storing statistics");
        store_statistics(&database).await
    });
    running?;
    progress(&format!("stored in {:.0} s", began.elapsed().as_secs_f64()));
    let mut receiver = bench.receiver_on(Some(&database), true, &[])?;
    let sid = traffic::stream::stored_message(messages / 2).to_string();
    let links = RecipientLinks::new(
        ServerSecret::parse(SECRET_KEY)?,
        Arc::new(FixedClock::default()),
    );
    let to = links.seal(&Recipient::parse(RECIPIENT)?);
    let costs = PAGES.iter().map(|page| {
        let path = page
            .replace("{channel}", CHANNEL)
            .replace("{sid}", &sid)
            .replace("{to}", &to);
        let cost = cost(&receiver, path)?;
        progress(&format!("{}: {:.0} ms", cost.path, cost.slowest_ms));
        Ok(cost)
    });
    let costs = costs.collect::<Result<Vec<_>>>()?;
    receiver.stop()?;
    Ok(costs)
}

/// Names the pages that are too slow or too large.
pub fn check(costs: &[PageCost]) -> Result<()> {
    let bad = costs
        .iter()
        .filter(|cost| cost.slowest_ms > PAGE_MS_MAX || cost.bytes > PAGE_BYTES_MAX);
    let bad: Vec<_> = bad.map(|cost| cost.path.as_str()).collect();
    ensure!(
        bad.is_empty(),
        "these pages take more than {PAGE_MS_MAX} ms or {PAGE_BYTES_MAX} bytes:\n  {}",
        bad.join("\n  ")
    );
    Ok(())
}

pub const HEADER: [&str; 3] = ["page", "slowest ms", "kB"];

pub fn cells(costs: &[PageCost]) -> Vec<[String; 3]> {
    let cells = |cost: &PageCost| {
        #[expect(clippy::cast_precision_loss, reason = "a page has few bytes")]
        let kilobytes = cost.bytes as f64 / 1e3;
        [
            cost.path.clone(),
            number(Some(cost.slowest_ms)),
            number(Some(kilobytes)),
        ]
    };
    costs.iter().map(cells).collect()
}

fn cost(receiver: &Receiver, path: String) -> Result<PageCost> {
    let operator = receiver.installation.operator;
    let cookie = http::sign_in(operator)?;
    let (mut slowest_ms, mut bytes) = (0_f64, 0);
    for read in 0..READS {
        let began = Instant::now();
        let (status, page) = http::page(operator, &path, &cookie)?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        ensure!(status == 200, "{path} answers {status}");
        bytes = page.len();
        if read > 0 {
            slowest_ms = slowest_ms.max(took);
        }
    }
    Ok(PageCost {
        path,
        slowest_ms,
        bytes,
    })
}

/// Dates the messages back, so that they arrived over the last year; lets some of them fail; lists
/// those as the reader of statistics would; and declares everything counted.
async fn spread_over_a_year(database: &Database<'_>, messages: u64) -> Result<()> {
    let mut connection = PgConnection::connect(&database.url()).await?;
    connection.execute("set synchronous_commit = off").await?;
    let failed = DeliveryStatus::Failed.rank();
    // Each message got `report_ids` in the order of its number, but the copied one has later ones.
    let spread = format!(
        "with numbered as (
             select ctid as place,
                 least(
                     (report_ids[1] - min(report_ids[1]) over ()) / {REPORTS_EACH}, {messages} - 1
                 ) as number
             from messages
         ),
         dated as (
             select place, number,
                 now() - interval '365 days' * (number::float8 / {messages}) as at
             from numbered
         )
         update messages
         set first_reported_at = at, last_reported_at = at, sent_at = at,
             delivered_at = case when number % {FAILED_EACH} > 0 then at end,
             failed_at = case when number % {FAILED_EACH} = 0 then at end,
             error_at = case when number % {FAILED_EACH} = 0 then at end,
             error_code = case
                 when number % {FAILED_EACH} > 0 then null
                 when number % ({FAILED_EACH} * 1000) = 0 then '63024'
                 else '63016'
             end,
             status_rank = case when number % {FAILED_EACH} = 0 then {failed} else status_rank end
         from dated
         where ctid = place"
    );
    for statement in [
        spread,
        "insert into problem_messages (channel_id, sid, reported_at, rank, code, contradicted)
         select channel_id, sid, first_reported_at, status_rank, error_code, false
         from messages
         where failed_at is not null"
            .to_owned(),
        "update statistics_position set position = (select max(id) from reports), zone = 'UTC'"
            .to_owned(),
        "vacuum (analyze) messages, problem_messages".to_owned(),
    ] {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Lists the recipients of all messages, and gives one message another recipient.
async fn list_recipients(database: &Database<'_>) -> Result<()> {
    let mut connection = PgConnection::connect(&database.url()).await?;
    connection.execute("set synchronous_commit = off").await?;
    let recipient = Recipient::parse(RECIPIENT)?;
    let hash = ServerSecret::parse(SECRET_KEY)?
        .recipient_hash(&recipient)
        .0;
    for statement in [
        format!(
            "update messages set recipient = '{RECIPIENT}'
             where first_reported_at = (select min(first_reported_at) from messages)"
        ),
        format!(
            "insert into recipients_by_day (day, recipient_hash, channel_id, sid)
             select
                 floor(extract(epoch from first_reported_at) / 86400)::integer,
                 case when recipient = '{RECIPIENT}' then {hash}
                     else hashtextextended(encode(sid, 'hex'), 0) end,
                 channel_id, sid
             from messages"
        ),
        "vacuum (analyze) recipients_by_day".to_owned(),
    ] {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Stores a year of days and 90 days of quarters of an hour for all channels.
async fn store_statistics(database: &Database<'_>) -> Result<()> {
    let store = PostgresStore::connect(&database.url(), &Options::default())?;
    let mut channels = vec![ChannelId::parse(CHANNEL)?];
    for number in 0..OTHER_CHANNELS {
        channels.push(ChannelId::parse(&format!("other-{number}"))?);
    }
    let mut connection = PgConnection::connect(&database.url()).await?;
    let now: i64 = sqlx::query_scalar("select (extract(epoch from now()) * 1000000)::bigint")
        .fetch_one(&mut connection)
        .await?;
    let now = Timestamp::from_unix_micros(now).context("the server's clock is wrong")?;
    let today = now.plus_micros(-now.unix_micros().rem_euclid(DAY_MICROS));
    let days = (0..DAYS).map(|day| (Interval::Day, today.plus_micros(-day * DAY_MICROS)));
    let quarters = (0..QUARTER_DAYS * 96).map(|quarter| {
        let start = today.plus_micros(DAY_MICROS - (quarter + 1) * QUARTER_HOUR_MICROS);
        (Interval::QuarterHour, start)
    });
    let intervals: Vec<_> = days.chain(quarters).collect();
    let (day, quarter) = (counts(9_600)?, counts(100)?);
    for batch in intervals.chunks(INTERVALS_PER_BATCH) {
        let mut rows = IntervalCounts::new();
        for (interval, start) in batch {
            for channel in &channels {
                let counts = match interval {
                    Interval::Day => &day,
                    Interval::QuarterHour => &quarter,
                };
                rows.insert((*interval, *start, channel.clone()), counts.clone());
            }
        }
        store.add_statistics(&rows).await?;
    }
    store.close().await;
    connection.execute("vacuum (analyze) statistics").await?;
    connection.close().await?;
    Ok(())
}

/// Returns counts of an interval with something in almost every place.
fn counts(messages: i64) -> Result<Counts> {
    let mut counts = Counts::default();
    for status in DeliveryStatus::ALL {
        let cell = MessageCell {
            status: Some(status),
            contradicted: false,
        };
        counts.messages.insert(cell, messages / 10);
        counts
            .reports
            .insert(StatusLabel::Delivery(status), messages / 5);
    }
    let contradicted = MessageCell {
        status: Some(DeliveryStatus::Delivered),
        contradicted: true,
    };
    counts.messages.insert(contradicted, 1);
    for code in ["63016", "63024", "63018", "63032", "30008", "63003"] {
        counts
            .errors
            .insert(ErrorCode::parse(code)?, messages / 100);
    }
    for bucket in 3..20 {
        counts.time_to_delivered.add(bucket, messages / 20);
        counts.time_to_read.add(bucket + 10, messages / 30);
        counts.gaps.add(bucket, messages / 10);
    }
    for outcome in RequestOutcome::ALL {
        counts.requests.insert(outcome, messages);
    }
    Ok(counts)
}
