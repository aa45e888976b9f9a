//! Syncs per append.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use adapter_journal::FileJournal;
use domain::IntegratorName;
use ports::Journal as _;
use ports::journal::JournalEntry;
use testkit::builders::{report, twilio_sid};
use testkit::syncs;

#[test]
fn every_append_is_synced_exactly_once() {
    syncs::are_one_a_step("every_append_is_synced_exactly_once", append);
}

async fn append(times: u64) {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), 1 << 30).unwrap();
    for number in 0..times {
        let batch = (0..5).map(|n| JournalEntry {
            integrator: IntegratorName::parse("twilio").unwrap(),
            report: report(&twilio_sid(number * 5 + n)).build(),
        });
        journal.append(&batch.collect::<Vec<_>>()).await.unwrap();
    }
}
