//! The command line: what can be asked of the program, and nothing of how.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are help text, read on a terminal"
)]

mod channel;

pub use channel::*;

use clap::{Args, Parser, Subcommand};

use crate::commands::simulate::SimulateArgs;
use crate::config::Settings;

/// Receives WhatsApp delivery reports, keeps every one, and shows the true
/// state of every message.
#[derive(Parser, Debug)]
#[command(
    name = "receiptd",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub struct Cli {
    #[command(flatten)]
    pub settings: Settings,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Receive reports and serve the operator's API
    Serve(ServeArgs),
    /// Push events and clear up, without receiving: any number may run beside the servers
    Worker,
    /// Bring the database to the schema of this version
    Migrate,
    /// Manage channels, the configured accesses that reports come in for
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Manage the credentials that prove a channel's callers
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Show messages and what was reported of them
    #[command(subcommand)]
    Message(MessageCommand),
    /// List or follow what happens to messages
    #[command(subcommand)]
    Event(EventCommand),
    /// Manage subscriptions: who is told of events, and how that goes
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// Forget a recipient: their address and all that may tell it goes, what became of their
    /// messages stays
    Erase(EraseArgs),
    /// List reports that were refused, and why
    Rejections(RejectionsArgs),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Play Twilio: send reports as it would and compare what is shown with what was sent
    Simulate(SimulateArgs),
    /// Ask a running server on this machine whether it is alive; for container health checks
    Health,
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// On first start make a channel to try things out with, and print how
    #[arg(long)]
    pub demo: bool,
    /// Only receive: leave pushing events and clearing up to `receiptd worker`
    #[arg(long)]
    pub no_workers: bool,
}

#[derive(Subcommand, Debug)]
pub enum MessageCommand {
    /// Show a message, its timeline and every report that led there
    Show {
        /// The channel's id
        channel: String,
        /// The integrator's message id
        sid: String,
        /// Show addresses and fields without masks
        #[arg(long)]
        reveal: bool,
    },
    /// List messages, the one first heard of last first
    List(MessageListArgs),
}

#[derive(Args, Debug)]
pub struct MessageListArgs {
    /// Those of one channel
    #[arg(long)]
    pub channel: Option<String>,
    /// Those that stand at one status
    #[arg(long)]
    pub status: Option<String>,
    /// Those that both arrived and failed
    #[arg(long)]
    pub contradicted: bool,
    /// Those to one recipient, like +15550100001 or whatsapp:US.1349…
    #[arg(long)]
    pub to: Option<String>,
    /// Those with one error code
    #[arg(long)]
    pub error_code: Option<String>,
    /// Those first heard of at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Those first heard of before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many at most, 1 to 500
    #[arg(long, default_value_t = 50)]
    pub limit: u16,
    /// Show addresses without masks
    #[arg(long)]
    pub reveal: bool,
}

#[derive(Subcommand, Debug)]
pub enum EventCommand {
    /// Print events as they happen; with --json one object a line
    Tail {
        #[command(flatten)]
        args: EventArgs,
    },
    /// List events, the oldest first
    List {
        #[command(flatten)]
        args: EventArgs,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u16,
    },
    /// Send events to a subscription again, with the same ids
    Replay {
        /// The subscription's id
        subscription: String,
        #[command(flatten)]
        from: ReplayArgs,
    },
}

#[derive(Args, Debug)]
pub struct EventArgs {
    /// Those of this channel (repeatable)
    #[arg(long = "channel", value_name = "ID")]
    pub channels: Vec<String>,
    /// Those of this type, like message.failed (repeatable)
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Those of reports that arrived at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Those behind the position of this cursor, which stays where it is
    #[arg(long, value_name = "NAME", conflicts_with = "since")]
    pub cursor: Option<String>,
    /// Show addresses without masks
    #[arg(long)]
    pub reveal: bool,
}

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
    },
    /// Send a made-up event now, and say what the target did
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
        /// Those in one state: delivered, retrying, waiting or dead
        #[arg(long)]
        state: Option<String>,
        /// How many at most, 1 to 500
        #[arg(long, default_value_t = 50)]
        limit: u16,
    },
    /// Try all dead and failing deliveries again, now
    Retry {
        /// The subscription's id
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
    /// Begin with reports that arrived at this time or later; without it with the next one
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Read the signing secret (whsec_...) from standard input; without this one is made
    #[arg(long)]
    pub secret_stdin: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct ReplayArgs {
    /// All of reports that arrived at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Those of one message
    #[arg(long, num_args = 2, value_names = ["CHANNEL", "SID"])]
    pub message: Option<Vec<String>>,
    /// All behind a position, as the API shows it
    #[arg(long, value_name = "POSITION")]
    pub after: Option<String>,
    /// All behind the position of a cursor
    #[arg(long, value_name = "NAME")]
    pub cursor: Option<String>,
    /// All there are
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct EraseArgs {
    /// Who: a number with its country code, like +15550100001, with or without whatsapp:
    #[arg(long, value_name = "NUMBER")]
    pub recipient: String,
    /// Why, kept with the erasure, like a ticket's number
    #[arg(long)]
    pub reason: Option<String>,
}

#[derive(Args, Debug)]
pub struct RejectionsArgs {
    /// Those of one channel
    #[arg(long)]
    pub channel: Option<String>,
    /// How many at most, 1 to 500
    #[arg(long, default_value_t = 50)]
    pub limit: u16,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Check all settings, reach the database, and say what the server would do
    Check,
}
