//! Compares the statistics with a recount of the messages and the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU16;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use domain::page::{MessageFilter, PageSize, ScanLimit};
use domain::statistics::{
    Counts, Histogram, Interval, MessageSummary, StatusChange, StatusLabel, quarter_hour,
};
use domain::{ChannelId, MessageKey, Timestamp};
use ports::statistics::{IntervalCounts, StatisticsRange};
use ports::{Calendar as _, Store};
use testkit::builders::server_secret;
use testkit::clock::UtcDays;
use usecases::StatisticsReader;
use usecases::statistics::Progress;

use super::store::{DatabaseEngine, with_store};
use crate::wait::runtime;

/// Steps after which everything must be counted.
const MAX_STEPS: usize = 10_000;

/// Counts what the receivers have not counted yet, as the next one to start would. Returns how many
/// rows of the statistics differ from a recount.
pub fn wrong_rows(engine: DatabaseEngine, url: &str) -> Result<usize> {
    runtime()?.block_on(async {
        with_store!(engine, url, |store| {
            let store: Arc<dyn Store> = store;
            catch_up(&store).await?;
            let (expected, found) = (recount(&store).await?, counted(&store).await?);
            let keys = expected.keys().chain(found.keys());
            let keys: BTreeSet<_> = keys.collect();
            let wrong = keys
                .into_iter()
                .filter(|key| expected.get(key) != found.get(key));
            Ok(wrong.count())
        })
    })
}

async fn catch_up(store: &Arc<dyn Store>) -> Result<()> {
    let reader = StatisticsReader::new(Arc::clone(store) as _, Arc::new(UtcDays), server_secret());
    for _ in 0..MAX_STEPS {
        match reader.step().await? {
            Progress::UpToDate => return Ok(()),
            // Of a receiver that is stopped by now.
            Progress::More | Progress::LeftToAnother => {}
            Progress::Missed => break,
        }
    }
    ensure!(false, "the statistics miss a part of the log");
    Ok(())
}

/// Counts reports, gaps, times and errors from the log, and the outcomes of messages from their
/// rows.
///
/// The row of a message can have earlier times than the log: of two receivers that were sent the
/// same report, the one that got it first may record it last, as a duplicate. A duplicate moves
/// the times of the row and is not logged.
async fn recount(store: &Arc<dyn Store>) -> Result<IntervalCounts> {
    let mut counts = IntervalCounts::new();
    let mut last_arrivals = BTreeMap::<ChannelId, Timestamp>::new();
    let mut logged = HashMap::<MessageKey, MessageSummary>::new();
    let mut after = None;
    loop {
        let page = store.changes(after, NonZeroU16::MAX).await?;
        for change in &page.changes {
            count_report(&mut counts, &mut last_arrivals, change);
            logged
                .entry(change.key.clone())
                .and_modify(|summary| summary.absorb(change))
                .or_insert_with(|| MessageSummary::begin(change));
        }
        after = Some(page.next);
        if page.complete {
            break;
        }
    }
    let mut after = None;
    loop {
        let filter = MessageFilter::default();
        let page = store.messages(&filter, after.as_ref(), PageSize::MAX, ScanLimit::MAX);
        let page = page.await?;
        for message in &page.items {
            let summary = logged.get(&message.key);
            let summary = summary.context("a message has no report in the log")?;
            let mut of_message = summary.counts();
            of_message.messages = MessageSummary::of(message).counts().messages;
            let at = summary.first_reported_at();
            add(&mut counts, &message.key.channel, at, |counts| {
                counts.add(&of_message, 1);
            });
        }
        after = page.next;
        if after.is_none() {
            return Ok(counts);
        }
    }
}

fn count_report(
    counts: &mut IntervalCounts,
    last_arrivals: &mut BTreeMap<ChannelId, Timestamp>,
    change: &StatusChange,
) {
    let (channel, at) = (&change.key.channel, change.arrived_at);
    let label = StatusLabel::of(&change.status);
    add(counts, channel, at, |counts| {
        *counts.reports.entry(label).or_default() += 1;
    });
    let last = last_arrivals.get(channel).copied();
    if last.is_some_and(|last| at < last) {
        return;
    }
    last_arrivals.insert(channel.clone(), at);
    if let Some(last) = last {
        let bucket = Histogram::bucket_of(at.unix_micros() - last.unix_micros());
        add(counts, channel, last, |counts| counts.gaps.add(bucket, 1));
    }
}

/// Changes the counts of both intervals of a time.
fn add(
    counts: &mut IntervalCounts,
    channel: &ChannelId,
    at: Timestamp,
    change: impl Fn(&mut Counts),
) {
    for (interval, start) in [
        (Interval::QuarterHour, quarter_hour(at)),
        (Interval::Day, UtcDays.day_start(at)),
    ] {
        change(
            counts
                .entry((interval, start, channel.clone()))
                .or_default(),
        );
    }
}

/// Returns the statistics. Requests are left out: neither messages nor log tell how many there
/// were.
async fn counted(store: &Arc<dyn Store>) -> Result<IntervalCounts> {
    let mut all = IntervalCounts::new();
    for interval in Interval::ALL {
        let range = StatisticsRange {
            interval,
            from: Timestamp::from_unix_micros(0)?,
            until: Timestamp::from_unix_micros(i64::from(u32::MAX) * 1_000_000)?,
            channel: None,
        };
        for mut row in store.read_statistics(&range).await? {
            row.counts.requests.clear();
            if !row.counts.is_empty() {
                all.insert((interval, row.start, row.channel), row.counts);
            }
        }
    }
    Ok(all)
}
