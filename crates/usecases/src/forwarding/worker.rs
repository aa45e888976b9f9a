//! Forwards the requests that are due, until it is stopped.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::crypto::ServerSecret;
use domain::forwarding::ForwardingFailure;
use domain::{ChannelId, ForwardedRequestKey};
use ports::error::error_chain;
use ports::forwarding::{ClaimableChannel, ClaimedRequest, PostponedRequest, RequestClaim};
use ports::maintenance::RetentionKind;
use ports::metrics::ForwardOutcome;
use ports::{
    Environment, ForwardedRequestStore, Maintenance, Metrics, RequestForwarder, StoreError,
};
use tokio::task::{Id, JoinError, JoinSet};

use super::attempt::{self, Attempt, Failure, Fault};
use super::channel_pauses::{CLAIMED_PER_CHANNEL, ChannelPauses};
use super::outbox::ForwardingArrivals;
use crate::channels::directory::ChannelDirectory;
use crate::delivery::retry_policy::{MAX_COOLDOWN, MAX_RETRY_AFTER, RetryPolicy};

/// The maximum number of requests in flight of a process.
const MAX_IN_FLIGHT: u16 = 32;

/// How long a claim lasts: longer than any attempt.
const LEASE: Duration = Duration::from_mins(1);

/// A request that the target refuses is given up when it was tried this often: one to three hours
/// after the first attempt.
const MAX_REFUSED_ATTEMPTS: u32 = 12;

/// How often due times that a wrong clock set are restored.
const RESTORE_INTERVAL: Duration = Duration::from_mins(1);

/// How long a stop waits for the attempts in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Times of forwarding.
#[derive(Clone, Copy, Debug)]
pub struct ForwardingSettings {
    /// How often the store is asked for requests that other processes have stored.
    pub poll_interval: Duration,
}

impl Default for ForwardingSettings {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Ports and shared parts that forwarding uses.
pub struct ForwardingDependencies {
    /// Stores the requests.
    pub store: Arc<dyn ForwardedRequestStore>,
    /// Knows the time of the store.
    pub maintenance: Arc<dyn Maintenance>,
    /// Sends them.
    pub forwarder: Arc<dyn RequestForwarder>,
    /// Knows the forward URLs.
    pub directory: Arc<ChannelDirectory>,
    /// Opens the requests.
    pub secret: ServerSecret,
    /// The clock, and random numbers.
    pub environment: Arc<dyn Environment>,
    /// Counts attempts.
    pub metrics: Arc<dyn Metrics>,
    /// Tells that this process has stored a request.
    pub arrivals: ForwardingArrivals,
}

/// Forwards requests. Any number of workers may run on one store.
pub struct ForwardingWorker {
    needs: Arc<ForwardingDependencies>,
    settings: ForwardingSettings,
}

impl ForwardingWorker {
    /// Creates a worker.
    #[must_use]
    pub fn new(needs: ForwardingDependencies, settings: ForwardingSettings) -> Self {
        Self {
            needs: Arc::new(needs),
            settings,
        }
    }

    /// Forwards requests until `stop` completes, and then waits a few seconds for the attempts in
    /// flight. Requests whose attempts are cut off are sent again by the next worker.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut run = Run::new(&self.needs);
        loop {
            run.step().await;
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = run.attempts.join_next_with_id() => run.ended(ended),
                () = self.needs.arrivals.notified(), if run.room() > 0 => {}
                () = tokio::time::sleep(self.settings.poll_interval) => {}
            }
            while let Some(ended) = run.attempts.try_join_next_with_id() {
                run.ended(ended);
            }
        }
        // What is not recorded in time is sent again.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, run.drain()).await;
    }
}

/// The state of a running worker.
struct Run<'a> {
    needs: &'a Arc<ForwardingDependencies>,
    attempts: JoinSet<Attempt>,
    /// The channels of the attempts, for those that panic.
    channels: HashMap<Id, ChannelId>,
    pauses: ChannelPauses,
    retry: RetryPolicy,
    /// What is not recorded yet: requests to remove, since they were forwarded or given up.
    finished: Vec<ForwardedRequestKey>,
    postponed: Vec<PostponedRequest>,
    /// When due times are restored next.
    restore_at: Duration,
    store_failing: bool,
}

