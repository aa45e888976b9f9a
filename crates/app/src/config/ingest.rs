//! The ingest queue, its writers, and the journal.

use std::time::Duration;

use clap::Args;
use usecases::ingest::queue::IngestSettings;

use super::number::{range, size};

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Ingest")]
pub struct IngestOptions {
    /// Capacity of the ingest queue in reports, 1 to 1000000. When it is full, reports are
    /// answered 503
    #[arg(long, env = "RECEIPTD_QUEUE", default_value_t = 4096, value_parser = range(1..=1_000_000))]
    pub queue: u32,
    /// Maximum number of reports in a batch, 1 to 1024. A batch is recorded in one transaction
    #[arg(long, env = "RECEIPTD_BATCH", default_value_t = 256, value_parser = range(1..=1024))]
    pub batch: u32,
    /// Number of batches that are recorded at the same time, 1 to 16
    #[arg(long, env = "RECEIPTD_WRITERS", default_value_t = 1, value_parser = range(1..=16))]
    pub writers: u32,
    /// Seconds that a report may wait for the database, 1 to 10; then it is written to the journal
    #[arg(long, env = "RECEIPTD_COMMIT_DEADLINE", default_value_t = 5, value_parser = range(1..=10))]
    pub commit_deadline: u32,
    /// Capacity of the journal in MiB. The journal stores reports while the database cannot
    #[arg(long, env = "RECEIPTD_JOURNAL_MIB", default_value_t = 1024, value_parser = range(1..=u32::MAX))]
    pub journal_mib: u32,
}

impl IngestOptions {
    /// Returns the capacity of the journal in bytes.
    pub fn journal_capacity(&self) -> u64 {
        u64::from(self.journal_mib).saturating_mul(1024 * 1024)
    }

    /// Returns the settings of the ingest queue and its writers.
    pub fn settings(&self) -> IngestSettings {
        IngestSettings {
            queue: size(self.queue),
            batch: size(self.batch),
            writers: size(self.writers),
            deadline: Duration::from_secs(self.commit_deadline.into()),
        }
    }
}
