//! Reconciliation with the integrator's records.

use std::time::Duration;

use clap::Args;
use domain::RetentionDays;
use usecases::reconciliation::ReconcileSettings;

use super::number::range;

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Reconciliation")]
pub struct ReconciliationOptions {
    /// Seconds after its first report at which a message without a final status is looked up at
    /// Twilio, and again at twice that age, four times that age and so on; 1 to 86400
    #[arg(long, env = "RECEIPTD_RECONCILE_AFTER_SECONDS", default_value_t = 900,
          value_parser = range(1..=86_400))]
    pub reconcile_after_seconds: u32,
    /// Seconds between two runs of reconciliation of a channel, 1 to 86400
    #[arg(long, env = "RECEIPTD_RECONCILE_INTERVAL_SECONDS", default_value_t = 300,
          value_parser = range(1..=86_400))]
    pub reconcile_interval_seconds: u32,
    /// Base URL of Twilio's API, such as that of another region
    #[arg(
        long,
        env = "RECEIPTD_TWILIO_API_URL",
        value_name = "URL",
        default_value = "https://api.twilio.com"
    )]
    pub twilio_api_url: String,
}

impl ReconciliationOptions {
    /// Returns the time between two runs on a channel.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.reconcile_interval_seconds.into())
    }

    /// Returns the limits of reconciliation, where messages are kept so long.
    pub fn settings(&self, keep_messages: RetentionDays) -> ReconcileSettings {
        ReconcileSettings {
            settle_time: Duration::from_secs(self.reconcile_after_seconds.into()),
            keep_messages,
            ..ReconcileSettings::default()
        }
    }
}
