//! Settings of statistics.

use clap::Args;

use crate::calendar::ZonedCalendar;

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Statistics")]
pub struct StatisticsOptions {
    /// Time zone whose days are counted and shown, like Europe/Berlin
    #[arg(long, env = "RECEIPTD_TIME_ZONE", default_value = "UTC")]
    pub time_zone: ZonedCalendar,
}
