//! Subscriptions, their delivery by workers, and what happened to each event.
//!
//! One worker at a time serves a subscription and holds its [`Lease`]. The worker writes under that
//! lease, and its writes are refused once anything has happened that it does not know of: another
//! worker has claimed the subscription, or the subscription was changed, removed or moved in the
//! log, or its deliveries were changed. The worker then drops what it holds in memory, releases the
//! lease and claims anew.

use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{Attempt, Attempts, DeliveryFilter, DeliveryOrder, PendingDelivery};
use domain::page::{Page, PageSize, ScanLimit};
use domain::subscription::SubscriptionState;
use domain::{Delivery, DeliveryKey, LogPosition, Subscription, SubscriptionId, Timestamp};

use crate::StoreError;

/// How many pending deliveries one step returns or counts.
pub const MAX_PENDING: usize = 2_000;

/// How many deliveries one call schedules for a retry.
pub const MAX_RETRIED: usize = 2_000;

/// A subscription and the state of its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// The subscription.
    pub subscription: Subscription,
    /// Events up to this position are delivered or stored as deliveries.
    pub position: LogPosition,
    /// How many deliveries are pending.
    pub pending: u64,
    /// How many are dead letters.
    pub dead: u64,
    /// When an event was last delivered.
    pub last_delivered_at: Option<Timestamp>,
    /// The last attempt that failed.
    pub last_error: Option<Attempt>,
    /// Since when its endpoint is failing.
    pub failing_since: Option<Timestamp>,
    /// The worker that serves it now.
    pub leased_by: Option<String>,
}

impl SubscriptionStatus {
    /// Returns whether it is active and its endpoint is failing.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.subscription.state == SubscriptionState::Active && self.failing_since.is_some()
    }
}

/// Stores subscriptions.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Adds a subscription to the events after a position. Returns `false` and changes nothing if
    /// there is one of this id, or was one.
    async fn add(&self, subscription: &Subscription, from: LogPosition)
    -> Result<bool, StoreError>;

    /// Returns one subscription.
    async fn find(&self, id: SubscriptionId) -> Result<Option<SubscriptionStatus>, StoreError>;

    /// Returns all subscriptions, oldest first; those of the same microsecond by id.
    async fn list(&self) -> Result<Vec<SubscriptionStatus>, StoreError>;

    /// Replaces a subscription whose version is one less than that of `subscription`. Returns
    /// `false` and changes nothing if it has another version or does not exist.
    ///
    /// `created_at` stays as it was. One that becomes active again is not failing any more. Its
    /// lease is lost.
    async fn change(&self, subscription: &Subscription) -> Result<bool, StoreError>;

    /// Removes a subscription and ends its lease. Its deliveries are no longer shown, and are
    /// removed when deliveries are pruned next. Returns `false` if there is none.
    async fn remove(&self, id: SubscriptionId) -> Result<bool, StoreError>;
}

/// The longest lease time and a minute more, since racing transactions have begun at different
/// times. A lease that seems to last longer was written before the store's clock was set back, and
/// has expired.
pub const LEASE_MAX: Duration = Duration::from_mins(11);

/// The right to serve a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Greater than the token of every earlier lease of this subscription.
    pub token: i64,
}

/// A subscription that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedSubscription {
    /// Accompanies every write.
    pub lease: Lease,
    /// The subscription, which is active.
    pub subscription: Subscription,
    /// Where to read the log from.
    pub position: LogPosition,
    /// Since when its endpoint is failing.
    pub failing_since: Option<Timestamp>,
    /// The pending deliveries in the order of their events ([`Delivery::order`]), at most
    /// [`MAX_PENDING`]. Which of them waits for which follows from that order alone.
    pub pending: Vec<PendingDelivery>,
    /// Whether [`DeliveryQueue::more_pending`] has more. Events that are read from the log before
    /// those are loaded may overtake them.
    pub more_pending: bool,
}

/// The result of renewing a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease is extended.
    Renewed,
    /// The lease is extended and should be released: the worker holds more than its fair share
    /// ([`DeliveryQueue::claim`]). Which of its leases are over quota does not change while it
    /// waits for events in flight.
    OverQuota,
    /// The lease is no longer valid.
    Lost,
}

/// What a worker has done since the last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Events up to this position are delivered or stored as deliveries.
    pub position: LogPosition,
    /// Since when the endpoint is failing.
    pub failing_since: Option<Timestamp>,
    /// New and changed deliveries of the leased subscription. If one occurs twice, the last counts.
    pub deliveries: &'a [Delivery],
}

impl Progress<'_> {
    /// Returns when the last of these deliveries succeeded.
    #[must_use]
    pub fn last_delivered_at(&self) -> Option<Timestamp> {
        let taken = self.deliveries.iter().filter_map(Delivery::delivered_at);
        taken.max()
    }

    /// Returns the last failed attempt of these deliveries.
    #[must_use]
    pub fn last_error(&self) -> Option<&Attempt> {
        let failed = self.deliveries.iter();
        failed
            .filter_map(|delivery| delivery.attempts.last_error())
            .max_by_key(|attempt| attempt.at)
    }
}

