//! Counts equal a recount of the log, with several readers, failures and late reports.

use domain::statistics::{Counts, Histogram, Interval, MessageSummary, StatusLabel};
use domain::{ChannelId, Effect, MessageSid, Report, Timestamp};
use ports::ReportStore as _;
use ports::statistics::{IntervalCounts, StatisticsRange, StatisticsRow};
use proptest::prelude::*;

use testkit::builders::{recipient, report, server_secret, time};
use testkit::memory::MemoryStore;

use super::*;

/// Days that begin at 22:30 UTC.
struct Shifted;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;
const SHIFT: i64 = 90 * 60 * 1_000_000;

impl Calendar for Shifted {
    fn day_start(&self, moment: Timestamp) -> Timestamp {
        let within = (moment.unix_micros() + SHIFT).rem_euclid(DAY);
        moment.plus_micros(-within)
    }

    fn zone(&self) -> &'static str {
        "shifted"
    }
}

fn reader(store: &MemoryStore) -> StatisticsReader {
    let store = Arc::new(store.clone());
    StatisticsReader::new(store, Arc::new(Shifted), server_secret())
}

async fn catch_up(reader: &StatisticsReader) {
    while reader.step().await.unwrap() != Progress::UpToDate {}
}

async fn rows(store: &MemoryStore, interval: Interval) -> Vec<StatisticsRow> {
    let range = StatisticsRange {
        interval,
        from: time(-2 * DAY),
        until: time(100 * DAY),
        channel: None,
    };
    store.read_statistics(&range).await.unwrap()
}

/// Counts reports that were not duplicates, the gaps between them, and their messages, the slow
/// way.
fn recount(reports: &[Report], start: impl Fn(Timestamp) -> Timestamp) -> Vec<StatisticsRow> {
    let mut sums = BTreeMap::<(Timestamp, ChannelId), Counts>::new();
    let mut messages = HashMap::new();
    let mut last_arrivals = HashMap::<ChannelId, Timestamp>::new();
    for report in reports {
        let change = StatusChange {
            position: LogPosition::START,
            key: report.key.clone(),
            revision: 1,
            arrived_at: report.arrived_at,
            happened_at: report.happened_at,
            recipient: report.recipient.clone(),
            status: report.status.clone(),
            error: report.error.as_ref().map(|error| error.code.clone()),
        };
        let key = (start(report.arrived_at), report.key.channel.clone());
        let label = StatusLabel::of(&report.status);
        *sums
            .entry(key)
            .or_default()
            .reports
            .entry(label)
            .or_default() += 1;
        let last = last_arrivals.get(&report.key.channel).copied();
        if last.is_none_or(|last| last <= report.arrived_at) {
            last_arrivals.insert(report.key.channel.clone(), report.arrived_at);
        }
        if let Some(last) = last.filter(|last| *last <= report.arrived_at) {
            let gap = report.arrived_at.unix_micros() - last.unix_micros();
            let sum = sums.entry((start(last), report.key.channel.clone()));
            sum.or_default().gaps.add(Histogram::bucket_of(gap), 1);
        }
        messages
            .entry(report.key.clone())
            .and_modify(|summary: &mut MessageSummary| summary.absorb(&change))
            .or_insert_with(|| MessageSummary::begin(&change));
    }
    for (key, summary) in messages {
        let start = start(summary.first_reported_at());
        let sum = sums.entry((start, key.channel)).or_default();
        sum.add(&summary.counts(), 1);
    }
    let rows = sums
        .into_iter()
        .map(|((start, channel), counts)| StatisticsRow {
            start,
            channel,
            counts,
        });
    rows.collect()
}

async fn assert_counted(store: &MemoryStore, reports: &[Report]) {
    assert_eq!(
        rows(store, Interval::QuarterHour).await,
        recount(reports, domain::statistics::quarter_hour)
    );
    assert_eq!(
        rows(store, Interval::Day).await,
        recount(reports, |at| Shifted.day_start(at))
    );
}

