//! Manages the accounts of reconciliation.

use std::sync::Arc;

use domain::crypto::ServerSecret;
use domain::reconciliation::{
    AccountSid, ApiKeySecret, ApiKeySid, Reconciliation, ReconciliationAccount,
};
use domain::{ChannelId, IntegratorName};
use ports::{ChannelStore, Environment, ReconciliationStore, StoreError};

use super::alerted::AlertedMessages;

/// The only integrator whose records can be read.
const INTEGRATOR: &str = "twilio";

/// An account for a channel.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account that sends the messages of the channel.
    pub account: AccountSid,
    /// The API key that reads them.
    pub api_key: ApiKeySid,
    /// Its secret.
    pub secret: ApiKeySecret,
}

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such channel.
    #[error("there is no channel {0}")]
    NoSuchChannel(ChannelId),
    /// The channel has no account.
    #[error("channel {0} has no account for reconciliation")]
    NoAccount(ChannelId),
    /// The integrator's records cannot be read.
    #[error("records of messages can be read from twilio only, not from {0}")]
    NoRecords(IntegratorName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores, shows and removes the accounts of reconciliation.
pub struct ManageReconciliation {
    accounts: Arc<dyn ReconciliationStore>,
    channels: Arc<dyn ChannelStore>,
    secret: ServerSecret,
    environment: Arc<dyn Environment>,
}

impl ManageReconciliation {
    /// Manages the accounts of a store. `secret` seals the secrets of API keys.
    #[must_use]
    pub fn new(
        accounts: Arc<dyn ReconciliationStore>,
        channels: Arc<dyn ChannelStore>,
        secret: ServerSecret,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            accounts,
            channels,
            secret,
            environment,
        }
    }

    /// Returns the account and figures of a channel; `None` if it has no account.
    pub async fn show(&self, channel: &ChannelId) -> Result<Option<Reconciliation>, AccountError> {
        self.require(channel).await?;
        Ok(self.accounts.reconciliation(channel).await?)
    }

    /// Counts the messages of a channel of which the integrator said that it could not deliver a
    /// report, also without an account.
    pub async fn alerted(&self, channel: &ChannelId) -> Result<AlertedMessages, AccountError> {
        let now = self.environment.now();
        Ok(AlertedMessages::read(&*self.accounts, channel, now).await?)
    }

    /// Checks that a channel can have an account.
    pub async fn check(&self, channel: &ChannelId) -> Result<(), AccountError> {
        let integrator = self.require(channel).await?;
        if integrator.as_str() == INTEGRATOR {
            Ok(())
        } else {
            Err(AccountError::NoRecords(integrator))
        }
    }

    /// Stores the account of a channel, in place of an earlier one.
    pub async fn set(&self, channel: &ChannelId, new: &NewAccount) -> Result<(), AccountError> {
        self.check(channel).await?;
        let [nonce @ .., _, _, _, _, _, _, _, _] = self.environment.secret_bytes();
        let context = ReconciliationAccount::secret_context(channel);
        let account = ReconciliationAccount {
            channel: channel.clone(),
            account: new.account.clone(),
            api_key: new.api_key.clone(),
            secret: self.secret.seal(new.secret.reveal(), &context, nonce),
            changed_at: self.environment.now(),
        };
        if self.accounts.set_reconciliation_account(&account).await? {
            Ok(())
        } else {
            Err(AccountError::NoSuchChannel(channel.clone()))
        }
    }

    /// Removes the account and figures of a channel. Returns `false` if it had none.
    pub async fn remove(&self, channel: &ChannelId) -> Result<bool, AccountError> {
        self.require(channel).await?;
        Ok(self.accounts.remove_reconciliation_account(channel).await?)
    }

    /// Returns the integrator of a channel.
    async fn require(&self, channel: &ChannelId) -> Result<IntegratorName, AccountError> {
        let found = self.channels.find(channel).await?;
        let found = found.ok_or_else(|| AccountError::NoSuchChannel(channel.clone()))?;
        Ok(found.channel.integrator)
    }
}
