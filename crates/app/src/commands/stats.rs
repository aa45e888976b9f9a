//! Shows statistics.

use std::time::Duration;

use adapter_http::wire::{CountsView, StatisticsLines, StatisticsView};
use anyhow::{Context as _, Result, ensure};
use domain::{ChannelId, Timestamp};
use indicatif::ProgressBar;
use usecases::statistics::{Progress, StatisticsQuery};

use super::installation::{ensure_exists, with_stores};
use crate::cli::{StatsArgs, StatsBy, StatsCommand};
use crate::config::Settings;
use crate::output;
use crate::statistics;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

pub async fn run(settings: &Settings, json: bool, args: StatsArgs) -> Result<()> {
    if let Some(StatsCommand::Rebuild) = args.command {
        return rebuild(settings).await;
    }
    let channel = args.channel.as_deref().map(ChannelId::parse).transpose()?;
    let time = |text: Option<&str>, flag| -> Result<Option<Timestamp>> {
        let time = text.map(Timestamp::parse).transpose();
        time.with_context(|| format!("{flag} is not a time"))
    };
    let from = time(args.from.as_deref(), "--from")?;
    let until = time(args.until.as_deref(), "--until")?;
    let view = with_stores(settings, async |stores| {
        let read = statistics::read(&stores.store(), settings);
        let until = until.unwrap_or_else(|| read.now());
        let from = from.unwrap_or_else(|| until.plus_micros(-DAY_MICROS));
        ensure!(from < until, "--from lies before --until");
        let query = StatisticsQuery {
            from,
            until,
            channel,
        };
        let report = read.read(&query).await?;
        let view = StatisticsView::new(&report, read.calendar().zone());
        if let (Some(channel), true) = (&query.channel, view.channels.is_empty()) {
            ensure_exists(stores, channel).await?;
        }
        Ok(view)
    })
    .await?;
    if json {
        return output::json(&view);
    }
    if args.csv {
        let csv = view.to_csv(match args.by {
            StatsBy::Interval => StatisticsLines::Interval,
            StatsBy::Channel | StatsBy::Request => StatisticsLines::Channel,
            StatsBy::Code => StatisticsLines::Code,
        });
        output::line(csv.trim_end());
        return Ok(());
    }
    print(&view, args.by);
    Ok(())
}

async fn rebuild(settings: &Settings) -> Result<()> {
    let bar = ProgressBar::new_spinner().with_message("messages whose reports are removed");
    bar.enable_steady_tick(Duration::from_millis(200));
    let secret = settings.server_secret()?;
    let (lost, counted) = with_stores(settings, async |stores| {
        let rebuild = statistics::rebuild(&stores.store(), settings, &secret);
        let examined = |messages| bar.set_message(format!("examined {messages} messages"));
        let lost = rebuild.run(examined).await?;
        let reader = statistics::reader(&stores.store(), settings, &secret);
        let mut steps = 0_u64;
        loop {
            match reader.step().await? {
                Progress::UpToDate => return Ok((lost, true)),
                // A server counts the log.
                Progress::LeftToAnother => return Ok((lost, false)),
                Progress::More | Progress::Missed => steps += 1,
            }
            bar.set_message(format!("counted {steps} parts of the log"));
        }
    })
    .await?;
    bar.finish_and_clear();
    output::line(format!(
        "Counted {lost} messages whose reports retention has removed."
    ));
    output::line(if counted {
        "Counted all reports of the log."
    } else {
        "A running server counts the reports of the log; `receiptd stats` shows what is counted."
    });
    Ok(())
}

const OUTCOMES: [&str; 7] = [
    "MESSAGES",
    "OPEN",
    "DELIVERED",
    "READ",
    "FAILED",
    "CANCELED",
    "CONTRADICTED",
];

fn print(view: &StatisticsView, by: StatsBy) {
    const EMPTY: &str = "no messages were reported in this time";
    match by {
        StatsBy::Interval => {
            let rows = view.intervals.iter();
            let rows = rows.map(|row| outcomes(output::time(&row.start), &row.counts));
            let all = outcomes("all".to_owned(), &view.total);
            let some = !view.intervals.is_empty();
            output::table(headers("FROM"), rows.chain(some.then_some(all)), EMPTY);
        }
        StatsBy::Channel => {
            let rows = view.channels.iter();
            let rows = rows.map(|row| outcomes(row.channel_id.clone(), &row.counts));
            output::table(headers("CHANNEL"), rows, EMPTY);
        }
        StatsBy::Code => {
            let rows = view.total.errors.iter();
            let rows = rows.map(|(code, messages)| vec![code.clone(), messages.to_string()]);
            let empty = "no message of this time has an error code";
            output::table(["CODE", "MESSAGES"], rows, empty);
        }
        StatsBy::Request => {
            let rows = view.channels.iter();
            let rows = rows.map(|row| requests(row.channel_id.clone(), &row.counts));
            let headers = [
                "CHANNEL",
                "AUTHENTICATED",
                "CHALLENGED",
                "REFUSED",
                "REJECTED",
            ];
            output::table(headers, rows, "no requests arrived in this time");
        }
    }
    if let Some(since) = &view.days_since {
        output::hint(format!(
            "Days before {} are those of another time zone",
            output::time(since)
        ));
    }
    if let Some(seconds) = view.lag_seconds.filter(|seconds| *seconds > 60) {
        output::hint(format!(
            "Not counted yet: reports of the last {} minutes",
            seconds / 60
        ));
    }
}

fn requests(name: String, counts: &CountsView) -> Vec<String> {
    let requests = &counts.requests;
    let numbers = [
        requests.authenticated,
        requests.challenged,
        requests.refused,
        requests.rejected.values().sum(),
    ];
    let numbers = numbers.into_iter().map(|number| number.to_string());
    [name].into_iter().chain(numbers).collect()
}

fn headers(first: &'static str) -> impl Iterator<Item = &'static str> {
    [first].into_iter().chain(OUTCOMES)
}

fn outcomes(name: String, counts: &CountsView) -> Vec<String> {
    let outcomes = &counts.outcomes;
    let numbers = [
        counts.messages,
        outcomes.open,
        outcomes.delivered,
        outcomes.read,
        outcomes.failed,
        outcomes.canceled,
        outcomes.contradicted,
    ];
    let numbers = numbers.into_iter().map(|number| number.to_string());
    [name].into_iter().chain(numbers).collect()
}
