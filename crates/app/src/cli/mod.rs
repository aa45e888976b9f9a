//! The command line: what can be asked of the program, and nothing of how.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are help text, read on a terminal"
)]

mod channel;
mod event;
mod subscription;

pub use channel::*;
pub use event::*;
pub use subscription::*;

use clap::builder::RangedI64ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

use crate::commands::simulate::SimulateArgs;
use crate::config::{self, ServerSettings, Settings};

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

impl Cli {
    /// Reads the command line and the variables. An error about the value of a variable names the
    /// variable instead of a flag that nobody has typed.
    pub fn read() -> Result<Self, clap::Error> {
        Self::try_parse().map_err(|mut error| {
            if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
                && let Some(variable) = config::variable_behind(argument)
            {
                error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
            }
            error
        })
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Receive reports and serve the operator's API
    Serve(ServeArgs),
    /// Push events and clear up, without receiving: any number may run beside the servers
    Worker(ServerSettings),
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
    /// Manage cursors: places in the log that pullers keep here
    #[command(subcommand)]
    Cursor(CursorCommand),
    /// Manage subscriptions: who is told of events, and how that goes
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// Look at one delivery of an event, or try it again
    #[command(subcommand)]
    Delivery(DeliveryCommand),
    /// Forget a recipient: their address and all that may tell it goes, what became of their
    /// messages stays
    Erase(EraseArgs),
    /// Show what was erased, and not of whom
    #[command(subcommand)]
    Erasure(ErasureCommand),
    /// List reports that were refused, and why
    Rejections(RejectionsArgs),
    /// Show how retention is, or release what it holds back since the clock was in doubt
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Play Twilio: send reports as it would and compare what is shown with what was sent
    Simulate(SimulateArgs),
    /// Ask a running server on this machine whether it is alive; for container health checks
    Health,
}

impl Command {
    /// Whether a line is wanted for every report.
    pub const fn is_demo(&self) -> bool {
        matches!(self, Self::Serve(ServeArgs { demo: true, .. }))
    }
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// On first start make a channel to try things out with, print how, and write a line for every
    /// report
    #[arg(long)]
    pub demo: bool,
    /// Only receive: leave pushing events and clearing up to `receiptd worker`
    #[arg(long)]
    pub no_workers: bool,
    #[command(flatten)]
    pub settings: ServerSettings,
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
    #[command(flatten)]
    pub page: PageArgs,
    /// Show addresses without masks
    #[arg(long)]
    pub reveal: bool,
}

/// Part of a long list.
#[derive(Args, Debug)]
pub struct PageArgs {
    /// How many at most, 1 to 500
    #[arg(long, default_value_t = 50, value_parser = limit())]
    pub limit: u16,
    /// Those behind a page: its `next`
    #[arg(long, value_name = "NEXT")]
    pub cursor: Option<String>,
}

/// How many items any list has.
fn limit() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=500)
}

#[derive(Subcommand, Debug)]
pub enum ErasureCommand {
    /// List erasures, the latest first
    List(PageArgs),
    /// Show one erasure
    Show {
        /// The erasure's id
        id: String,
    },
}

#[derive(Args, Debug)]
pub struct EraseArgs {
    #[command(flatten)]
    pub recipient: RecipientArgs,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Why, kept with the erasure, like a ticket's number
    #[arg(long)]
    pub reason: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct RecipientArgs {
    /// Who: a number with its country code, like +15550100001, with or without whatsapp:
    #[arg(long, value_name = "NUMBER")]
    pub recipient: Option<String>,
    /// Read the number from the first line of standard input, to keep it out of the shell's history
    #[arg(long)]
    pub recipient_stdin: bool,
}

#[derive(Args, Debug)]
pub struct RejectionsArgs {
    /// Those of one channel
    #[arg(long)]
    pub channel: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Subcommand, Debug)]
pub enum RetentionCommand {
    /// Show the clock, the last run, and what is held back and why
    Show,
    /// Declare the clock right: what is too old by it is removed within a minute, and reports
    /// that are dated after the current time no longer hold the log
    Release,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Check all settings, reach the database, and say what the server would do; changes nothing
    Check(ServerSettings),
}
