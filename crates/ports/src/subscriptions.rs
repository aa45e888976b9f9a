//! Subscriptions, the work of serving them, and what became of it.
//!
//! A subscription is served by one worker at a time, which holds its
//! [`Lease`]. Everything the worker writes goes under that lease, and is
//! refused once anything has happened that the worker does not know of:
//! somebody else has taken the subscription over, or somebody has changed or
//! removed it, moved its position, or touched its deliveries. The worker then
//! drops what it holds in memory, releases the lease and claims anew.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{Attempt, Attempts, DeliveryFilter, DeliveryOrder, PendingDelivery};
use domain::page::{Page, PageSize};
use domain::subscription::SubscriptionState;
use domain::{
    Delivery, DeliveryKey, LogPosition, MessageKey, Subscription, SubscriptionId, Timestamp,
};

use crate::StoreError;
use crate::retention::Pruning;

/// How many open deliveries are looked at in one step: handed to a worker, or counted.
pub const MAX_PENDING: usize = 2_000;

/// How many deliveries one call has tried again.
pub const MAX_RETRIED: usize = 2_000;

/// A subscription, and how it is getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// The subscription.
    pub subscription: Subscription,
    /// Up to where in the log its events are dealt with: delivered, or kept as
    /// deliveries.
    pub position: LogPosition,
    /// How many deliveries are still to be made.
    pub open: u64,
    /// How many were given up.
    pub dead: u64,
    /// When its target last took an event.
    pub last_delivered_at: Option<Timestamp>,
    /// The last attempt that failed.
    pub last_error: Option<Attempt>,
    /// Since when its target takes nothing.
    pub failing_since: Option<Timestamp>,
    /// The worker that serves it now.
    pub leased_by: Option<String>,
}

impl SubscriptionStatus {
    /// Whether its events are sent and its target takes nothing at the moment.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.subscription.state == SubscriptionState::Active && self.failing_since.is_some()
    }
}

/// Keeps subscriptions.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Adds a subscription to whose target the events behind a position go.
    /// `false`, and nothing is changed, if there is one of this id, or was one.
    async fn add(&self, subscription: &Subscription, from: LogPosition)
    -> Result<bool, StoreError>;

    /// One subscription.
    async fn find(&self, id: SubscriptionId) -> Result<Option<SubscriptionStatus>, StoreError>;

    /// All subscriptions, oldest first, those of the same microsecond by id.
    async fn list(&self) -> Result<Vec<SubscriptionStatus>, StoreError>;

    /// Replaces a subscription whose version is one less than that of
    /// `subscription`. `false`, and nothing is changed, if it has another
    /// version or is not there.
    ///
    /// `created_at` stays as it was. One that becomes active again is not
    /// failing any more. Its lease is lost.
    async fn change(&self, subscription: &Subscription) -> Result<bool, StoreError>;

    /// Removes a subscription. Its deliveries are not shown any more, and go
    /// when deliveries are pruned next. `false` if there is none. Its lease is
    /// lost.
    async fn remove(&self, id: SubscriptionId) -> Result<bool, StoreError>;
}

/// The longest time for which a subscription is leased, and a minute more, since
/// transactions that race have begun at different times. A lease that seems to last
/// longer was written before the store's clock was set back, and is over.
pub const LEASE_MAX: Duration = Duration::from_mins(11);

/// The right to serve a subscription, until somebody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Greater than that of every lease of this subscription before.
    pub token: i64,
}

/// A subscription to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedSubscription {
    /// Goes with everything that is written.
    pub lease: Lease,
    /// The subscription, which is active.
    pub subscription: Subscription,
    /// Where to read the log from.
    pub position: LogPosition,
    /// Since when its target takes nothing.
    pub failing_since: Option<Timestamp>,
    /// The deliveries that are still to be made, in the order of their events
    /// ([`Delivery::place`]), at most [`MAX_PENDING`]. Which of them waits for
    /// which follows from that order, whatever their states say.
    pub open: Vec<PendingDelivery>,
    /// Whether there are more than these: [`DeliveryQueue::more_pending`] has them.
    /// Whoever reads on in the log before that may overtake them.
    pub more_pending: bool,
}

/// What came of renewing a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is held for some more time.
    Renewed,
    /// It is held for some more time, and to be given back: the worker holds more
    /// than its share ([`DeliveryQueue::claim`]), and this one is over. Which of
    /// its leases are does not change while it waits for events under way.
    OverQuota,
    /// It is not held any more.
    Lost,
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Up to where in the log events are dealt with now.
    pub position: LogPosition,
    /// Since when the target takes nothing.
    pub failing_since: Option<Timestamp>,
    /// What became of deliveries, new ones and old ones, all of the leased
    /// subscription. Of the same one twice the last counts.
    pub deliveries: &'a [Delivery],
}

impl Progress<'_> {
    /// When the target last took one of these deliveries.
    #[must_use]
    pub fn last_delivered_at(&self) -> Option<Timestamp> {
        let taken = self.deliveries.iter().filter_map(Delivery::delivered_at);
        taken.max()
    }

    /// The last failed attempt of these deliveries.
    #[must_use]
    pub fn last_error(&self) -> Option<&Attempt> {
        let failed = self.deliveries.iter();
        failed
            .filter_map(|delivery| delivery.attempts.last_error())
            .max_by_key(|attempt| attempt.at)
    }
}