type Ended = Result<(Id, Attempt), JoinError>;

impl<'a> Run<'a> {
    fn new(needs: &'a Arc<ForwardingDependencies>) -> Self {
        let (seed, _) = needs.environment.uuid().as_u64_pair();
        Self {
            retry: RetryPolicy::new(seed, needs.environment.now()),
            restore_at: needs.environment.monotonic(),
            needs,
            attempts: JoinSet::new(),
            channels: HashMap::new(),
            pauses: ChannelPauses::default(),
            finished: Vec::new(),
            postponed: Vec::new(),
            store_failing: false,
        }
    }

    /// Returns how many further attempts may be in flight.
    fn room(&self) -> u16 {
        let in_flight = u16::try_from(self.attempts.len()).unwrap_or(u16::MAX);
        MAX_IN_FLIGHT.saturating_sub(in_flight)
    }

    /// Records outcomes, restores due times, and sends what is due.
    async fn step(&mut self) {
        let done = self.try_step().await;
        match (done, self.store_failing) {
            (Ok(()), true) => tracing::info!("forwarding of requests recovered"),
            (Err(error), false) => {
                let error = error_chain(&error);
                tracing::warn!(error, "the store of requests to forward failed; retrying");
                self.store_failing = true;
                return;
            }
            (Err(_), true) => return,
            (Ok(()), false) => {}
        }
        self.store_failing = false;
    }

    async fn try_step(&mut self) -> Result<(), StoreError> {
        self.record().await?;
        self.restore().await?;
        let now = self.needs.environment.monotonic();
        let channels = self.needs.directory.forwarding_channels();
        let claimable = self.pauses.claimable(&channels, now);
        self.start(&claimable.probed, 1).await?;
        self.start(&claimable.working, CLAIMED_PER_CHANNEL).await
    }

    /// Claims requests of these channels and sends them.
    async fn start(
        &mut self,
        channels: &[ClaimableChannel],
        per_channel: u16,
    ) -> Result<(), StoreError> {
        if channels.is_empty() || self.room() == 0 {
            return Ok(());
        }
        let claim = RequestClaim {
            channels,
            per_channel,
            total: self.room(),
            now: self.needs.environment.now(),
            lease: LEASE,
        };
        for claimed in self.needs.store.claim_requests(&claim).await? {
            self.send(claimed);
        }
        Ok(())
    }

    fn send(&mut self, claimed: ClaimedRequest) {
        let channel = claimed.key.channel.clone();
        self.pauses.begun(&channel);
        let needs = Arc::clone(self.needs);
        let sending = async move { attempt::send(&needs, claimed).await };
        let id = self.attempts.spawn(sending).id();
        self.channels.insert(id, channel);
    }

    /// Notes the end of an attempt.
    fn ended(&mut self, ended: Ended) {
        match ended {
            Ok((id, attempt)) => {
                self.channels.remove(&id);
                let key = &attempt.claimed.key;
                match attempt.outcome {
                    Ok(()) => {
                        self.count(ForwardOutcome::Forwarded);
                        self.answered(&key.channel);
                        self.finished.push(attempt.claimed.key);
                    }
                    Err(failure) => self.failed(attempt.claimed, &failure),
                }
            }
            Err(error) => {
                // Its lease ends.
                tracing::error!(%error, "an attempt to forward a request died; it is sent again");
                if let Some(channel) = self.channels.remove(&error.id()) {
                    self.pauses.ended(&channel);
                }
            }
        }
    }

    /// Notes that the target of a channel answered as one does that works.
    fn answered(&mut self, channel: &ChannelId) {
        if self.pauses.answered(channel) {
            tracing::info!(
                %channel,
                "the forward URL works again; forwarding the requests that waited"
            );
        }
    }

