//! Commands about events and cursors.

use clap::{Args, Subcommand};

use super::page::limit;

#[derive(Subcommand, Debug)]
pub enum EventCommand {
    /// Print events as they happen; with --json one object per line
    Tail {
        #[command(flatten)]
        args: EventArgs,
    },
    /// List events, oldest first; with --json one object per line
    List {
        #[command(flatten)]
        args: EventArgs,
        /// Maximum number of events, 1 to 500; one more if a report made two
        #[arg(long, default_value_t = 50, value_parser = limit())]
        limit: u16,
    },
    /// Send events to a subscription again, with the same ids
    #[command(override_usage = "receiptd event replay <SUBSCRIPTION> <OPTION>")]
    Replay {
        /// The subscription's id
        subscription: String,
        #[command(flatten)]
        from: ReplayArgs,
    },
}

#[derive(Args, Debug)]
pub struct EventArgs {
    /// Only events of this channel (repeatable)
    #[arg(long = "channel", value_name = "ID")]
    pub channels: Vec<String>,
    /// Only events of this type, like message.failed (repeatable)
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    #[command(flatten)]
    pub start: StartArgs,
    /// Start after the position of this cursor; the cursor does not move
    #[arg(long, value_name = "NAME", conflicts_with_all = ["since", "after"])]
    pub cursor: Option<String>,
    /// Show addresses unmasked
    #[arg(long)]
    pub reveal: bool,
}

/// Where a reader of the log starts.
#[derive(Args, Debug)]
pub struct StartArgs {
    /// Start with reports that arrived at or after this time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Start after this position, as the API shows it, or at `oldest` or `latest`
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    pub after: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct ReplayArgs {
    /// Events of reports that arrived at or after this time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Events of one message
    #[arg(long, num_args = 2, value_names = ["CHANNEL", "SID"])]
    pub message: Option<Vec<String>>,
    /// Events after this position, as the API shows it
    #[arg(long, value_name = "POSITION")]
    pub after: Option<String>,
    /// Events after the position of this cursor
    #[arg(long, value_name = "NAME")]
    pub cursor: Option<String>,
    /// All events that exist
    #[arg(long)]
    pub all: bool,
}

#[derive(Subcommand, Debug)]
pub enum CursorCommand {
    /// List all cursors
    List,
    /// Show the position and the lag of a cursor
    Show {
        /// The cursor's name
        name: String,
    },
    /// Create a cursor, or move it forwards or backwards
    Set {
        /// The cursor's name: 1 to 64 letters, digits and -._~
        name: String,
        /// A position, as the API shows it, or `latest` or `oldest`
        position: String,
        /// Move the cursor only if it is at this position
        #[arg(long, value_name = "POSITION")]
        from: Option<String>,
        /// Only create the cursor; do not move one that exists
        #[arg(long, conflicts_with = "from")]
        new: bool,
    },
    /// Remove a cursor
    Remove {
        /// The cursor's name
        name: String,
    },
}
