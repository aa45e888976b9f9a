//! Commands about subscriptions and their deliveries.

use clap::{Args, Subcommand};

use super::event::{ReplayArgs, StartArgs};
use super::page::PageArgs;
use crate::config;

#[derive(Args, Debug)]
pub struct SubscriptionArg {
    /// The subscription's id
    pub id: String,
}

#[derive(Subcommand, Debug)]
pub enum SubscriptionCommand {
    /// Add a subscription: signed events are sent to a URL
    Add(SubscriptionAddArgs),
    /// List all subscriptions
    List,
    /// Show one subscription, its lag and its last attempts
    Show(SubscriptionArg),
    /// Change a subscription; only the given options change
    #[command(override_usage = "receiptd subscription update <ID> <OPTIONS>")]
    Update {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        changes: SubscriptionUpdateArgs,
    },
    /// Stop sending events; they stay in the log
    Pause(SubscriptionArg),
    /// Continue a paused or ended subscription from its position
    Resume(SubscriptionArg),
    /// Remove a subscription and its deliveries
    Remove(SubscriptionArg),
    /// Replace the signing secret; the old one signs for some time too
    Rotate {
        /// The subscription's id
        id: String,
        /// Hours that the old secret continues to sign
        #[arg(long, default_value_t = 24, value_parser = config::whole(0..=720_u16))]
        overlap_hours: u16,
        /// Read the new secret from standard input instead of generating one
        #[arg(long)]
        secret_stdin: bool,
        /// Rotate even if the secret of an earlier rotation still signs; it stops signing
        #[arg(long)]
        end_previous: bool,
    },
    /// Send a test event now and show the endpoint's answer
    ///
    /// The running server sends it, with the server's settings. If no server answers, this command
    /// sends it with its own settings and says so.
    Test(SubscriptionArg),
    /// Send events again, with the same ids
    #[command(override_usage = "receiptd subscription replay <ID> <OPTION>")]
    Replay {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        from: ReplayArgs,
    },
    /// List the deliveries of a subscription, those of later reports first
    Deliveries {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        filter: DeliveryFilterArgs,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Retry failed and dead-lettered deliveries now, optionally filtered
    Retry {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        filter: DeliveryFilterArgs,
    },
}

#[derive(Args, Debug)]
pub struct DeliveryArg {
    /// The delivery's id, as `receiptd subscription deliveries` shows it
    pub id: String,
}

#[derive(Subcommand, Debug)]
pub enum DeliveryCommand {
    /// Show a delivery with its last attempts
    Show(DeliveryArg),
    /// Retry a failed or dead-lettered delivery now
    Retry(DeliveryArg),
}

#[derive(Args, Debug)]
pub struct SubscriptionAddArgs {
    /// URL that events are sent to: https:// or http://
    pub url: String,
    /// Only events of this channel (repeatable). Default: all channels
    #[arg(long = "channel", value_name = "ID")]
    pub channels: Vec<String>,
    /// Only events of this type, like message.failed or receiptd.trouble.opened (repeatable).
    /// Default: all message events
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Send addresses unmasked
    #[arg(long)]
    pub reveal: bool,
    /// Purpose of the subscription
    #[arg(long)]
    pub description: Option<String>,
    #[command(flatten)]
    pub start: StartArgs,
    /// Read the signing secret (whsec_...) from standard input instead of generating one
    #[arg(long)]
    pub secret_stdin: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct SubscriptionUpdateArgs {
    /// URL that events are sent to: https:// or http://
    #[arg(long)]
    pub url: Option<String>,
    /// Only events of this channel (repeatable)
    #[arg(long = "channel", value_name = "ID")]
    pub channels: Vec<String>,
    /// Events of all channels
    #[arg(long, conflicts_with = "channels")]
    pub all_channels: bool,
    /// Only events of this type, like message.failed (repeatable)
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// All message events, and no others
    #[arg(long, conflicts_with = "types")]
    pub all_types: bool,
    /// Whether to send addresses unmasked
    #[arg(long, value_name = "true|false")]
    pub reveal: Option<bool>,
    /// Purpose of the subscription
    #[arg(long)]
    pub description: Option<String>,
}

/// Selects deliveries.
#[derive(Args, Debug)]
pub struct DeliveryFilterArgs {
    /// Only deliveries in this state: delivered, retrying, waiting or dead
    #[arg(long)]
    pub state: Option<String>,
    /// Only events of this type, like message.failed
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Only events of this message
    #[arg(long, num_args = 2, value_names = ["CHANNEL", "SID"])]
    pub message: Option<Vec<String>>,
    /// Only deliveries created at or after this time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only deliveries created before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}
