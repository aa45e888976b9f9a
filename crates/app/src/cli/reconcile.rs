//! The command about reconciliation.

use clap::Args;

#[derive(Args, Debug)]
pub struct ReconcileArgs {
    /// The channel, which needs an account (`receiptd channel update ID --account-sid …`)
    #[arg(long, value_name = "ID")]
    pub channel: String,
    /// Compare messages first reported at this time or later, like 2026-11-22T18:00:00Z. Default:
    /// those of the last 72 hours that are due to be looked up
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Compare all messages that Twilio lists for the last 72 hours, also those of which no report
    /// arrived. The channel must name its senders
    #[arg(long, conflicts_with = "since")]
    pub listed: bool,
    /// Record nothing; show what would be recovered
    #[arg(long)]
    pub dry_run: bool,
}
