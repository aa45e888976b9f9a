//! What a pusher tells the store: what became of deliveries, that it goes on, that it ends.

use std::time::Duration;

use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::subscription::{PauseReason, SubscriptionState};
use ports::StoreError;
use ports::metrics::StopReason;
use ports::subscriptions::{MAX_PENDING, Progress, Renewal};
use tokio::time::Instant;

use super::{End, Pusher};
use ports::error::error_chain;

/// How many deliveries are recorded in one step at most.
const RECORDED_AT_ONCE: usize = 500;

/// How often a position is taken down that has moved past events nobody wants.
const POSITION_EVERY: Duration = Duration::from_secs(5);

/// How long a store that failed is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Pusher {
    /// Takes down what was done and holds the lease, if it is time.
    pub(super) async fn keep_up(&mut self) -> Option<End> {
        let now = Instant::now();
        if self.store_rests_until.is_some_and(|until| until <= now) {
            self.store_rests_until = None;
        }
        if self.store_rests_until.is_none() {
            if now >= self.records_at()
                && let Some(end) = self.record().await
            {
                return Some(end);
            }
            if now >= self.renewed_at + self.settings.lease / 3
                && let Some(end) = self.renew().await
            {
                return Some(end);
            }
        }
        // Nobody may have claimed it yet; but somebody may.
        if now >= self.renewed_at + self.settings.lease {
            return Some(End::Lost);
        }
        let timeline = self.timeline.now();
        if self
            .health
            .has_failed_for(self.settings.pause_after, timeline)
            && self.pause(PauseReason::Failing, StopReason::Failing).await
        {
            return Some(End::Finished);
        }
        if self.surplus {
            let gives_back = self.flights.is_empty() && self.outcomes.is_empty();
            return gives_back.then_some(End::Release);
        }
        if let Some(after) = self.behind.filter(|_| self.may_take_over()) {
            self.take_over(after).await;
        }
        self.tell_if_full();
        None
    }

    /// Whether there are more open deliveries in the store, and room for them.
    pub(super) fn may_take_over(&self) -> bool {
        self.behind.is_some() && !self.is_full() && self.store_rests_until.is_none()
    }

    /// Takes over more of the open deliveries.
    async fn take_over(&mut self, after: DeliveryOrder) {
        let more = self.parts.queue.more_pending(self.subscription.id, after);
        match more.await {
            Ok(more) => {
                let last = more.last().map(PendingDelivery::place);
                self.behind = last.filter(|_| more.len() >= MAX_PENDING);
                self.restore(more);
            }
            Err(error) => self.store_failed("open deliveries were not read yet", &error),
        }
    }

    /// Whether so much is open that nothing more is read.
    pub(super) fn is_full(&self) -> bool {
        self.lanes.recorded() >= self.settings.open
    }

    fn tell_if_full(&mut self) {
        if self.is_full() && !self.told_full {
            self.told_full = true;
            // Programs look for the name of the event: docs/logging.md.
            tracing::error!(
                event = "subscription_full",
                subscription = %self.subscription.id,
                open = self.lanes.recorded(),
                "a subscription has too many open deliveries; nothing more is read for it until some are made or given up"
            );
        } else if self.lanes.recorded() < self.settings.open / 2 && self.told_full {
            self.told_full = false;
            tracing::info!(
                subscription = %self.subscription.id,
                "a subscription has room for open deliveries again"
            );
        }
    }

    pub(super) async fn record(&mut self) -> Option<End> {
        let at_once = self.outcomes.len().min(RECORDED_AT_ONCE);
        let (some, rest) = self.outcomes.split_at(at_once);
        // While some are left, only what is taken down now counts.
        let position = if rest.is_empty() {
            self.lanes.position(self.read)
        } else {
            self.recorded
        };
        let progress = Progress {
            position: position.max(self.recorded),
            failing_since: self.failing_since,
            deliveries: some,
        };
        let writing = self.limits.write().await;
        let recorded = self.parts.queue.record(&self.lease, progress).await;
        drop(writing);
        match recorded {
            Ok(true) => {
                self.recorded = progress.position;
                self.recorded_at = Instant::now();
                self.outcomes.drain(..at_once);
                if self.outcomes.is_empty() {
                    self.outcomes_since = None;
                }
                None
            }
            Ok(false) => Some(End::Lost),
            Err(error) => {
                self.store_failed("what was pushed was not taken down yet", &error);
                None
            }
        }
    }

    pub(super) async fn renew(&mut self) -> Option<End> {
        let writing = self.limits.write().await;
        let asked_at = Instant::now();
        let renewed = self
            .parts
            .queue
            .renew(&self.lease, self.settings.lease)
            .await;
        drop(writing);
        match renewed {
            Ok(renewal @ (Renewal::Renewed | Renewal::OverQuota)) => {
                self.renewed_at = asked_at;
                self.surplus = renewal == Renewal::OverQuota;
                None
            }
            Ok(Renewal::Lost) => Some(End::Lost),
            Err(error) => {
                self.store_failed("a lease was not renewed yet", &error);
                None
            }
        }
    }

    pub(super) fn store_failed(&mut self, what: &'static str, error: &StoreError) {
        tracing::warn!(subscription = %self.subscription.id, error = %error_chain(error), "{what}");
        self.store_rests_until = Some(Instant::now() + STORE_PAUSE);
    }

    pub(super) async fn pause(&mut self, reason: PauseReason, told: StopReason) -> bool {
        let since = self.parts.clock.now();
        self.finish(SubscriptionState::Paused { reason, since }, told)
            .await
    }

    /// Ends the lease with a state, and tells why. `false` if the store did not
    /// take it.
    pub(super) async fn finish(&mut self, state: SubscriptionState, reason: StopReason) -> bool {
        while !self.outcomes.is_empty() {
            if self.record().await.is_some() || self.store_rests_until.is_some() {
                return false;
            }
        }
        match self.parts.queue.finish(&self.lease, state).await {
            Ok(true) => {
                self.stopped.tell(self.subscription.id, reason);
                true
            }
            // A lease that was lost ends as well; others may have stopped it.
            Ok(false) => true,
            Err(error) => {
                self.store_failed("the end of a subscription was not taken down yet", &error);
                false
            }
        }
    }

    pub(super) async fn release(&self) {
        if let Err(error) = self.parts.queue.release(&self.lease).await {
            // It ends by itself.
            tracing::warn!(subscription = %self.subscription.id, error = %error_chain(&error), "a lease was not given back");
        }
    }

    pub(super) fn records_at(&self) -> Instant {
        let full = self.outcomes.len() >= RECORDED_AT_ONCE;
        match self.outcomes_since {
            Some(since) if full => since,
            Some(since) => since + self.settings.record_every.max(self.share.write_every()),
            None if self.lanes.position(self.read) > self.recorded => {
                self.recorded_at + POSITION_EVERY.max(self.share.write_every() * 4)
            }
            // The renewal comes before it.
            None => self.renewed_at + self.settings.lease,
        }
    }
}
