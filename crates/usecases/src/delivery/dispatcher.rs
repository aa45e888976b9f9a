//! Delivers the events of one leased subscription: runs attempts, reads the log and writes to the
//! store. What to do next is decided by [`DispatcherState`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::subscription::{PauseReason, SubscriptionState};
use domain::{Delivery, Timestamp};
use ports::StoreError;
use ports::error::error_chain;
use ports::event_log::LogRead;
use ports::metrics::StopReason;
use ports::subscriptions::LeasedSubscription;
use ports::webhook_sender::{Delivered, SendError, Target};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::attempt::{self, Completed};
use super::context::WorkerContext;
use super::leases::Written;
use super::message_queue::QueuedDelivery;
use super::secrets::Secrets;
use super::state::DispatcherState;

/// How long attempts in flight may still take when the process stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves one subscription while it holds the lease.
pub struct Dispatcher {
    context: Arc<WorkerContext>,
    state: DispatcherState,
    attempts: JoinSet<Completed>,
}

/// Why a dispatcher ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The process stops, the worker is over its quota, or a new lease is needed to see a change.
    Release,
    /// Another worker has the subscription, or it was changed.
    LeaseLost,
    /// The subscription is no longer active.
    Finished,
}

impl Dispatcher {
    pub(super) fn new(
        context: Arc<WorkerContext>,
        leased: LeasedSubscription,
        requested_at: Instant,
    ) -> Self {
        Self {
            state: DispatcherState::new(&context, leased, requested_at),
            context,
            attempts: JoinSet::new(),
        }
    }

