//! The account of a channel for reconciliation.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid};
use domain::{ChannelId, Timestamp};
use ports::Store;
use usecases::ManageReconciliation;
use usecases::reconciliation::{AlertedMessages, NewAccount};

use crate::cli::ChannelUpdateArgs;
use crate::output;

/// A change of the account of a channel.
pub enum AccountChange {
    Keep,
    Remove,
    Set(NewAccount),
}

impl AccountChange {
    /// Reads and checks the change that the arguments ask for, and makes none: the other changes
    /// of the command come first, and one that is refused must leave the account as it is.
    pub async fn read(
        manage: &ManageReconciliation,
        channel: &ChannelId,
        args: &ChannelUpdateArgs,
    ) -> Result<Self> {
        if args.no_account {
            return Ok(Self::Remove);
        }
        let given = args.account_sid.as_deref();
        let given = given.zip(args.api_key_sid.as_deref());
        // The parser requires all three or none.
        let Some(((account, key), file)) = given.zip(args.api_key_secret_file.as_deref()) else {
            return Ok(Self::Keep);
        };
        let new = NewAccount {
            account: AccountSid::parse(account).context("--account-sid")?,
            api_key: ApiKeySid::parse(key).context("--api-key-sid")?,
            secret: secret(file)?,
        };
        manage.check(channel).await?;
        Ok(Self::Set(new))
    }

    /// Makes the change.
    pub async fn make(self, manage: &ManageReconciliation, channel: &ChannelId) -> Result<()> {
        match self {
            Self::Keep => Ok(()),
            Self::Remove => manage.remove(channel).await.map(drop),
            Self::Set(new) => manage.set(channel, &new).await,
        }
        .context("the account was not changed; all other changes are stored")
    }
}

fn secret(path: &Path) -> Result<ApiKeySecret> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    ApiKeySecret::parse(text.trim_end()).context("--api-key-secret-file")
}

/// Prints of how many messages the integrator could not deliver a report, and what reconciliation
/// of a channel did; nothing if there were none and it has no account.
pub async fn print(store: &Arc<dyn Store>, channel: &ChannelId, now: Timestamp) -> Result<()> {
    let alerted = AlertedMessages::read(store.as_ref(), channel, now).await?;
    if let Some(at) = alerted.last_at {
        output::line(format!(
            "\nTwilio could not deliver reports of {} messages in the last 7 days; the last one {}.",
            alerted.count,
            output::time(at.to_string())
        ));
    }
    let Some(found) = store.reconciliation(channel).await? else {
        return Ok(());
    };
    let figures = &found.figures;
    let run = match figures.last_run_at {
        Some(at) => format!("last run {}", output::time(at.to_string())),
        None => "did not run yet".to_owned(),
    };
    output::line(format!(
        "\nReconciliation with account {}: {run}, {} messages compared, {} reports recovered.",
        found.account.account, figures.checked, figures.recovered
    ));
    if let Some(share) = figures.lost_share() {
        output::line(format!(
            "Of {} messages in Twilio's last list, the last report of {} had not arrived ({:.1} %).",
            figures.listed,
            figures.lost,
            share * 100.0
        ));
    }
    if let Some(error) = &figures.last_error {
        output::line(output::wrapped(&format!(
            "Warning: reconciliation stopped: {error}."
        )));
    }
    Ok(())
}