#[tokio::test]
async fn earlier_report_from_the_journal_moves_its_message() {
    let store = MemoryStore::new();
    let reader = reader(&store);
    let reports = [
        report("SM1").status("delivered").at(DAY).build(),
        report("SM1").status("sent").at(10).build(),
    ];
    for report in &reports {
        store.record(std::slice::from_ref(report)).await.unwrap();
        catch_up(&reader).await;
    }
    assert_counted(&store, &reports).await;
    let days = rows(&store, Interval::Day).await;
    assert_eq!(days[0].counts.total_messages(), 1);
    assert_eq!(days[1].counts.total_messages(), 0);
}

#[tokio::test]
async fn readers_share_the_work_without_counting_twice() {
    let store = MemoryStore::new();
    let readers = [reader(&store), reader(&store)];
    let mut reports = Vec::new();
    for n in 0..40_i64 {
        let status = ["sent", "failed", "delivered", "read"][usize::try_from(n % 4).unwrap()];
        let report = report(&format!("SM{}", n / 4)).status(status).at(n).build();
        store.record(std::slice::from_ref(&report)).await.unwrap();
        reports.push(report);
        let turn = usize::try_from(n % 3 % 2).unwrap();
        let progress = readers[turn].step().await.unwrap();
        assert!(matches!(
            progress,
            Progress::UpToDate | Progress::LeftToAnother
        ));
    }
    for reader in &readers {
        // The first step may find that the other reader was faster.
        reader.step().await.unwrap();
        catch_up(reader).await;
    }
    assert_counted(&store, &reports).await;
}

#[tokio::test]
async fn gap_counts_where_it_begins_and_survives_a_restart() {
    let store = MemoryStore::new();
    let second = 1_000_000;
    // The third is late: it ends no gap and begins none.
    for at in [10 * second, 40 * second, 20 * second, DAY] {
        let report = report("SM1").status(&format!("word_{at}")).at(at).build();
        store.record(&[report]).await.unwrap();
        catch_up(&reader(&store)).await;
    }
    let mut expected = Histogram::default();
    for gap in [30 * second, DAY - 40 * second] {
        expected.add(Histogram::bucket_of(gap), 1);
    }
    let quarters = rows(&store, Interval::QuarterHour).await;
    assert_eq!(quarters[0].counts.gaps, expected);
    assert!(quarters[1..].iter().all(|row| row.counts.gaps.total() == 0));
    let days = rows(&store, Interval::Day).await;
    assert_eq!(days[0].counts.gaps, expected);
}

#[tokio::test]
async fn test_messages_are_not_counted() {
    let store = MemoryStore::new();
    let reader = reader(&store);
    let counted = report("SM1").status("sent").at(1).build();
    let test = MessageSid::of_test(counted.credential);
    let test = report(test.as_str()).status("delivered").at(2).build();
    store.record(&[test, counted.clone()]).await.unwrap();
    catch_up(&reader).await;
    assert_counted(&store, &[counted]).await;
}

#[tokio::test]
async fn failed_step_is_repeated() {
    let store = MemoryStore::new();
    let reader = reader(&store);
    let reports = [
        report("SM1").status("sent").at(1).build(),
        report("SM1").status("read").at(2).build(),
    ];
    store.record(&reports).await.unwrap();
    store.set_unavailable(true);
    reader.step().await.unwrap_err();
    store.set_unavailable(false);
    catch_up(&reader).await;
    assert_counted(&store, &reports).await;
}

