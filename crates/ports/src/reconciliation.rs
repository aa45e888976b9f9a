//! Accounts for reconciliation, its figures, and the messages to compare.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{MessageCursor, Page, PageSize};
use domain::reconciliation::{Reconciliation, ReconciliationAccount, ReconciliationProgress};
use domain::{ChannelId, Message, MessageSid, Timestamp};

use crate::StoreError;

/// Stores the accounts and figures of reconciliation, and finds the messages to compare.
#[async_trait]
pub trait ReconciliationStore: Send + Sync {
    /// Returns the accounts and figures of all channels that have an account, by channel id.
    async fn reconciliations(&self) -> Result<Vec<Reconciliation>, StoreError>;

    /// Returns the account and figures of a channel; `None` if it has no account.
    async fn reconciliation(
        &self,
        channel: &ChannelId,
    ) -> Result<Option<Reconciliation>, StoreError>;

    /// Stores the account of a channel; replaces an earlier one and keeps its figures, except for
    /// the last error. Returns `false` and stores nothing if there is no such channel.
    async fn set_reconciliation_account(
        &self,
        account: &ReconciliationAccount,
    ) -> Result<bool, StoreError>;

    /// Removes the account and figures of a channel. Returns `false` if it has none. Removing the
    /// channel removes them too.
    async fn remove_reconciliation_account(&self, channel: &ChannelId) -> Result<bool, StoreError>;

    /// Leases the reconciliation of a channel to `holder` for `lease` from now. A holder that calls
    /// again extends its lease. Returns `false` if another one holds it or the channel has no
    /// account. Of racing calls of several holders, one succeeds.
    async fn claim_reconciliation(
        &self,
        channel: &ChannelId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, StoreError>;

    /// Adds what a step did to the figures. `checked_through` never decreases, unless it is later
    /// than the time of the step: then it was written before the clock was set back. Returns `false`
    /// and changes nothing if the channel has no account.
    async fn add_reconciliation_progress(
        &self,
        channel: &ChannelId,
        progress: &ReconciliationProgress,
    ) -> Result<bool, StoreError>;

    /// Returns a page of the messages of a channel that were first reported within a period and
    /// have no final status ([`domain::DeliveryStatus::is_final`]), the earliest first; those of the
    /// same microsecond by sid in its compact form.
    async fn unfinished_messages(
        &self,
        channel: &ChannelId,
        first_reported: &Range<Timestamp>,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError>;

    /// Returns those of the given messages of a channel that are known, in any order.
    async fn known_messages(
        &self,
        channel: &ChannelId,
        sids: &[MessageSid],
    ) -> Result<Vec<Message>, StoreError>;
}
