//! Troubles, the settings of their rules, and operator events.

use std::num::NonZeroU16;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::trouble::rules::JournalUse;
use domain::trouble::{
    OperatorEvent, Snooze, StoredOperatorEvent, Trouble, TroubleId, TroubleKey, TroubleSettings,
};
use domain::{ChannelId, SubscriptionId, Timestamp};

use crate::StoreError;

/// The right to evaluate the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationLease {
    /// Greater than the token of every earlier holder.
    pub token: i64,
}

/// What an evaluation changed. Applied as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TroubleChanges {
    /// New and changed troubles. What is stored of their snooze stays, except for new ones.
    pub saved: Vec<Trouble>,
    /// Troubles that were not confirmed.
    pub dropped: Vec<TroubleId>,
    /// Events, in the order of their sequence.
    pub events: Vec<OperatorEvent>,
}

impl TroubleChanges {
    /// Returns whether there is nothing to save.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.saved.is_empty() && self.dropped.is_empty() && self.events.is_empty()
    }
}

/// Which troubles to list. Those that are not confirmed are never listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TroubleFilter {
    /// Whether they are resolved; `None`: both.
    pub resolved: Option<bool>,
    /// The channel that they are about; `None`: any, or none.
    pub channel: Option<ChannelId>,
}

/// Stores troubles, and the settings of their rules.
#[async_trait]
pub trait TroubleStore: Send + Sync {
    /// Leases the evaluation to `holder` for `lease` from now. A holder that calls again extends
    /// its lease and keeps its token. `None` if another one holds it. Of racing calls of several
    /// holders, one succeeds.
    async fn lease_evaluation(
        &self,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<EvaluationLease>, StoreError>;

    /// Returns the troubles that are not resolved, also those that are not confirmed, by id.
    async fn unresolved(&self) -> Result<Vec<Trouble>, StoreError>;

    /// Returns the snoozes of resolved troubles that last at `now`, by the key of the trouble. Of
    /// several of one key the one that ends last.
    async fn lasting_snoozes(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(TroubleKey, Snooze)>, StoreError>;

    /// Saves what an evaluation changed, atomically. Returns `false` and changes nothing if another
    /// holder has leased the evaluation since. The sequence of events follows the order in which
    /// they are saved: a later event is never seen before an earlier one.
    async fn save_troubles(
        &self,
        lease: &EvaluationLease,
        changes: &TroubleChanges,
    ) -> Result<bool, StoreError>;

    /// Returns one trouble, also one that is not confirmed.
    async fn trouble(&self, id: TroubleId) -> Result<Option<Trouble>, StoreError>;

    /// Returns a page of the confirmed troubles that match a filter, by descending id. `after` is
    /// the last one of the page before.
    async fn troubles(
        &self,
        filter: &TroubleFilter,
        after: Option<TroubleId>,
        size: PageSize,
    ) -> Result<Page<Trouble, TroubleId>, StoreError>;

    /// Sets or ends the snooze of a trouble that is not resolved. Returns `false` and changes
    /// nothing if there is none of this id.
    async fn set_snooze(&self, id: TroubleId, snooze: Option<&Snooze>) -> Result<bool, StoreError>;

    /// Returns all stored settings. Those of `None` apply to channels without settings of their
    /// own, and to what is not about a channel.
    async fn trouble_settings(
        &self,
    ) -> Result<Vec<(Option<ChannelId>, TroubleSettings)>, StoreError>;

    /// Stores the settings of a channel, or of `None`; without `settings` removes them. Removing
    /// absent ones changes nothing. Channels need not exist.
    async fn set_trouble_settings(
        &self,
        channel: Option<&ChannelId>,
        settings: Option<&TroubleSettings>,
    ) -> Result<(), StoreError>;

    /// Stores the use of a receiver's journal; replaces what it said before.
    async fn note_journal(&self, journal: &JournalUse) -> Result<(), StoreError>;

    /// Returns the journals that were last in use at `since` or later, by the name of the receiver.
    async fn journals(&self, since: Timestamp) -> Result<Vec<JournalUse>, StoreError>;

    /// Removes at most `limit` each of troubles that were resolved, events that happened and
    /// journals that were last in use before a time. Returns how many it removed in all.
    async fn prune_troubles(&self, before: Timestamp, limit: NonZeroU16)
    -> Result<u64, StoreError>;
}

/// How far a subscription has received the operator events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorEventPosition {
    /// Events up to this sequence were delivered, or given up.
    pub sequence: i64,
    /// How many attempts to send the next event failed in a row.
    pub failures: u32,
    /// When the next event is sent; `None`: at once.
    pub retry_at: Option<Timestamp>,
    /// When the first of these attempts failed.
    pub failing_since: Option<Timestamp>,
}

/// The sequence of operator events, and how far each subscription has received it.
#[async_trait]
pub trait OperatorEvents: Send + Sync {
    /// Returns the events after a sequence, at most `size`, in their order. `0` is before the
    /// first.
    async fn operator_events(
        &self,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<StoredOperatorEvent>, StoreError>;

    /// Returns the sequence of the last event that happened before a time; 0 if there is none.
    async fn last_operator_event(&self, before: Timestamp) -> Result<i64, StoreError>;

    /// Returns the positions of all subscriptions that have one.
    async fn operator_event_positions(
        &self,
    ) -> Result<Vec<(SubscriptionId, OperatorEventPosition)>, StoreError>;

    /// Stores the position of a subscription. One with a lower sequence than the stored one changes
    /// nothing.
    async fn set_operator_event_position(
        &self,
        subscription: SubscriptionId,
        position: &OperatorEventPosition,
    ) -> Result<(), StoreError>;

    /// Removes the positions of subscriptions that are not among `subscriptions`.
    async fn retain_operator_event_positions(
        &self,
        subscriptions: &[SubscriptionId],
    ) -> Result<(), StoreError>;
}
