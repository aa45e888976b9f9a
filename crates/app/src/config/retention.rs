//! How long data is kept.

use std::time::Duration;

use clap::Args;
use domain::RetentionDays;
use usecases::retention::prune::KeepFor;

use super::number::range;

#[expect(
    clippy::struct_field_names,
    reason = "the fields have the names of their flags"
)]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Retention")]
pub struct RetentionOptions {
    /// Days that reports are kept, 1 or more. Their events can be read and replayed as long
    #[arg(long, env = "RECEIPTD_KEEP_REPORTS_DAYS", default_value_t = 90, value_parser = range(1..=u32::MAX))]
    pub keep_reports_days: u32,
    /// Days that messages are kept after their last report, 1 to 36500. A channel can override it
    #[arg(long, env = "RECEIPTD_KEEP_MESSAGES_DAYS", default_value = "400")]
    pub keep_messages_days: RetentionDays,
    /// Days that completed deliveries and dead letters are kept, 1 or more
    #[arg(long, env = "RECEIPTD_KEEP_DELIVERIES_DAYS", default_value_t = 14, value_parser = range(1..=u32::MAX))]
    pub keep_deliveries_days: u32,
    /// Days that entries of the audit log are kept, 1 or more
    #[arg(long, env = "RECEIPTD_AUDIT_RETENTION_DAYS", default_value_t = 400, value_parser = range(1..=u32::MAX))]
    pub audit_retention_days: u32,
}

impl RetentionOptions {
    /// Returns how long each kind of data is kept.
    pub fn keep_for(&self) -> KeepFor {
        let days = |days: u32| Duration::from_hours(u64::from(days) * 24);
        KeepFor {
            reports: days(self.keep_reports_days),
            messages: self.keep_messages_days,
            deliveries: days(self.keep_deliveries_days),
            audit: days(self.audit_retention_days),
        }
    }
}
