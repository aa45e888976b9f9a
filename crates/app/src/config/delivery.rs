//! How events are delivered to webhook subscribers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use usecases::delivery::DeliverySettings;

use super::number::{range, size};
use crate::open_files;

#[expect(clippy::doc_markdown, reason = "the help text is read on a terminal")]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Event delivery")]
pub struct DeliveryOptions {
    /// Whether events, forwarded requests and tests of channels may reach private, loopback and
    /// link-local addresses
    #[arg(long = "push-private-targets", env = "RECEIPTD_PUSH_PRIVATE_TARGETS",
          value_parser = BoolishValueParser::new(), num_args = 0..=1, default_value = "false",
          default_missing_value = "true")]
    pub private_targets: bool,
    /// File of PEM certificates to trust in addition to the system's for events, forwarded requests,
    /// tests of channels and reconciliation. Default: none
    #[arg(
        long = "push-ca-file",
        env = "RECEIPTD_PUSH_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
    /// HTTP proxy for events, forwarded requests and reconciliation, like
    /// http://proxy.example.com:3128. The proxy itself must refuse private networks. Default: none
    #[arg(
        long = "push-proxy",
        env = "RECEIPTD_PUSH_PROXY",
        value_name = "URL",
        hide_env_values = true
    )]
    pub proxy: Option<String>,
    /// Maximum number of concurrent attempts of all subscriptions, 2 to 10000. It is lowered to
    /// one per 8 files that may be open
    #[arg(long = "push-attempts", env = "RECEIPTD_PUSH_ATTEMPTS", default_value_t = 512,
          value_parser = range(2..=10_000))]
    pub attempts: u32,
    /// Maximum number of concurrent attempts of one subscription, 1 to 1000
    #[arg(long = "push-window", env = "RECEIPTD_PUSH_WINDOW", default_value_t = 64,
          value_parser = range(1..=1000))]
    pub window: u32,
    /// Seconds after which another worker takes over the subscriptions of one that died, 2 to 600
    #[arg(long = "push-lease-seconds", env = "RECEIPTD_PUSH_LEASE_SECONDS", default_value_t = 30,
          value_parser = range(2..=600))]
    pub lease_seconds: u32,
    /// Maximum number of pending deliveries of a subscription, 1 to 1000000. At the maximum no
    /// further events are read for it
    #[arg(long = "push-open-max", env = "RECEIPTD_PUSH_OPEN_MAX", default_value_t = 50_000,
          value_parser = range(1..=1_000_000))]
    pub max_pending: u32,
    /// Hours without a successful delivery after which a subscription is paused, 1 to 8760
    #[arg(long = "push-pause-after", env = "RECEIPTD_PUSH_PAUSE_AFTER_HOURS", default_value_t = 24,
          value_parser = range(1..=8760))]
    pub pause_after_hours: u32,
}

impl DeliveryOptions {
    /// Returns the limits of event delivery in this process.
    pub fn settings(&self) -> DeliverySettings {
        DeliverySettings {
            max_in_flight_total: size(self.allowed_attempts(open_files::limit())),
            max_in_flight: size(self.window),
            max_pending: self.max_pending(),
            lease: Duration::from_secs(self.lease_seconds.into()),
            pause_after: Duration::from_hours(self.pause_after_hours.into()),
            ..DeliverySettings::default()
        }
    }

    /// Returns the maximum number of pending deliveries of a subscription.
    pub fn max_pending(&self) -> usize {
        size(self.max_pending)
    }

    /// Returns the maximum number of concurrent attempts if `open_files` may be open.
    pub fn allowed_attempts(&self, open_files: Option<u64>) -> u32 {
        open_files::attempts(self.attempts, open_files)
    }
}
