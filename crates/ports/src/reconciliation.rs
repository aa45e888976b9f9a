//! Accounts for reconciliation, its figures, and the messages to compare.

use std::num::NonZeroU16;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{MessageCursor, Page, PageSize};
use domain::reconciliation::{
    CallbackAlert, CallbackAlertCount, Reconciliation, ReconciliationAccount,
    ReconciliationProgress,
};
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
    /// the last error and since when runs fail. Returns `false` and stores nothing if there is no
    /// such channel.
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
    /// than the time of the step: then it was written before the clock was set back. Runs fail from
    /// the first step with an error until [`ReconciliationStep::Success`]. Returns `false` and
    /// changes nothing if the channel has no account.
    ///
    /// [`ReconciliationStep::Success`]: domain::reconciliation::ReconciliationStep::Success
    async fn add_reconciliation_progress(
        &self,
        channel: &ChannelId,
        progress: &ReconciliationProgress,
    ) -> Result<bool, StoreError>;

    /// Returns a page of the messages of a channel that were first reported within a period and
    /// have no final status ([`domain::DeliveryStatus::is_final`]), the earliest first; those of
    /// the same microsecond by sid in its compact form.
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

    /// Stores alerts, one for each message, and makes their messages due to be looked up. Of
    /// several alerts of a message the code and time of the latest stay; an earlier or repeated one
    /// makes the message due again all the same. Alerts of unknown channels are ignored. Removes
    /// those of these channels beyond the newest [`domain::reconciliation::CALLBACK_ALERTS_KEPT`];
    /// of racing calls the last one does. Racing calls lose nothing. Removing the channel removes
    /// its alerts, erasing a recipient does not.
    async fn add_callback_alerts(&self, alerts: &[CallbackAlert]) -> Result<(), StoreError>;

    /// Returns the channels that have an account and an alert that is due, by id.
    async fn channels_with_due_alerts(&self) -> Result<Vec<ChannelId>, StoreError>;

    /// Returns alerts of a channel that are due, the oldest first, those of the same time by sid in
    /// its compact form.
    async fn due_callback_alerts(
        &self,
        channel: &ChannelId,
        limit: NonZeroU16,
    ) -> Result<Vec<CallbackAlert>, StoreError>;

    /// Marks alerts as looked up, so that they are not due any more. One of which a later alert
    /// arrived meanwhile stays due. Unknown ones are ignored.
    async fn mark_alerts_looked_up(&self, alerts: &[CallbackAlert]) -> Result<(), StoreError>;

    /// Counts the alerts of a channel that arrived at a time or later, due or not, for each code.
    /// The most frequent code comes first, of equally frequent ones that of the newest alert, then
    /// the smallest in the order of bytes.
    async fn callback_alert_counts(
        &self,
        channel: &ChannelId,
        since: Timestamp,
    ) -> Result<Vec<CallbackAlertCount>, StoreError>;

    /// Removes up to `limit` alerts that arrived before a time. Returns how many. Fewer than
    /// `limit` may also mean that racing calls remove others.
    async fn prune_callback_alerts(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError>;
}
