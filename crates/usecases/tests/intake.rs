//! Group commit, and what happens when the store does not take a batch.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Effect, IntegratorName, Report};
use ports::metrics::NoMetrics;
use ports::{RejectionStore as _, ReportStore};
use testkit::builders::{key, report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use tokio::task::JoinHandle;
use usecases::ingest::group_commit::{IngestError, IngestSettings, Kept, WriterDied};
use usecases::ingest::journal_replay::{ReplayError, Replayed};
use usecases::{IngestQueue, ReplayJournal, StoreCircuitBreaker, Throttle};

const SETTINGS: IngestSettings = IngestSettings {
    queue: 64,
    batch: 16,
    writers: 1,
    deadline: Duration::from_secs(30),
};

/// For what is about a store that does not answer.
const HASTY: IngestSettings = IngestSettings {
    deadline: Duration::from_millis(200),
    ..SETTINGS
};

fn twilio() -> IntegratorName {
    IntegratorName::parse("twilio").unwrap()
}

fn numbered(number: u64) -> Report {
    report(&twilio_sid(number)).build()
}

/// An intake on a memory store whose writers run.
struct Running {
    store: MemoryStore,
    journal: Arc<MemoryJournal>,
    gate: Arc<StoreCircuitBreaker>,
    intake: IngestQueue,
    writers: JoinHandle<Result<(), WriterDied>>,
}

impl Running {
    fn start(settings: IngestSettings, with_journal: bool) -> Self {
        let store = MemoryStore::new();
        let journal = Arc::new(MemoryJournal::default());
        let gate = Arc::new(StoreCircuitBreaker::default());
        let (intake, writers) =
            IngestQueue::new(Arc::new(store.clone()), Arc::new(NoMetrics), settings);
        let writers = if with_journal {
            writers.with_journal(journal.clone(), gate.clone())
        } else {
            writers
        };
        Self {
            store,
            journal,
            gate,
            intake,
            writers: spawn(writers.run()),
        }
    }

    fn hand_over(&self, report: Report) -> JoinHandle<Result<Kept, IngestError>> {
        let intake = self.intake.clone();
        spawn(async move { intake.record(&twilio(), report).await })
    }

    fn drain(&self) -> ReplayJournal {
        ReplayJournal::new(
            self.journal.clone(),
            Arc::new(self.store.clone()),
            Arc::new(self.store.clone()),
            self.gate.clone(),
            Arc::new(NoMetrics),
            4,
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "tests await what they start")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Waits until a condition holds, five seconds at most.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "waited for: {what}"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lone_report_is_recorded_at_once() {
    let running = Running::start(SETTINGS, false);
    let kept = running.intake.record(&twilio(), numbered(1)).await.unwrap();
    assert_eq!(kept, Kept::InStore(Effect::Advanced));
    assert!(
        running
            .store
            .message(&key(&twilio_sid(1)))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn what_gathers_during_one_commit_is_recorded_in_the_next() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let first = running.hand_over(numbered(0));
    until("the first commit", || running.store.record_calls() == 1).await;
    let rest: Vec<_> = (1..=16)
        .map(|number| running.hand_over(numbered(number)))
        .collect();
    tokio::task::yield_now().await;
    running.store.set_paused(false);
    for waiting in rest.into_iter().chain([first]) {
        assert_eq!(
            waiting.await.unwrap().unwrap(),
            Kept::InStore(Effect::Advanced)
        );
    }
    assert_eq!(running.store.record_calls(), 2);
}

#[tokio::test]
async fn full_batches_throttle_event_delivery() {
    let store = MemoryStore::new();
    let throttle = Arc::new(Throttle::default());
    let (intake, writers) =
        IngestQueue::new(Arc::new(store.clone()), Arc::new(NoMetrics), SETTINGS);
    let writers = spawn(writers.throttling(throttle.clone()).run());
    let throttled = || throttle.batch_taken(0, SETTINGS.batch, Instant::now().into());
    intake.record(&twilio(), numbered(0)).await.unwrap();
    assert!(throttled().is_zero());
    store.set_paused(true);
    let many: Vec<_> = (1..=64)
        .map(|number| {
            let intake = intake.clone();
            spawn(async move { intake.record(&twilio(), numbered(number)).await })
        })
        .collect();
    until("the first of them", || store.record_calls() == 2).await;
    store.set_paused(false);
    for waiting in many {
        waiting.await.unwrap().unwrap();
    }
    assert!(!throttled().is_zero());
    drop(intake);
    writers.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_report_the_store_refuses_costs_the_others_nothing() {
    let running = Running::start(SETTINGS, false);
    running.store.refuse(&twilio_sid(5));
    running.store.set_paused(true);
    let waiting: Vec<_> = (0..16)
        .map(|number| running.hand_over(numbered(number)))
        .collect();
    until("the first commit", || running.store.record_calls() >= 1).await;
    running.store.set_paused(false);
    for (number, waiting) in waiting.into_iter().enumerate() {
        let outcome = waiting.await.unwrap();
        assert_eq!(
            matches!(outcome, Err(IngestError::Refused(_))),
            number == 5,
            "{outcome:?}"
        );
    }
    assert_eq!(running.store.logged_reports(), 15);
}

/// Hands over eight reports that are recorded in one batch and returns what came of them.
async fn hand_over_together(running: &Running) -> Vec<Result<Kept, IngestError>> {
    running.store.set_paused(true);
    let first = running.hand_over(numbered(99));
    until("the first commit", || running.store.record_calls() == 1).await;
    let waiting: Vec<_> = (0..8)
        .map(|number| running.hand_over(numbered(number)))
        .collect();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    running.store.set_paused(false);
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for each in waiting {
        outcomes.push(each.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn store_that_refuses_a_whole_batch_is_suspected_and_no_report_is_refused() {
    let running = Running::start(SETTINGS, true);
    for number in 0..8 {
        running.store.refuse(&twilio_sid(number));
    }
    for outcome in hand_over_together(&running).await {
        assert_eq!(outcome.unwrap(), Kept::InJournal);
    }
    assert!(running.gate.is_away());
    let drain = running.drain();
    assert!(matches!(drain.run().await, Err(ReplayError::Store(_))));
    running.store.refuse_none();
    while drain.run().await.unwrap().more {}
    assert_eq!(running.store.logged_reports(), 9);
}

#[tokio::test]
async fn locked_message_goes_to_the_journal_and_the_others_are_recorded() {
    let running = Running::start(SETTINGS, true);
    running.store.set_locked(&twilio_sid(3), true);
    let outcomes = hand_over_together(&running).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let expected = if number == 3 {
            Kept::InJournal
        } else {
            Kept::InStore(Effect::Advanced)
        };
        assert_eq!(outcome.unwrap(), expected, "{number}");
    }
    assert!(!running.gate.is_away());
    running.store.set_locked(&twilio_sid(3), false);
    running.drain().run().await.unwrap();
    assert_eq!(running.store.logged_reports(), 9);
}

#[tokio::test]
async fn without_a_journal_a_locked_message_is_unavailable_alone() {
    let running = Running::start(SETTINGS, false);
    running.store.set_locked(&twilio_sid(3), true);
    let outcomes = hand_over_together(&running).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let unavailable = matches!(outcome, Err(IngestError::Unavailable(_)));
        assert_eq!(unavailable, number == 3, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let first = running.hand_over(numbered(0));
    until("the first commit", || running.store.record_calls() == 1).await;
    let queued: Vec<_> = (1..=64)
        .map(|number| running.hand_over(numbered(number)))
        .collect();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let refused = running.intake.record(&twilio(), numbered(99)).await;
    assert!(matches!(refused, Err(IngestError::Overloaded)));
    assert!(began.elapsed() < Duration::from_secs(10));
    running.store.set_paused(false);
    for waiting in queued.into_iter().chain([first]) {
        let _ = waiting.await.unwrap();
    }
}

#[tokio::test]
async fn without_a_journal_a_store_that_is_away_is_said_so() {
    let running = Running::start(SETTINGS, false);
    running.store.set_unavailable(true);
    let outcome = running.intake.record(&twilio(), numbered(1)).await;
    assert!(matches!(outcome, Err(IngestError::Unavailable(_))));
    running.store.set_unavailable(false);
    assert!(running.intake.record(&twilio(), numbered(1)).await.is_ok());
}

#[tokio::test]
async fn a_store_that_does_not_answer_in_time_is_said_so() {
    let running = Running::start(HASTY, false);
    running.store.set_paused(true);
    let outcome = running.intake.record(&twilio(), numbered(1)).await;
    assert!(matches!(outcome, Err(IngestError::Unavailable(_))));
}

#[tokio::test]
async fn what_the_store_does_not_take_goes_to_the_journal_and_comes_back() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    for number in 0..10 {
        let kept = running
            .intake
            .record(&twilio(), numbered(number))
            .await
            .unwrap();
        assert_eq!(kept, Kept::InJournal);
    }
    // The breaker is open after the first one: the store is not asked again.
    assert!(running.gate.is_away());
    assert_eq!(running.store.record_calls(), 1);
    let drain = running.drain();
    assert!(matches!(drain.run().await, Err(ReplayError::Store(_))));
    assert!(running.gate.is_away());

    running.store.set_unavailable(false);
    assert_eq!(
        drain.run().await.unwrap(),
        Replayed {
            moved: 4,
            more: true
        }
    );
    assert!(!running.gate.is_away());
    // Live traffic goes to the store again while the journal is drained.
    let kept = running
        .intake
        .record(&twilio(), numbered(50))
        .await
        .unwrap();
    assert_eq!(kept, Kept::InStore(Effect::Advanced));
    assert_eq!(
        drain.run().await.unwrap(),
        Replayed {
            moved: 4,
            more: true
        }
    );
    assert_eq!(
        drain.run().await.unwrap(),
        Replayed {
            moved: 2,
            more: false
        }
    );
    assert_eq!(
        drain.run().await.unwrap(),
        Replayed {
            moved: 0,
            more: false
        }
    );
    assert_eq!(running.store.logged_reports(), 11);
}

#[tokio::test]
async fn a_store_that_is_too_slow_is_given_up_within_the_deadline() {
    let running = Running::start(HASTY, true);
    running.store.set_paused(true);
    let began = Instant::now();
    let kept = running.intake.record(&twilio(), numbered(1)).await.unwrap();
    assert_eq!(kept, Kept::InJournal);
    assert!(began.elapsed() < Duration::from_secs(10));
    let kept = running.intake.record(&twilio(), numbered(2)).await.unwrap();
    assert_eq!(kept, Kept::InJournal);
    assert_eq!(running.store.record_calls(), 1);
}

#[tokio::test]
async fn a_batch_whose_commit_was_in_doubt_doubles_nothing() {
    let running = Running::start(SETTINGS, true);
    running.store.record(&[numbered(1)]).await.unwrap();
    running.store.set_unavailable(true);
    running.intake.record(&twilio(), numbered(1)).await.unwrap();
    running.store.set_unavailable(false);
    running.drain().run().await.unwrap();
    assert_eq!(running.store.logged_reports(), 1);
}

#[tokio::test]
async fn a_full_journal_is_the_end_and_is_said_so() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    running.journal.set_full(true);
    let outcome = running.intake.record(&twilio(), numbered(1)).await;
    assert!(matches!(outcome, Err(IngestError::Unavailable(_))));
    // With nothing in the journal to probe with, the store is asked.
    assert!(running.gate.is_away());
    running.store.set_unavailable(false);
    running.drain().run().await.unwrap();
    assert!(!running.gate.is_away());
    assert!(running.intake.record(&twilio(), numbered(1)).await.is_ok());
}

#[tokio::test]
async fn poison_in_the_journal_becomes_a_rejection_and_does_not_block_it() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    for number in 0..4 {
        running
            .intake
            .record(&twilio(), numbered(number))
            .await
            .unwrap();
    }
    running.store.set_unavailable(false);
    running.store.refuse(&twilio_sid(2));
    assert_eq!(
        running.drain().run().await.unwrap(),
        Replayed {
            moved: 4,
            more: false
        }
    );
    assert_eq!(running.store.logged_reports(), 3);
    let page = running
        .store
        .list(None, None, domain::page::PageSize::default())
        .await
        .unwrap();
    let [kept] = page.items.as_slice() else {
        panic!("one rejection: {page:?}")
    };
    assert_eq!(kept.rejection.reason.as_str(), "refused_by_store");
    let shown = format!("{:?}", kept.rejection.fields);
    assert!(
        !shown.contains("15550100001") && shown.contains("***0001"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_had_queued_is_kept_when_the_intake_stops() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let waiting: Vec<_> = (0..40)
        .map(|number| running.hand_over(numbered(number)))
        .collect();
    until("the first commit", || running.store.record_calls() >= 1).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    drop(running.intake);
    running.store.set_paused(false);
    running.writers.await.unwrap().unwrap();
    for waiting in waiting {
        assert!(waiting.await.unwrap().is_ok());
    }
    assert_eq!(running.store.logged_reports(), 40);
}
