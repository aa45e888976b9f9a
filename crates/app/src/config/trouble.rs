//! Settings of the rules that find trouble.

use std::time::Duration;

use clap::Args;

use super::number::range;

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Trouble")]
pub struct TroubleOptions {
    /// Seconds between two evaluations of the rules that find trouble, 1 to 200. Two in a row
    /// confirm it
    #[arg(long, env = "RECEIPTD_TROUBLE_INTERVAL_SECONDS", default_value_t = 60, value_parser = range(1..=200))]
    pub trouble_interval_seconds: u32,
}

impl TroubleOptions {
    /// Returns the time between two evaluations.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.trouble_interval_seconds))
    }
}
