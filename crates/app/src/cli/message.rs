//! Commands about messages.

use clap::{Args, Subcommand};

use super::page::PageArgs;

#[derive(Subcommand, Debug)]
pub enum MessageCommand {
    /// Show a message with its timeline and reports
    Show {
        /// The channel's id
        channel: String,
        /// The integrator's message id
        sid: String,
        /// Show addresses and fields unmasked
        #[arg(long)]
        reveal: bool,
    },
    /// List messages, most recently created first
    List(MessageListArgs),
}

#[derive(Args, Debug)]
pub struct MessageListArgs {
    /// Only messages of this channel
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    /// Only messages with this status, or with one of several, separated by commas
    #[arg(long)]
    pub status: Option<String>,
    /// Only messages that were reported both delivered and failed
    #[arg(long)]
    pub contradicted: bool,
    /// Only messages to this recipient, like +15550100001 or whatsapp:US.1349…
    #[arg(long, value_name = "RECIPIENT")]
    pub to: Option<String>,
    /// Only messages with this error code
    #[arg(long, value_name = "CODE")]
    pub error_code: Option<String>,
    /// Only messages first reported at or after this time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only messages first reported before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
    /// Show addresses unmasked
    #[arg(long)]
    pub reveal: bool,
}