#[tokio::test]
async fn missed_reports_are_noticed_once() {
    let store = MemoryStore::new();
    let reader = reader(&store);
    let first = report("SM1").status("sent").at(1).build();
    store.record(&[first]).await.unwrap();
    let progress = reader.step().await.unwrap();
    assert_eq!(progress, Progress::UpToDate);
    for (n, at) in [(2, 2), (3, 5 * DAY)] {
        let later = report(&format!("SM{n}")).status("sent").at(at).build();
        store.record(&[later]).await.unwrap();
    }
    let budget = std::num::NonZeroU32::new(10).unwrap();
    let pruned = ports::Maintenance::prune_reports(&store, time(DAY), budget).await;
    assert!(pruned.unwrap().done);
    assert_eq!(reader.step().await.unwrap(), Progress::Missed);
    assert_eq!(reader.step().await.unwrap(), Progress::UpToDate);
    let counted: i64 = rows(&store, Interval::Day)
        .await
        .iter()
        .map(|row| row.counts.total_reports())
        .sum();
    assert_eq!(counted, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_histories_equal_a_recount(
        events in prop::collection::vec(
            (0..6_u8, 0..6_usize, 0..3_usize, 0..3 * DAY, prop::bool::weighted(0.3)),
            1..60,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            let mut present = reader(&store);
            let mut logged = Vec::new();
            let words = ["queued", "sent", "delivered", "read", "failed", "new_word"];
            let codes = [None, Some("63016"), Some("30008")];
            for (message, word, code, at, restart) in events {
                let report = report(&format!("SM{}", message % 5))
                    .channel(if message < 3 { "a" } else { "b" })
                    .status(words[word])
                    .at(at);
                let report = match codes[code] {
                    Some(code) => report.error(code),
                    None => report,
                };
                let report = report.build();
                let effects = store.record(std::slice::from_ref(&report)).await.unwrap();
                if effects != [Effect::Duplicate] {
                    logged.push(report);
                }
                if restart {
                    catch_up(&present).await;
                    present = reader(&store);
                }
            }
            catch_up(&present).await;
            assert_counted(&store, &logged).await;
        });
    }
}

#[tokio::test]
async fn rebuilding_equals_a_recount_after_retention() {
    let store = MemoryStore::new();
    let present = reader(&store);
    let mut reports = Vec::new();
    for (sid, status, at) in [
        ("SM1", "sent", 1),
        ("SM1", "delivered", 2),
        ("SM2", "failed", DAY),
        ("SM2", "delivered", 5 * DAY),
        ("SM3", "sent", 5 * DAY + 1),
    ] {
        let report = report(sid).status(status).at(at).build();
        store.record(std::slice::from_ref(&report)).await.unwrap();
        reports.push(report);
    }
    catch_up(&present).await;
    let before = rows(&store, Interval::Day).await;
    let budget = std::num::NonZeroU32::new(10).unwrap();
    let pruned = ports::Maintenance::prune_reports(&store, time(3 * DAY), budget).await;
    assert!(pruned.unwrap().done);
    let shared = Arc::new(store.clone());
    let rebuild = super::super::RebuildStatistics::new(
        shared.clone(),
        shared.clone(),
        shared,
        Arc::new(Shifted),
        server_secret(),
    );
    assert_eq!(rebuild.run(|_| {}).await.unwrap(), 2);
    // The reader remembers a position that is no longer that of the store.
    assert_eq!(present.step().await.unwrap(), Progress::LeftToAnother);
    catch_up(&present).await;
    assert_eq!(rows(&store, Interval::Day).await, before);
    assert_counted(&store, &reports).await;
}

#[test]
fn nothing_is_counted_of_nothing() {
    let tally = Tally::new(&Shifted);
    assert_eq!(tally.into_counts(), IntervalCounts::new());
}

#[tokio::test]
async fn message_is_found_by_its_recipient_when_it_is_counted() {
    let store = MemoryStore::new();
    let present = reader(&store);
    let shared = Arc::new(store.clone());
    let list = crate::ListMessages::new(shared.clone(), shared, server_secret());
    let found = async |to: &str| {
        let filter = domain::page::MessageFilter {
            recipient: Some(recipient(to)),
            ..Default::default()
        };
        let page = list.run(&filter, None, domain::page::PageSize::MAX).await;
        let items = page.unwrap().items.into_iter();
        items.map(|it| it.key.sid.to_string()).collect::<Vec<_>>()
    };
    let one = "whatsapp:+15550100001";
    let another = "whatsapp:+15550100002";
    let later = report("SM1").to(one).status("read").at(20).build();
    store.record(&[later]).await.unwrap();
    assert!(found(one).await.is_empty());
    catch_up(&present).await;
    assert_eq!(found("+1 555 010 0001").await, ["SM1"]);
    // The recipient of a message is that of its earliest report.
    let earlier = report("SM1").to(another).status("sent").at(10).build();
    store.record(&[earlier]).await.unwrap();
    catch_up(&present).await;
    assert!(found(one).await.is_empty());
    assert_eq!(found(another).await, ["SM1"]);
}
