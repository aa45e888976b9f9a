//! Reading events: each once, in order, soon, and with few reads of the store.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::LogPosition;
use domain::event::EventFilter;
use ports::event_log::LogRead;
use ports::{EventLog as _, ReportStore as _};
use testkit::builders::report;
use testkit::memory::MemoryStore;
use tokio::time::Instant;
use usecases::events::read::{EventSelection, EventsPage, EventsRead};
use usecases::{CloudEvent, LogTailCache, ReadEvents};

fn log() -> (MemoryStore, Arc<LogTailCache>) {
    let store = MemoryStore::new();
    let log = Arc::new(LogTailCache::new(Arc::new(store.clone())));
    (store, log)
}

fn wanted(after: Option<LogPosition>, limit: u16, wait: Duration) -> EventSelection {
    EventSelection {
        after,
        filter: EventFilter::default(),
        limit: NonZeroU16::new(limit).unwrap(),
        wait,
    }
}

async fn read(
    events: &ReadEvents,
    after: Option<LogPosition>,
    limit: u16,
    wait: Duration,
) -> EventsPage {
    match events.run(&wanted(after, limit, wait)).await.unwrap() {
        EventsRead::Page(page) => page,
        other => panic!("{other:?}"),
    }
}

fn events_of_page(page: &EventsPage) -> Vec<String> {
    let events = page.events.iter();
    events
        .map(|event| format!("{} {}", event.key.sid, event.event_type))
        .collect()
}

#[tokio::test]
async fn pages_of_any_size_return_every_event_once() {
    let (store, log) = log();
    for number in 0..40 {
        let sid = format!("SM{number}");
        for status in ["sent", "failed", "failed", "delivered"] {
            store
                .record(&[report(&sid).status(status).build()])
                .await
                .unwrap();
        }
    }
    let events = ReadEvents::new(log);
    let all = read(&events, None, 500, Duration::ZERO).await;
    assert_eq!(all.events.len(), 40 * 4);
    assert!(!all.more);
    for limit in [1, 3, 7, 159, 160] {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = read(&events, after, limit, Duration::ZERO).await;
            assert!(page.events.len() <= usize::from(limit) + 1);
            seen.extend(page.events);
            after = Some(page.next);
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, all.events, "{limit} at a time");
    }
}

#[tokio::test]
async fn waiting_reader_is_woken_by_a_commit_of_this_process() {
    let (store, log) = log();
    let events = ReadEvents::new(log.clone());
    let began = Instant::now();
    let wait = Duration::from_secs(30);
    let (page, ()) = tokio::join!(read(&events, Some(LogPosition::START), 10, wait), async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        store.record(&[report("SM1").build()]).await.unwrap();
        log.notify();
    });
    assert_eq!(page.events.len(), 1);
    assert!(began.elapsed() < wait, "it was not woken");
}

#[tokio::test]
async fn waiting_reader_sees_commits_of_other_processes_soon() {
    let (store, log) = log();
    let events = ReadEvents::new(log);
    let began = Instant::now();
    let wait = Duration::from_secs(30);
    let (page, ()) = tokio::join!(read(&events, Some(LogPosition::START), 10, wait), async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        store.record(&[report("SM1").build()]).await.unwrap();
    });
    assert_eq!(page.events.len(), 1);
    assert!(began.elapsed() < wait, "it was not woken");
}

