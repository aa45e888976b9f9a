//! Commands about trouble.

use clap::{Args, Subcommand, ValueEnum};

use super::page::{PageArgs, limit};
use crate::config;

#[derive(Subcommand, Debug)]
pub enum TroubleCommand {
    /// List troubles, newest first; resolved ones are kept for 30 days
    List(TroubleListArgs),
    /// Snooze an open trouble, so that no notices about it are sent
    Snooze {
        /// The trouble's id
        id: String,
        /// Until when, like 2026-12-01T08:00:00Z; within 30 days
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Why, for other operators
        #[arg(long)]
        reason: String,
    },
    /// End the snooze of a trouble
    Unsnooze {
        /// The trouble's id
        id: String,
    },
    /// Show the settings of the rules
    Settings {
        /// Those of this channel; default: those of all channels
        #[arg(long, value_name = "ID")]
        channel: Option<String>,
    },
    /// Replace the settings of the rules; what is left out gets its built-in value
    Set(TroubleSetArgs),
    /// Remove the settings of the rules of a channel, so that those of all apply
    Reset {
        /// The channel
        #[arg(long, value_name = "ID")]
        channel: String,
    },
    /// List operator events, the notices of troubles, oldest first
    Events {
        /// Only events after this sequence
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0,
              value_parser = config::whole(0..=i64::MAX))]
        after: i64,
        /// Events to show, 1 to 500
        #[arg(long, default_value_t = 50, value_parser = limit())]
        limit: u16,
    },
}

/// Whether troubles are open.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TroubleStateArg {
    /// Open, snoozed ones too
    Open,
    /// Over
    Resolved,
}

#[derive(Args, Debug)]
pub struct TroubleListArgs {
    /// Only open or only resolved ones
    #[arg(long)]
    pub state: Option<TroubleStateArg>,
    /// Only those about this channel
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Args, Debug)]
pub struct TroubleSetArgs {
    /// Those of this channel; default: those of all channels without settings of their own
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    /// Do not look for this kind of trouble, like stuck_at_sent (repeatable)
    #[arg(long, value_name = "KIND")]
    pub off: Vec<String>,
    /// Minutes that a channel must be silent, 1 to 10080
    #[arg(long, value_name = "MINUTES", value_parser = config::whole(1..=10_080_u16))]
    pub silence_minutes: Option<u16>,
    /// Requests without credentials that are found, in 10 minutes
    #[arg(long, value_name = "NUMBER", value_parser = config::whole(1..=1_000_000_u32))]
    pub challenges: Option<u32>,
    /// Share of the messages that an error code must have, 1 to 100
    #[arg(long, value_name = "PERCENT", value_parser = config::whole(1..=100_u8))]
    pub code_share_percent: Option<u8>,
    /// Hours of each day without notices, like 22:00-06:30. Default: none
    #[arg(long, value_name = "HOURS")]
    pub quiet_hours: Option<String>,
}
