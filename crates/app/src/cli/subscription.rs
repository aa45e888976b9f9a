//! What can be asked of subscriptions and their deliveries.

use clap::{Args, Subcommand};

use super::{PageArgs, ReplayArgs, StartArgs};

#[derive(Subcommand, Debug)]
pub enum SubscriptionCommand {
    /// Add a subscription: events are sent to a URL, signed
    Add(SubscriptionAddArgs),
    /// List all subscriptions
    List,
    /// Show one subscription, and how far it is behind
    Show {
        /// The subscription's id
        id: String,
    },
    /// Change a subscription; what is not named stays as it is
    Update {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        changes: SubscriptionUpdateArgs,
    },
    /// Send nothing for the time being; the log keeps the events
    Pause {
        /// The subscription's id
        id: String,
    },
    /// Go on from where it stands, whatever it was paused or ended for
    Resume {
        /// The subscription's id
        id: String,
    },
    /// Remove a subscription and its deliveries
    Remove {
        /// The subscription's id
        id: String,
    },
    /// Replace the signing secret; the old one goes on signing for a while
    Rotate {
        /// The subscription's id
        id: String,
        /// How many hours the old secret goes on signing
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(0..=720))]
        overlap_hours: u16,
        /// Read the new secret from standard input; without this one is made
        #[arg(long)]
        secret_stdin: bool,
        /// Rotate although a secret from an earlier rotation still signs, which it then ceases
        /// to do
        #[arg(long)]
        end_previous: bool,
    },
    /// Send a made-up event now, and say what the target did
    ///
    /// The running server sends it, with its settings. If none answers, this command does, with
    /// the settings it has itself, and says so.
    Test {
        /// The subscription's id
        id: String,
    },
    /// Send events again, with the same ids
    Replay {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        from: ReplayArgs,
    },
    /// List what became of events, those of later reports first
    Deliveries {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        filter: DeliveryFilterArgs,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Try the dead and failing deliveries again that the filter lets through, now; without one all
    Retry {
        /// The subscription's id
        id: String,
        #[command(flatten)]
        filter: DeliveryFilterArgs,
    },
}

#[derive(Subcommand, Debug)]
pub enum DeliveryCommand {
    /// Show a delivery with its last attempts
    Show {
        /// The delivery's id, as `receiptd subscription deliveries` shows it
        id: String,
    },
    /// Try a dead or failing delivery again, now
    Retry {
        /// The delivery's id, as `receiptd subscription deliveries` shows it
        id: String,
    },
}

#[derive(Args, Debug)]
pub struct SubscriptionAddArgs {
    /// Where events are sent: https:// or http://
    pub url: String,
    /// Those of this channel (repeatable); without it of all
    #[arg(long = "channel", value_name = "ID")]
    pub channels: Vec<String>,
    /// Those of this type, like message.failed (repeatable); without it of all
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Addresses stand in them in the clear instead of masked
    #[arg(long)]
    pub reveal: bool,
    /// What it is for
    #[arg(long)]
    pub description: Option<String>,
    #[command(flatten)]
    pub start: StartArgs,
    /// Read the signing secret (whsec_...) from standard input; without this one is made
    #[arg(long)]
    pub secret_stdin: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct SubscriptionUpdateArgs {
    /// Where events are sent: https:// or http://
    #[arg(long)]
    pub url: Option<String>,
    /// Those of this channel (repeatable)
    #[arg(long = "channel", value_name = "ID")]
    pub channels: Vec<String>,
    /// Those of all channels
    #[arg(long, conflicts_with = "channels")]
    pub all_channels: bool,
    /// Those of this type, like message.failed (repeatable)
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Those of all types
    #[arg(long, conflicts_with = "types")]
    pub all_types: bool,
    /// Whether addresses stand in them in the clear instead of masked
    #[arg(long, value_name = "true|false")]
    pub reveal: Option<bool>,
    /// What it is for
    #[arg(long)]
    pub description: Option<String>,
}

/// Which deliveries.
#[derive(Args, Debug)]
pub struct DeliveryFilterArgs {
    /// Those in one state: delivered, retrying, waiting or dead
    #[arg(long)]
    pub state: Option<String>,
    /// Those of one type of event, like message.failed
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Those of one message
    #[arg(long, num_args = 2, value_names = ["CHANNEL", "SID"])]
    pub message: Option<Vec<String>>,
    /// Those first dealt with at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Those first dealt with before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}