    /// Delivers events until the lease is lost, the subscription ends, or `stop` completes.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let context = Arc::clone(&self.context);
        let (id, alerts) = (self.state.subscription.id, &context.alerts);
        let Some(secrets) = Secrets::open(&self.state.subscription, &context.dependencies.secret)
        else {
            alerts.secret_unreadable(id);
            // Another worker may have the right key; this one would claim it again at once.
            tokio::select! {
                () = tokio::time::sleep(context.settings.lease) => {}
                () = &mut stop => {}
            }
            return self.state.lease.release().await;
        };
        alerts.secret_opened(id);
        let end = self.serve(&secrets, stop).await;
        self.attempts.abort_all();
        match end {
            End::Release => self.state.lease.release().await,
            End::LeaseLost => {
                tracing::debug!(subscription = %id, "lease lost");
                // A lease that a change has ended blocks other workers until it is released.
                self.state.lease.release().await;
            }
            End::Finished => {}
        }
    }

    async fn serve(
        &mut self,
        secrets: &Secrets,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> End {
        loop {
            if !self.state.lease.term().is_over_quota() {
                while let Some(delivery) = self.state.take_next(self.attempts.len()) {
                    self.start_attempt(delivery, secrets);
                }
                if let Some(size) = self.state.read_size() {
                    self.state.log.start_read(size);
                }
            }
            let buffered = self.state.queue.unstored() + self.state.progress.len();
            self.state.share.set_buffered(buffered);
            let wake_at = self.state.wake_at(self.attempts.len());
            let end = tokio::select! {
                Some(completed) = self.attempts.join_next(), if !self.attempts.is_empty() => {
                    self.attempt_completed(completed).await
                }
                read = self.state.log.read() => self.log_read(read).await,
                () = tokio::time::sleep_until(wake_at) => None,
                () = &mut stop => {
                    self.drain().await;
                    Some(End::Release)
                }
            };
            let end = match end {
                Some(end) => Some(end),
                None => self.maintain().await,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn start_attempt(&mut self, delivery: QueuedDelivery, secrets: &Secrets) {
        let target = Target {
            url: self.state.subscription.url.clone(),
            secrets: secrets.at(self.context.dependencies.environment.now()),
        };
        let key = delivery.key();
        let delivery = match (&delivery, self.state.progress.unwritten(key)) {
            // The store has an older state of it.
            (QueuedDelivery::Stored(_), Some(newest)) => {
                QueuedDelivery::InMemory(Box::new(newest.clone()))
            }
            _ => delivery,
        };
        let span = tracing::debug_span!("delivery_attempt", delivery = %key);
        let slot = self.state.share.attempt_slot();
        let reveal = self.state.subscription.reveal;
        let sending = attempt::send(Arc::clone(&self.context), target, delivery, reveal, slot);
        self.attempts.spawn(sending.instrument(span));
    }

    async fn attempt_completed(&mut self, completed: Result<Completed, JoinError>) -> Option<End> {
        match completed {
            Ok(Completed::Sent {
                delivery,
                began,
                outcome,
            }) => self.sent(delivery, began, outcome).await,
            Ok(Completed::NotRead {
                delivery,
                error: Some(error),
            }) => {
                let lease = &mut self.state.lease;
                lease.store_failed("a pending delivery was not read", &error);
                self.state.reschedule_unread(&delivery);
                None
            }
            // The delivery was changed in the store, or the attempt panicked: start again with
            // what the store has.
            Ok(Completed::NotRead { error: None, .. }) | Err(_) => Some(End::Release),
        }
    }

    async fn sent(
        &mut self,
        mut delivery: Delivery,
        began: Timestamp,
        outcome: Result<Delivered, SendError>,
    ) -> Option<End> {
        let attempt = attempt::record(began, &outcome);
        let took = Duration::from_millis(attempt.took_ms.into());
        delivery.attempts.push(attempt);
        self.state.share.attempt_took(took);
        let was_failing = self.state.is_failing();
        let result = self.state.attempt_completed(delivery, began, &outcome);
        self.context.dependencies.metrics.pushed(result, took);
        let id = self.state.subscription.id;
        match (&outcome, was_failing, self.state.is_failing()) {
            (Err(error), false, true) => tracing::warn!(
                subscription = %id,
                error = %error_chain(error),
                "endpoint failing; probing it about once a minute"
            ),
            (Ok(_), true, false) => tracing::info!(
                subscription = %id,
                "endpoint works again; delivering the events that waited"
            ),
            _ => {}
        }
        if !matches!(outcome, Err(SendError::Gone { .. })) {
            return None;
        }
        let since = self.context.dependencies.environment.now();
        let ended = SubscriptionState::Ended { since };
        self.finish(ended, StopReason::Gone).await
    }

    async fn log_read(&mut self, read: Result<LogRead, StoreError>) -> Option<End> {
        match read {
            Ok(LogRead::Page(page)) => {
                let directory = &self.context.dependencies.directory;
                self.state.add_page(&page, directory);
                None
            }
            Ok(LogRead::Pruned { .. }) => self.pause(PauseReason::Pruned, StopReason::Pruned).await,
            Err(error) => {
                let lease = &mut self.state.lease;
                lease.store_failed("the log was not read", &error);
                None
            }
        }
    }

    /// Writes progress, renews the lease, pauses the subscription of an endpoint that failed for
    /// too long, and restores more pending deliveries.
    async fn maintain(&mut self) -> Option<End> {
        let now = Instant::now();
        self.state.lease.end_store_pause(now);
        if !self.state.lease.store_failed_lately() {
            if self.state.write_due_at().is_some_and(|at| at <= now)
                && self.write().await == Written::LeaseLost
            {
                return Some(End::LeaseLost);
            }
            if now >= self.state.lease.term().renews_at()
                && self.state.lease.renew().await == Written::LeaseLost
            {
                return Some(End::LeaseLost);
            }
        }
        if now >= self.state.lease.term().expires_at() {
            return Some(End::LeaseLost);
        }
        if self.state.has_failed_too_long()
            && let Some(end) = self.pause(PauseReason::Failing, StopReason::Failing).await
        {
            return Some(end);
        }
        if self.state.lease.term().is_over_quota() {
            let idle = self.attempts.is_empty() && self.state.progress.is_empty();
            return idle.then_some(End::Release);
        }
        if let Some(after) = self.state.restorable_after()
            && let Some(more) = self.state.lease.more_pending(after).await
        {
            self.state.restore_more(more);
        }
        self.report_full();
        None
    }

    async fn write(&mut self) -> Written {
        let position = self.state.storable_position();
        let batch = self.state.progress.next_batch(position);
        let (count, position) = (batch.deliveries.len(), batch.position);
        let written = self.state.lease.record(batch).await;
        if written == Written::Done {
            let progress = &mut self.state.progress;
            progress.batch_written(count, position, Instant::now());
        }
        written
    }

    async fn pause(&mut self, reason: PauseReason, alert: StopReason) -> Option<End> {
        let since = self.context.dependencies.environment.now();
        self.finish(SubscriptionState::Paused { reason, since }, alert)
            .await
    }

    /// Stores all progress, ends the lease with a state, and alerts operators. `None` if the store
    /// failed; the next attempt or read repeats it.
    async fn finish(&mut self, state: SubscriptionState, reason: StopReason) -> Option<End> {
        while !self.state.progress.is_empty() {
            if self.write().await != Written::Done {
                return None;
            }
        }
        match self.state.lease.finish(state).await {
            Written::Done => {
                let alerts = &self.context.alerts;
                alerts.stopped(self.state.subscription.id, reason);
            }
            // The subscription may have been stopped by another worker.
            Written::LeaseLost => {}
            Written::Failed => return None,
        }
        Some(End::Finished)
    }

    /// Waits for the attempts in flight, and writes their outcomes.
    async fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while let Ok(Some(completed @ Ok(_))) =
            tokio::time::timeout_at(deadline, self.attempts.join_next()).await
        {
            if self.attempt_completed(completed).await.is_some() {
                return;
            }
        }
        while !self.state.progress.is_empty() && Instant::now() < deadline {
            if self.write().await != Written::Done {
                return;
            }
        }
    }

    fn report_full(&mut self) {
        let id = self.state.subscription.id;
        match self.state.newly_full() {
            // Programs search for the event's name: docs/logging.md.
            Some(true) => tracing::error!(
                event = "subscription_full",
                subscription = %id,
                open = self.state.queue.stored(),
                "subscription has too many pending deliveries; no further events are read until \
                 some are delivered or given up"
            ),
            Some(false) => tracing::info!(
                subscription = %id,
                "subscription has room for pending deliveries again; events are read again"
            ),
            None => {}
        }
    }
}