/// Leases subscriptions to workers and records their progress.
///
/// The store measures how long a lease lasts, at most ten minutes, so that the clocks of workers
/// need not agree. An expired lease stays valid until another worker claims the subscription.
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// Leases an active subscription that has no lease or an expired one: the one that has waited
    /// longest. `None` if there is none, or if the worker holds its fair share. Of many concurrent
    /// claims no two get the same subscription.
    ///
    /// Fair share = ceil(active subscriptions ÷ live workers). A worker is live if it called
    /// `claim` within about its lease time, whether or not it got a subscription.
    ///
    /// A lease that was lost by a change still blocks other workers until it is released or
    /// expires: its holder may not have noticed yet.
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError>;

    /// Returns the pending deliveries of a subscription after `after`, in the order of their
    /// events, at most [`MAX_PENDING`].
    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError>;

    /// Returns a pending delivery with its body; `None` if it is no longer pending.
    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError>;

    /// Extends a lease to `duration` from now.
    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError>;

    /// Releases a lease, also one that was lost by a change, so that the subscription can be
    /// claimed at once. Changes nothing if another worker has claimed it since.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Removes a worker from the live ones, so that the others get its share at once. Its leases
    /// last until they are released or expire.
    async fn leave(&self, worker: &str) -> Result<(), StoreError>;

    /// Records progress atomically: deliveries by their keys, the position, the state of the
    /// endpoint. Returns `false` and writes nothing if the lease is no longer valid. It is durable
    /// when this returns `true`; recording the same again is harmless.
    ///
    /// Position, type, message, revision and `created_at` of a delivery stay as they were first
    /// recorded. Its body is stored until it is delivered.
    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError>;

    /// Changes the state of the subscription, which increments its version, and releases the lease.
    /// `updated_at` becomes the time of the new state. Returns `false` and changes nothing if the
    /// lease is no longer valid.
    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError>;
}

/// Stores what happened to each event of a subscription, and schedules deliveries again.
///
/// Every method that changes anything ends the lease of the subscription, so that the next worker
/// reads the change.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Returns a page of the deliveries that match a filter, those of later reports first; of one
    /// report its last event first. Empty if there is no such subscription. Deliveries of one
    /// message are found while the store has the message.
    ///
    /// `scan` deliveries of the state and the message of the filter are examined for one page; if
    /// that ends it, the next page continues after the last of them.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError>;

    /// Returns one delivery.
    async fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError>;

    /// Schedules one delivery for a retry, as [`Delivery::retry`] specifies. Returns `false` if
    /// that changes nothing, or if there is no such delivery.
    async fn retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, StoreError>;

    /// Schedules the deliveries that match a filter for a retry, as [`Delivery::retry`] specifies,
    /// those of earlier reports first. Returns how many, at most [`MAX_RETRIED`]: it is called
    /// again until it returns 0.
    async fn retry_all(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, StoreError>;

    /// Adds deliveries to a subscription, or replaces those of the same key, as
    /// [`DeliveryQueue::record`] does. Returns `false` and changes nothing if there is no such
    /// subscription.
    async fn enqueue(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
    ) -> Result<bool, StoreError>;

    /// Replaces the bodies of deliveries of a subscription that still have one. Returns how many; 0
    /// if there is no such subscription.
    async fn replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, StoreError>;

    /// Moves the position of a subscription back to `to`, so that the log after it is read again; a
    /// lower position stays. Its deliveries and its state stay. Returns `false` if there is no such
    /// subscription.
    async fn rewind(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError>;

    /// Moves the position of a subscription forward to `to`, past removed reports; a greater
    /// position stays. Otherwise like [`DeliveryStore::rewind`].
    async fn skip(&self, subscription: SubscriptionId, to: LogPosition)
    -> Result<bool, StoreError>;

    /// Counts the attempts of one subscription that began at `since` or later, as far as deliveries
    /// store them ([`Attempts::last`]). Zero if there is no such subscription.
    ///
    /// It examines the last [`MAX_RECENT`] completed deliveries of all subscriptions, and the first
    /// [`MAX_PENDING`] pending ones of this subscription. If more were completed since, it counts
    /// from a later time, which it returns in [`RecentAttempts::since`].
    async fn attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError>;
}

/// How many completed deliveries of all subscriptions are examined for one [`RecentAttempts`].
pub const MAX_RECENT: usize = 5_000;

/// How many recent attempts succeeded and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentAttempts {
    /// The start of the counted window.
    pub since: Timestamp,
    /// Successful attempts.
    pub delivered: u64,
    /// Failed attempts.
    pub failed: u64,
}

impl RecentAttempts {
    /// Returns zero counts for a window.
    #[must_use]
    pub const fn none(since: Timestamp) -> Self {
        Self {
            since,
            delivered: 0,
            failed: 0,
        }
    }

    /// Adds the attempts of one delivery.
    pub fn count(&mut self, attempts: &Attempts) {
        let recent = attempts.last().iter().filter(|each| each.at >= self.since);
        for attempt in recent {
            match attempt.error {
                None => self.delivered += 1,
                Some(_) => self.failed += 1,
            }
        }
    }
}
