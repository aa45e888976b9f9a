//! What an append costs the disk.

use adapter_files::FileJournal;
use domain::IntegratorName;
use ports::ReportJournal as _;
use ports::journal::JournalEntry;
use testkit::builders::{report, twilio_sid};
use testkit::syncs;

#[test]
fn every_append_is_synced_and_once_only() {
    assert_eq!(syncs::of_one_step("appends_for_another_test"), 1);
}

#[tokio::test]
#[ignore = "a part of another test"]
async fn appends_for_another_test() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), 1 << 30).unwrap();
    for number in 0..syncs::steps() {
        let batch = (0..5).map(|n| JournalEntry {
            integrator: IntegratorName::parse("twilio").unwrap(),
            report: report(&twilio_sid(number * 5 + n)).build(),
        });
        journal.append(&batch.collect::<Vec<_>>()).await.unwrap();
    }
}
