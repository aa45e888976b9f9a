//! The command line: commands, options and their help.

#![expect(
    clippy::doc_markdown,
    reason = "the comments are help text, read on a terminal"
)]

mod access;
mod channel;
mod event;
mod message;
mod page;
mod reconcile;
mod subscription;
#[cfg(test)]
mod tests;
mod trouble;

pub use access::*;
pub use channel::*;
pub use event::*;
pub use message::*;
pub use page::*;
pub use reconcile::*;
pub use subscription::*;
pub use trouble::*;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands::simulate::SimulateArgs;
use crate::config::{self, ServerSettings, Settings};
use crate::layout::HELP_WIDTH;

/// The last line of every help text.
const WHERE_SETTINGS_ARE: &str = "Settings: receiptd help settings";

/// What is missing if a command needs one of many options.
const ONE_OF_MANY: &str = "at least one option";

/// Receives WhatsApp delivery reports, stores every report, and shows the true state of every
/// message
#[derive(Parser, Debug)]
#[command(
    name = "receiptd",
    version,
    max_term_width = HELP_WIDTH,
    propagate_version = true
)]
pub struct Cli {
    #[command(flatten)]
    pub settings: Settings,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the command line and the variables. An error about the value of a variable names
    /// the variable, not its flag. One about a missing option does not list all of many.
    pub fn read() -> Result<Self, clap::Error> {
        let matches = Self::definition().try_get_matches();
        let parsed = matches.and_then(|matches| Self::from_arg_matches(&matches));
        parsed.map_err(|mut error| {
            if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
                && let Some(variable) = config::variable_of(argument)
            {
                error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
            }
            if let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) {
                let shortened = missing.iter().cloned().map(|each| {
                    let fits = each.chars().count() < HELP_WIDTH;
                    if fits { each } else { ONE_OF_MANY.to_owned() }
                });
                let shortened = ContextValue::Strings(shortened.collect());
                error.insert(ContextKind::InvalidArg, shortened);
            }
            error
        })
    }

    /// Returns the definition of the command line. Settings are valid after every command but
    /// shown by `help settings` only.
    fn definition() -> clap::Command {
        let command = Self::command().mut_args(|argument| {
            if argument.get_env().is_none() {
                return argument;
            }
            let is_global = !config::NOT_GLOBAL.contains(&argument.get_id().as_str());
            argument.global(is_global).hide(true)
        });
        with_footer(command)
    }
}

/// Ends the help of a command and of all commands below it with the place of the settings.
fn with_footer(command: clap::Command) -> clap::Command {
    let command = command.after_help(WHERE_SETTINGS_ARE);
    command.mut_subcommands(with_footer)
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Receive reports and serve the operator's API
    ///
    /// Without any setting it stores reports in SQLite in ./data and listens on the loopback
    /// interface only. In production set at least RECEIPTD_DATABASE_URL, RECEIPTD_SECRET_KEY,
    /// RECEIPTD_PUBLIC_URL, RECEIPTD_PUBLIC_LISTEN and RECEIPTD_DATA_DIR; `receiptd config check`
    /// checks them.
    Serve(ServeArgs),
    /// Deliver events and run maintenance without receiving reports
    ///
    /// Any number of workers can run next to servers. They need the database and the secret key
    /// of the servers: RECEIPTD_DATABASE_URL and RECEIPTD_SECRET_KEY. RECEIPTD_WORKER_LISTEN is
    /// the address of their metrics and health.
    Worker(ServerSettings),
    /// Bring the database to the schema of this version
    Migrate,
    /// Manage channels, which define who may send reports
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Manage the credentials of a channel
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Show messages and their reports
    #[command(subcommand)]
    Message(MessageCommand),
    /// List, follow or replay events
    #[command(subcommand)]
    Event(EventCommand),
    /// Manage cursors, named positions in the log that are stored here
    #[command(subcommand)]
    Cursor(CursorCommand),
    /// Manage webhook subscriptions and their deliveries
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// Show or retry one delivery of an event
    #[command(subcommand)]
    Delivery(DeliveryCommand),
    /// Erase a recipient: delete their address and everything that identifies them
    ///
    /// The status, timeline and counts of their messages are kept.
    Erase(EraseArgs),
    /// List erasures; erased addresses are not stored
    #[command(subcommand)]
    Erasure(ErasureCommand),
    /// List rejected reports and the reasons
    Rejections(RejectionsArgs),
    /// Look up unfinished messages at Twilio and record reports that never arrived
    ///
    /// Repeating it is harmless. Running servers deliver the events of recovered reports.
    Reconcile(ReconcileArgs),
    /// Show how many messages were delivered, read and failed, by time and channel
    Stats(StatsArgs),
    /// Show and snooze troubles, and change the rules that find them
    #[command(subcommand)]
    Trouble(TroubleCommand),
    /// Show retention, or release what it holds back because the clock may be wrong
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Manage the tokens of operators
    ///
    /// RECEIPTD_ADMIN_TOKEN is not among them: it always is an admin with all rights.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show what operators changed and which unmasked data they saw
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Add demo channels with a week of simulated traffic, some of it in trouble
    ///
    /// For trying out the console and the command line. Does nothing if the channels exist.
    Demo,
    /// Play Twilio: send reports and compare the messages shown with what was sent
    Simulate(SimulateArgs),
    /// Check that a server on this machine is running; for container health checks
    Health,
    /// List all settings with their defaults
    #[command(override_help = config::help())]
    Settings,
}

