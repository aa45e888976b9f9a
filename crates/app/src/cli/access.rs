//! Commands about tokens of operators and the audit log.

use clap::{Args, Subcommand};
use domain::access::Role;

use super::page::PageArgs;

#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Add a token and print it; it is shown only once
    Add(TokenAddArgs),
    /// List all tokens, including expired and revoked ones
    List,
    /// Revoke a token: it is refused at once, and its console sessions end
    Revoke {
        /// The token's name or id
        token: String,
    },
}

#[derive(Args, Debug)]
pub struct TokenAddArgs {
    /// Name of the operator or program, which the audit log shows
    pub name: String,
    /// viewer: read masked data; operator: also change channels, subscriptions and cursors;
    /// admin: also manage tokens, erase recipients and read the audit log
    #[arg(long)]
    pub role: Role,
    /// Also allow unmasked addresses and texts
    #[arg(long)]
    pub reveal: bool,
    /// Also allow reading the audit log
    #[arg(long)]
    pub audit: bool,
    /// When it expires, like 2099-12-31T23:59:59Z. Default: never
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// List entries, newest first
    List(AuditListArgs),
}

#[derive(Args, Debug)]
pub struct AuditListArgs {
    /// Only entries of this operator, like anna or cli/root
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Only this action, like channel.add or data.reveal
    #[arg(long)]
    pub action: Option<String>,
    /// Only entries about this id
    #[arg(long, value_name = "ID")]
    pub object: Option<String>,
    /// Only entries from this time on
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only entries from before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}