    fn failed(&mut self, claimed: ClaimedRequest, failure: &Failure) {
        self.count(ForwardOutcome::Failed);
        let now = self.needs.environment.monotonic();
        let channel = &claimed.key.channel;
        match failure.fault {
            Fault::Url => {
                let cooldown = failure.retry_after.min(MAX_COOLDOWN);
                let retry = &mut self.retry;
                let delay = |failures| retry.probe_delay(failures);
                self.pauses.failed(&claimed.key, now, cooldown, delay);
            }
            Fault::Request => {
                self.answered(channel);
                if claimed.attempts >= MAX_REFUSED_ATTEMPTS {
                    self.give_up(claimed, failure);
                    return;
                }
            }
            Fault::Process => self.pauses.ended(channel),
        }
        self.postpone(claimed, failure);
    }

    /// Removes a request that the target refuses.
    fn give_up(&mut self, claimed: ClaimedRequest, failure: &Failure) {
        self.count(ForwardOutcome::GivenUp);
        let channel = &claimed.key.channel;
        if self
            .pauses
            .may_log(channel, self.needs.environment.monotonic())
        {
            tracing::error!(
                %channel,
                error = %failure.error,
                attempts = claimed.attempts,
                "the forward URL refuses a request again and again; it is removed. Let the target \
                 accept with 2xx what it does not need"
            );
        }
        self.finished.push(claimed.key);
    }

    fn postpone(&mut self, claimed: ClaimedRequest, failure: &Failure) {
        let environment = &self.needs.environment;
        let (now, at) = (environment.monotonic(), environment.now());
        let channel = &claimed.key.channel;
        let retry_after = failure.retry_after.min(MAX_RETRY_AFTER);
        let delay = self.retry.retry_delay(claimed.attempts, retry_after);
        if self.pauses.may_log(channel, now) {
            tracing::warn!(
                %channel,
                error = %failure.error,
                attempts = claimed.attempts,
                "a request was not forwarded; it is sent again in {delay:.0?} or later"
            );
        }
        let delay = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        self.postponed.push(PostponedRequest {
            key: claimed.key,
            attempts: claimed.attempts,
            next_attempt_at: at.plus_micros(delay),
            failure: ForwardingFailure {
                at,
                error: failure.error.as_str().to_owned(),
            },
        });
    }

    async fn record(&mut self) -> Result<(), StoreError> {
        if self.finished.is_empty() && self.postponed.is_empty() {
            return Ok(());
        }
        let store = &self.needs.store;
        store
            .record_forwarding(&self.finished, &self.postponed)
            .await?;
        self.finished.clear();
        self.postponed.clear();
        Ok(())
    }

    /// Makes requests due that a wrong clock postponed, once a minute.
    async fn restore(&mut self) -> Result<(), StoreError> {
        let environment = &self.needs.environment;
        if environment.monotonic() < self.restore_at {
            return Ok(());
        }
        // On PostgreSQL the time of the server: this process may be the one with the wrong clock.
        let kind = RetentionKind::ForwardedRequests;
        let clock = self
            .needs
            .maintenance
            .retention_clock(kind, environment.now());
        let now = clock.await?.now;
        let restored = self.needs.store.restore_due_times(now).await?;
        if restored > 0 {
            tracing::warn!(
                requests = restored,
                "requests to forward were postponed by a wrong clock; sending them now"
            );
        }
        self.restore_at = environment.monotonic() + RESTORE_INTERVAL;
        Ok(())
    }

    fn count(&self, outcome: ForwardOutcome) {
        self.needs.metrics.forwarding(outcome, 1);
    }

    /// Waits for the attempts in flight and records their outcomes.
    async fn drain(&mut self) {
        while let Some(ended) = self.attempts.join_next_with_id().await {
            self.ended(ended);
        }
        if let Err(error) = self.record().await {
            let error = error_chain(&error);
            tracing::warn!(
                error,
                "forwarded requests were not recorded; they are sent again"
            );
        }
    }
}