#[tokio::test]
async fn empty_page_is_returned_after_the_wait() {
    let (_, log) = log();
    let began = Instant::now();
    let page = read(&ReadEvents::new(log), None, 10, Duration::from_millis(300)).await;
    assert_eq!((page.events.len(), page.more), (0, false));
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_hundred_readers_read_the_store_as_often_as_one() {
    let (store, log) = log();
    let mut followers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let events = ReadEvents::new(log.clone());
        followers.spawn(async move {
            let (mut after, mut seen) = (LogPosition::START, Vec::new());
            while seen.len() < 50 {
                let page = read(&events, Some(after), 20, Duration::from_mins(1)).await;
                seen.extend(events_of_page(&page));
                after = page.next;
            }
            seen
        });
    }
    let expected: Vec<_> = (0..50)
        .map(|number| format!("SM{number} message.delivered"))
        .collect();
    for number in 0..50 {
        store
            .record(&[report(&format!("SM{number}")).build()])
            .await
            .unwrap();
        log.notify();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for seen in followers.join_all().await {
        assert_eq!(seen, expected);
    }
    let asked = store.log_reads();
    // Without the cache there would be five thousand reads.
    assert!(asked <= 500, "asked {asked} times for 50 commits");
}

#[tokio::test]
async fn position_beyond_the_end_is_refused_and_does_not_disable_the_cache() {
    let (store, log) = log();
    let events = ReadEvents::new(log.clone());
    store.record(&[report("SM1").build()]).await.unwrap();
    let head = store.head().await.unwrap();
    let beyond = [head.0 + 1, i64::MAX].map(LogPosition);
    for after in beyond {
        // It does not wait for reports that would not wake it.
        let wanted = wanted(Some(after), 10, Duration::from_mins(1));
        let read = events.run(&wanted).await.unwrap();
        assert_eq!(read, EventsRead::BeyondEnd);
    }
    let page = read(&events, Some(head), 10, Duration::ZERO).await;
    assert_eq!((page.events.len(), page.next), (0, head));
    store.record(&[report("SM2").build()]).await.unwrap();
    log.notify();
    let before = store.log_reads();
    for _ in 0..10 {
        assert_eq!(
            events_of_page(&read(&events, Some(head), 10, Duration::ZERO).await).len(),
            1
        );
    }
    assert_eq!(store.log_reads(), before + 1);
}

#[tokio::test]
async fn position_returned_by_another_process_can_be_read_from() {
    let (store, log) = log();
    let events = ReadEvents::new(log);
    store.record(&[report("SM1").build()]).await.unwrap();
    let all = read(&events, None, 10, Duration::ZERO).await;
    assert_eq!(all.events.len(), 1);
    // This process is not notified.
    store.record(&[report("SM2").build()]).await.unwrap();
    let given = store.head().await.unwrap();
    assert!(given > all.next);
    let page = read(&events, Some(given), 10, Duration::ZERO).await;
    assert_eq!((page.events.len(), page.next), (0, given));
}

#[tokio::test]
async fn reader_that_returns_later_misses_nothing() {
    let (store, log) = log();
    let events = ReadEvents::new(log.clone());
    // Far more than the cache holds.
    let reports: Vec<_> = (0..6_000)
        .map(|n| report(&format!("SM{n}")).build())
        .collect();
    for batch in reports.chunks(1_000) {
        store.record(batch).await.unwrap();
        log.notify();
        let live = read(
            &events,
            Some(LogPosition(store.head().await.unwrap().0 - 1)),
            5,
            Duration::ZERO,
        );
        assert_eq!(live.await.events.len(), 1);
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let page = read(&events, after, 100, Duration::ZERO).await;
        count += page.events.len();
        after = Some(page.next);
        if !page.more {
            break;
        }
    }
    assert_eq!(count, 6_000);
}

#[tokio::test]
async fn event_is_a_cloud_event() {
    let (store, log) = log();
    let failed = report("SM1")
        .status("failed")
        .error_with_text("63016", "no session for +15550100001");
    store
        .record(&[report("SM1").status("sent").build(), failed.build()])
        .await
        .unwrap();
    let page = read(&ReadEvents::new(log), None, 10, Duration::ZERO).await;
    let twilio = domain::IntegratorName::parse("twilio").unwrap();
    let [_, event] = &page.events[..] else {
        panic!("{page:?}")
    };
    let shown: serde_json::Value =
        serde_json::from_str(&CloudEvent::new(event, Some(&twilio), false).to_json()).unwrap();
    assert_eq!(shown["specversion"], "1.0");
    assert_eq!(shown["id"], event.id.to_string());
    assert_eq!(shown["type"], "message.failed");
    assert_eq!(shown["subject"], "SM1");
    assert_eq!(shown["data"]["previous_status"], "sent");
    assert_eq!(shown["data"]["revision"], 2);
    assert_eq!(shown["data"]["masked"], true);
    assert!(shown["data"]["to"].as_str().unwrap().contains("***"));
    assert_eq!(shown["data"]["error"]["code"], "63016");
    assert_eq!(shown["data"]["error"]["text"], "no session for +***0001");
    assert!(shown["data"]["error"]["explanation"].is_string());
    let clear = CloudEvent::new(event, None, true);
    assert_eq!(clear.data.to, event.recipient.reveal());
    let masked = CloudEvent::mask(&clear.to_json()).unwrap();
    let masked: serde_json::Value = serde_json::from_str(&masked).unwrap();
    assert_eq!(masked["data"]["error"]["text"], "no session for +***0001");
    assert_eq!(CloudEvent::mask(&masked.to_string()), None);
    let error = clear.data.error.unwrap();
    assert_eq!(error.explanation, None);
    assert_eq!(error.text, "no session for +15550100001");
}

#[tokio::test]
async fn idle_readers_take_turns_to_poll_and_all_see_commits_of_other_processes() {
    let (store, shared) = log();
    let looks = Arc::new(AtomicUsize::new(0));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (shared, looks) = (shared.clone(), looks.clone());
        readers.spawn(async move {
            let mut changes = shared.changes();
            let start = Some(LogPosition::START);
            loop {
                match shared.read(start, NonZeroU16::MAX).await.unwrap() {
                    LogRead::Page(page) if page.entries.is_empty() => {}
                    _ => return,
                }
                changes.wait(Duration::from_mins(1)).await;
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(usecases::events::tail_cache::POLL_INTERVAL * 5).await;
    let looked = looks.load(Ordering::Relaxed);
    assert!((1..=6).contains(&looked), "{looked} looks");
    store.record(&[report("SM1").build()]).await.unwrap();
    let all = async { while readers.join_next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), all)
        .await
        .expect("all hear of it");
}

#[tokio::test]
async fn reader_of_cached_entries_gets_what_another_process_recorded_since() {
    let (store, shared) = log();
    let events = ReadEvents::new(shared);
    let start = Some(LogPosition::START);
    store.record(&[report("SM1").build()]).await.unwrap();
    assert_eq!(
        read(&events, start, 500, Duration::ZERO).await.events.len(),
        1
    );
    store.record(&[report("SM2").build()]).await.unwrap();
    tokio::time::sleep(usecases::events::tail_cache::POLL_INTERVAL * 2).await;
    let page = read(&events, start, 500, Duration::ZERO).await;
    assert_eq!((page.events.len(), page.more), (2, false));
}
