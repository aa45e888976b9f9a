//! What can be asked of events, and of places in their log.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub enum EventCommand {
    /// Print events as they happen; with --json one object a line
    Tail {
        #[command(flatten)]
        args: EventArgs,
    },
    /// List events, the oldest first; with --json one object a line
    List {
        #[command(flatten)]
        args: EventArgs,
        /// How many at most, 1 to 500; one more if a report made two
        #[arg(long, default_value_t = 50, value_parser = super::limit())]
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
    #[command(flatten)]
    pub start: StartArgs,
    /// Those behind the position of this cursor, which stays where it is
    #[arg(long, value_name = "NAME", conflicts_with_all = ["since", "after"])]
    pub cursor: Option<String>,
    /// Show addresses without masks
    #[arg(long)]
    pub reveal: bool,
}

/// Where a reader of the log begins.
#[derive(Args, Debug)]
pub struct StartArgs {
    /// Begin with reports that arrived at this time or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Begin behind a position as the API and cursors show it, with `oldest`, or with what comes
    /// after the `latest`
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    pub after: Option<String>,
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

#[derive(Subcommand, Debug)]
pub enum CursorCommand {
    /// List all cursors
    List,
    /// Show where a cursor stands, and how far it is behind
    Show {
        /// The cursor's name
        name: String,
    },
    /// Make a cursor, or move it on or back
    Set {
        /// The cursor's name: 1 to 64 letters, digits and -._~
        name: String,
        /// A position as the API and cursors show it, `latest` or `oldest`
        position: String,
        /// Move it only if it stands at this position
        #[arg(long, value_name = "POSITION")]
        from: Option<String>,
        /// Only make it; one that is there is not moved
        #[arg(long, conflicts_with = "from")]
        new: bool,
    },
    /// Forget a cursor
    Remove {
        /// The cursor's name
        name: String,
    },
}
