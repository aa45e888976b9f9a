//! Bisecting a batch, so that one bad report costs the others nothing.

use ports::ReportStore as _;
use testkit::builders::{key, report, twilio_sid};
use testkit::memory::MemoryStore;
use usecases::ingest::bisect::{Recorded, record_bisecting};

#[tokio::test]
async fn one_refused_report_does_not_prevent_recording_the_others() {
    let store = MemoryStore::new();
    let refused = twilio_sid(613);
    store.refuse(&refused);
    let batch: Vec<_> = (0..1_000)
        .map(|number| report(&twilio_sid(number)).build())
        .collect();
    let outcomes = record_bisecting(&store, &batch).await.unwrap();
    assert_eq!(outcomes.len(), batch.len());
    for (report, outcome) in batch.iter().zip(&outcomes) {
        let durable = matches!(outcome, Recorded::Durable(_));
        assert_eq!(durable, report.key != key(&refused), "{}", report.key.sid);
    }
    assert_eq!(store.logged_reports(), 999);
    assert_eq!(store.message(&key(&refused)).await.unwrap(), None);
}
