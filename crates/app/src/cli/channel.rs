//! What can be asked of channels and their credentials.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::RetentionDays;

#[derive(Subcommand, Debug)]
pub enum ChannelCommand {
    /// Add a channel with its first credential
    Add(ChannelAddArgs),
    /// List all channels
    List,
    /// Show one channel
    Show {
        /// The channel's id
        id: String,
        /// Show senders and URLs without masks
        #[arg(long)]
        reveal: bool,
    },
    /// Change a channel; what is not named stays as it is
    Update {
        /// The channel's id
        id: String,
        #[command(flatten)]
        changes: ChannelUpdateArgs,
    },
    /// Take the reports of a channel again
    Enable {
        /// The channel's id
        id: String,
    },
    /// Refuse the reports of a channel; they are kept as rejections
    Disable {
        /// The channel's id
        id: String,
    },
    /// Remove a channel and its credentials; its messages stay
    Remove {
        /// The channel's id
        id: String,
    },
}

#[derive(Args, Debug)]
pub struct ChannelAddArgs {
    /// The channel's id, as it stands in the callback URL
    pub id: String,
    /// Who reports on its messages
    #[arg(long, default_value = "twilio")]
    pub integrator: String,
    /// What people call it
    #[arg(long)]
    pub name: String,
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Ask for X-Twilio-Signature, made with the auth token in this file
    #[arg(long, value_name = "FILE")]
    pub signature_token_file: Option<PathBuf>,
    /// Where the integrator reaches this channel: a base like https://reports.example.com or the
    /// whole callback URL. Default: RECEIPTD_PUBLIC_URL
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Take only reports of messages from this sender, like whatsapp:+15550100001 (repeatable)
    #[arg(long = "sender", value_name = "ADDRESS")]
    pub senders: Vec<String>,
    /// For how many days its messages are kept after their last report. Default: as many as the
    /// service keeps them, RECEIPTD_KEEP_MESSAGES_DAYS
    #[arg(long, value_name = "DAYS")]
    pub keep_messages_days: Option<RetentionDays>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct ChannelUpdateArgs {
    /// What people call it
    #[arg(long)]
    pub name: Option<String>,
    /// Take only reports of messages from this sender, like whatsapp:+15550100001 (repeatable)
    #[arg(long = "sender", value_name = "ADDRESS")]
    pub senders: Vec<String>,
    /// Take reports of messages from any sender
    #[arg(long, conflicts_with = "senders")]
    pub any_sender: bool,
    /// Where the integrator reaches this channel: a base like https://reports.example.com or the
    /// whole callback URL
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The integrator reaches it where RECEIPTD_PUBLIC_URL says
    #[arg(long, conflicts_with = "public_url")]
    pub default_public_url: bool,
    /// Ask for X-Twilio-Signature, made with the auth token in this file
    #[arg(long, value_name = "FILE")]
    pub signature_token_file: Option<PathBuf>,
    /// Ask for signatures no more
    #[arg(long, conflicts_with = "signature_token_file")]
    pub no_signature: bool,
    /// For how many days its messages are kept after their last report, or `default`: as many as
    /// the service keeps them, RECEIPTD_KEEP_MESSAGES_DAYS
    #[arg(long, value_name = "DAYS", value_parser = keep_days)]
    pub keep_messages_days: Option<OwnKeepDays>,
}

/// What a channel is to have for a time of its own.
#[derive(Clone, Copy, Debug)]
pub struct OwnKeepDays(pub Option<RetentionDays>);

fn keep_days(text: &str) -> Result<OwnKeepDays, String> {
    if text == "default" {
        return Ok(OwnKeepDays(None));
    }
    let days = text.parse::<RetentionDays>();
    let days = days.map_err(|error| format!("{error}, or for the `default`"))?;
    Ok(OwnKeepDays(Some(days)))
}

#[derive(Args, Debug)]
pub struct CredentialArgs {
    /// The webhook user
    #[arg(long)]
    pub user: String,
    /// Read the webhook password from standard input; without this one is made
    #[arg(long)]
    pub password_stdin: bool,
    /// What people call the credential, like "2027 rotation"
    #[arg(long)]
    pub label: Option<String>,
    /// From when on it proves nobody, like 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum CredentialCommand {
    /// Add a second credential, to replace the first one without losing a report
    Add {
        /// The channel's id
        channel: String,
        #[command(flatten)]
        credential: CredentialArgs,
    },
    /// List the credentials of a channel and when each was last used
    List {
        /// The channel's id
        channel: String,
    },
    /// Remove a credential; callers that use it are refused within seconds
    Remove {
        /// The channel's id
        channel: String,
        /// The credential's id
        id: String,
    },
}