/// Hands out subscriptions to workers and takes down what they have done.
///
/// How long a lease lasts, at most ten minutes, is measured by the store, so that
/// the clocks of workers need not agree. One whose time is over is held nevertheless until
/// somebody else claims the subscription.
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// Leases an active subscription that nobody has leased, or whose lease is
    /// over: the one that has waited longest. `None` if there is none, or if the
    /// worker holds its share. Of many that claim at once no two get the same
    /// one.
    ///
    /// A worker's share is what comes to each if the active subscriptions are
    /// dealt out to all workers that have asked lately, whether they got any:
    /// within about as long as the lease they asked for. A part counts as a whole
    /// one, so nothing is left over.
    ///
    /// A lease that was lost by a change still keeps others away until it is
    /// released or over: its holder may not have noticed yet.
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError>;

    /// The open deliveries of a subscription behind a place, in the order of their
    /// events: [`MAX_PENDING`] of them, or all that there are.
    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError>;

    /// All of a delivery that is open. `None` if it is not any more.
    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError>;

    /// Holds a lease for so long from now on.
    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError>;

    /// Gives a lease back, also one that was lost by a change: the subscription
    /// can be claimed at once. One that somebody else has claimed since is left
    /// alone.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// A worker asks no more: the others have its share at once. What it holds it
    /// holds until it is released or over.
    async fn leave(&self, worker: &str) -> Result<(), StoreError>;

    /// Takes down what was done: deliveries by their keys, the position, how
    /// the target does. Whole or not at all: `false`, and nothing is written,
    /// if the lease is not held any more. It is durable when this returns
    /// `true`; recording the same again is harmless.
    ///
    /// What a delivery is about (position, type, message, revision,
    /// `created_at`) stays as it was first recorded. Its body is kept while it
    /// is not delivered.
    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError>;

    /// Puts the subscription into another state, which raises its version, and
    /// releases the lease. `updated_at` is the time since when it is so.
    /// `false`, and nothing is changed, if the lease is not held any more.
    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError>;
}

/// What became of deliveries, and asking for more of them.
///
/// What a method has open again is tried by whoever serves the subscription
/// next. So each that changes anything takes the lease from its holder.
#[async_trait]
pub trait DeliveryLog: Send + Sync {
    /// The deliveries that a filter lets through, those of later reports first;
    /// of one report its last event first. None if there is no such
    /// subscription. Those of one message are found as long as the store knows
    /// the message.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError>;

    /// One delivery.
    async fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError>;

    /// Has one delivery tried again, as [`Delivery::retry`] says. `false` if
    /// that changes nothing, or if there is no such delivery.
    async fn retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, StoreError>;

    /// Has deliveries that a filter lets through tried again, as
    /// [`Delivery::retry`] says, those of earlier reports first. Says how many;
    /// at most [`MAX_RETRIED`] at a time, so it is called again until there are
    /// none.
    async fn retry_all(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, StoreError>;

    /// Adds deliveries to a subscription, or puts them in the place of those of
    /// the same key, as [`DeliveryQueue::record`] does. `false`, and nothing is
    /// changed, if there is no such subscription.
    async fn enqueue(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
    ) -> Result<bool, StoreError>;

    /// Puts other bodies in the place of those that deliveries of a subscription
    /// still have. Says how many; none if there is no such subscription.
    async fn replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, StoreError>;

    /// Moves the position of a subscription back, so that what is behind `to` is
    /// read again; one that has not come there yet stays where it is. Its
    /// deliveries and its state stay. `false` if there is no such subscription.
    async fn rewind(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError>;

    /// Moves the position of a subscription on, past what is gone; one that is
    /// there already stays where it is. Otherwise as [`DeliveryLog::rewind`].
    async fn skip(&self, subscription: SubscriptionId, to: LogPosition)
    -> Result<bool, StoreError>;
}

/// How many deliveries of all subscriptions that have ended lately are looked at
/// for one [`RecentAttempts`].
pub const MAX_RECENT: usize = 5_000;

/// How attempts to deliver events have ended lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentAttempts {
    /// Those that began at this time or later are counted.
    pub since: Timestamp,
    /// How many delivered their event.
    pub delivered: u64,
    /// How many failed.
    pub failed: u64,
}

impl RecentAttempts {
    /// None yet.
    #[must_use]
    pub const fn none(since: Timestamp) -> Self {
        Self {
            since,
            delivered: 0,
            failed: 0,
        }
    }

    /// Counts those of a delivery.
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

/// Counting attempts, whichever worker has made them.
#[async_trait]
pub trait AttemptLog: Send + Sync {
    /// The attempts of one subscription that began at `since` or later, as far as
    /// deliveries keep them ([`Attempts::last`]). None if there is no such
    /// subscription.
    ///
    /// It looks at the last [`MAX_RECENT`] deliveries of all subscriptions that
    /// have ended, and at the first [`MAX_PENDING`] open ones of this subscription.
    /// If more have ended since, it counts from a later time, which
    /// [`RecentAttempts::since`] says: what is counted is whole from then on.
    async fn attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError>;
}

/// Making room among deliveries.
#[async_trait]
pub trait DeliveryRetention: Send + Sync {
    /// Removes at most `budget` deliveries: those of subscriptions that were
    /// removed, then those delivered or given up before a time, the one that
    /// has been so for longest first. Open ones stay. Called again until it is
    /// done.
    async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;

    /// Forgets what was to be sent about messages, as [`Delivery::erase`] says,
    /// and says how many deliveries that were not delivered it was. None of
    /// them is sent any more, and no worker that has one in memory can record
    /// it: each lease is lost, that of every subscription.
    ///
    /// So whatever the events are made from has to be gone before.
    async fn forget_bodies(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError>;
}
