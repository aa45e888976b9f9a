//! Commands about channels and their credentials.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::RetentionDays;

#[derive(Args, Debug)]
pub struct ChannelArg {
    /// The channel's id
    pub id: String,
}

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
        /// Show senders and URLs unmasked
        #[arg(long)]
        reveal: bool,
    },
    /// Change a channel; only the given options change
    #[command(override_usage = "receiptd channel update <ID> <OPTIONS>")]
    Update {
        /// The channel's id
        id: String,
        #[command(flatten)]
        changes: ChannelUpdateArgs,
    },
    /// Accept the reports of a channel again
    Enable(ChannelArg),
    /// Reject the reports of a channel; they are stored as rejections
    Disable(ChannelArg),
    /// Send a test report to the channel's public URL, as its integrator does, and show each step
    ///
    /// The running server sends it. The message is shown as a test message, counts in no statistics
    /// and has no events.
    Test(ChannelArg),
    /// Remove a channel and its credentials; its messages are kept
    Remove(ChannelArg),
}

#[derive(Args, Debug)]
pub struct ChannelAddArgs {
    /// The channel's id, the last part of the callback URL
    pub id: String,
    /// The integrator that sends the reports
    #[arg(long, default_value = "twilio")]
    pub integrator: String,
    /// Display name
    #[arg(long)]
    pub name: String,
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Require signatures with the token in this file: Twilio's auth token, or Meta's app secret,
    /// which Meta needs. While it is replaced, two separated by a space; a shared key of Twilio's
    /// as KEY_ID:SECRET
    #[arg(long, value_name = "FILE")]
    pub signature_token_file: Option<PathBuf>,
    /// URL at which the integrator reaches this channel: a base like https://reports.example.com
    /// or the whole callback URL. Default: RECEIPTD_PUBLIC_URL
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Accept only reports of messages from this sender, like whatsapp:+15550100001 (repeatable)
    #[arg(long = "sender", value_name = "ADDRESS")]
    pub senders: Vec<String>,
    /// Days that its messages are kept after their last report. Default:
    /// RECEIPTD_KEEP_MESSAGES_DAYS
    #[arg(long, value_name = "DAYS")]
    pub keep_messages_days: Option<RetentionDays>,
    /// Forward requests with something else than reports, like incoming messages, to this URL as
    /// they are. Default: they are dropped
    #[arg(long, value_name = "URL")]
    pub forward_url: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct ChannelUpdateArgs {
    /// Display name
    #[arg(long)]
    pub name: Option<String>,
    /// Accept only reports of messages from this sender, like whatsapp:+15550100001 (repeatable)
    #[arg(long = "sender", value_name = "ADDRESS")]
    pub senders: Vec<String>,
    /// Accept reports of messages from any sender
    #[arg(long, conflicts_with = "senders")]
    pub any_sender: bool,
    /// URL at which the integrator reaches this channel: a base like https://reports.example.com
    /// or the whole callback URL
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The integrator reaches this channel at RECEIPTD_PUBLIC_URL
    #[arg(long, conflicts_with = "public_url")]
    pub default_public_url: bool,
    /// Require signatures with the token in this file: Twilio's auth token, or Meta's app secret,
    /// which Meta needs. While it is replaced, two separated by a space; a shared key of Twilio's
    /// as KEY_ID:SECRET
    #[arg(long, value_name = "FILE")]
    pub signature_token_file: Option<PathBuf>,
    /// Do not require signatures
    #[arg(long, conflicts_with = "signature_token_file")]
    pub no_signature: bool,
    /// Days that its messages are kept after their last report, or `default` for
    /// RECEIPTD_KEEP_MESSAGES_DAYS
    #[arg(long, value_name = "DAYS", value_parser = keep_days)]
    pub keep_messages_days: Option<OwnKeepDays>,
    /// Forward requests with something else than reports, like incoming messages, to this URL as
    /// they are
    #[arg(long, value_name = "URL")]
    pub forward_url: Option<String>,
    /// Drop requests with something else than reports, and those that wait to be forwarded
    #[arg(long, conflicts_with = "forward_url")]
    pub no_forward_url: bool,
    /// Look up messages without a final status in this Twilio account, to recover lost reports
    #[arg(long, value_name = "SID", requires_all = ["api_key_sid", "api_key_secret_file"])]
    pub account_sid: Option<String>,
    /// API key of the account
    #[arg(long, value_name = "SID", requires = "account_sid")]
    pub api_key_sid: Option<String>,
    /// File with the secret of the API key
    #[arg(long, value_name = "FILE", requires = "account_sid")]
    pub api_key_secret_file: Option<PathBuf>,
    /// Do not look up messages, and remove the account
    #[arg(long, conflicts_with = "account_sid")]
    pub no_account: bool,
}

/// A channel's own retention; `None` for the server's.
#[derive(Clone, Copy, Debug)]
pub struct OwnKeepDays(pub Option<RetentionDays>);

fn keep_days(text: &str) -> Result<OwnKeepDays, String> {
    if text == "default" {
        return Ok(OwnKeepDays(None));
    }
    let days = text.parse::<RetentionDays>();
    let days = days.map_err(|error| format!("{error}, or `default`"))?;
    Ok(OwnKeepDays(Some(days)))
}

#[derive(Args, Debug)]
pub struct CredentialArgs {
    /// The webhook user
    #[arg(long)]
    pub user: String,
    /// Read the webhook password from standard input instead of generating one
    #[arg(long)]
    pub password_stdin: bool,
    /// Label of the credential, like "2027 rotation"
    #[arg(long)]
    pub label: Option<String>,
    /// Time from which the credential is invalid, like 2027-01-31T00:00:00Z
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
    /// Remove a credential; it is refused within seconds
    Remove {
        /// The channel's id
        channel: String,
        /// The credential's id
        id: String,
    },
}