impl Command {
    /// Returns whether the log should have a line for every report.
    pub const fn is_demo(&self) -> bool {
        matches!(self, Self::Serve(ServeArgs { demo: true, .. }))
    }
}

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Create a demo channel on first start, print how to use it, and log every report
    #[arg(long)]
    pub demo: bool,
    /// Only receive reports: leave event delivery and maintenance to `receiptd worker`
    #[arg(long)]
    pub no_workers: bool,
    #[command(flatten)]
    pub settings: ServerSettings,
}

#[derive(Subcommand, Debug)]
pub enum ErasureCommand {
    /// List erasures, newest first
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
    /// Reason, stored with the erasure, like a ticket number
    #[arg(long)]
    pub reason: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct RecipientArgs {
    /// Number with country code, like +15550100001, with or without whatsapp:
    #[arg(long, value_name = "NUMBER")]
    pub recipient: Option<String>,
    /// Read the number from the first line of standard input, to keep it out of the shell history
    #[arg(long)]
    pub recipient_stdin: bool,
}

#[derive(Args, Debug)]
pub struct RejectionsArgs {
    /// Only rejections of this channel
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct StatsArgs {
    #[command(subcommand)]
    pub command: Option<StatsCommand>,
    /// Only this channel
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    /// From this time, like 2026-11-22T18:00:00Z. Default: 24 hours before the end
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Until this time. Default: now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Show one line per interval, channel or error code, or the requests of each channel
    #[arg(long, value_enum, default_value_t = StatsBy::Interval)]
    pub by: StatsBy,
    /// Print CSV with all counts of each line
    #[arg(long)]
    pub csv: bool,
}

#[derive(Subcommand, Debug)]
pub enum StatsCommand {
    /// Count everything again, after retention removed reports that were not counted
    ///
    /// Messages are counted by their present state. Counts of reports that are no longer in the
    /// log stay as they are. Servers can run meanwhile.
    Rebuild,
}

/// The lines of `stats`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsBy {
    /// A quarter of an hour, or a day if more than eight days are shown
    Interval,
    /// A channel
    Channel,
    /// An error code
    Code,
    /// A channel, with its requests by outcome
    Request,
}

#[derive(Subcommand, Debug)]
pub enum RetentionCommand {
    /// Show the clock, the last run, and what is held back and why
    Show,
    /// Declare that the clock is right
    ///
    /// Expired data is removed within a minute, and reports dated in the future no longer hold
    /// back the log.
    Release,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Check all settings and the database, and print the result; changes nothing
    Check(ServerSettings),
}
