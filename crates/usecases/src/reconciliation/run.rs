//! One run of reconciliation of a channel.

use std::sync::Arc;
use std::time::Duration;

use domain::crypto::{ServerSecret, Unsealable};
use domain::page::PageSize;
use domain::reconciliation::{
    ApiKeySecret, InvalidApiKeySecret, Reconciliation, ReconciliationAccount,
    ReconciliationProgress,
};
use domain::{ChannelId, Effect, IntegratorName, Message, Timestamp};
use ports::error::error_chain;
use ports::message_records::{RecordsAccess, RecordsError};
use ports::{
    ChannelStore, Environment, MessageRecords, Metrics, ReconciliationStore, ReportStore,
    StoreError,
};

use super::compare::{missing_report, records_of};
use super::requests::PacedRequests;
use crate::ingest::bisect::{Recorded, record_bisecting};

/// How much of the time of first reports a step covers: little enough for one statement.
const STEP_MICROS: i64 = 3_600 * 1_000_000;

/// How much a step covers after steps without messages, at most: 30 days.
const MAX_STEP_MICROS: i64 = 30 * 24 * STEP_MICROS;

/// Messages that were first reported earlier are not checked by default: some never reach a final
/// status, such as those to a recipient who has blocked the sender.
const MAX_AGE_MICROS: i64 = 72 * 3_600 * 1_000_000;

/// Limits of reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileSettings {
    /// How long after its first report a message may have no final status before it is checked.
    pub settle_time: Duration,
    /// The shortest time between two requests to the integrator.
    pub request_interval: Duration,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            settle_time: Duration::from_mins(15),
            request_interval: Duration::from_millis(100),
        }
    }
}

/// What [`Reconcile`] needs.
pub struct ReconcileDependencies {
    /// Accounts, figures and unfinished messages.
    pub accounts: Arc<dyn ReconciliationStore>,
    /// The channels.
    pub channels: Arc<dyn ChannelStore>,
    /// Records the reports.
    pub reports: Arc<dyn ReportStore>,
    /// The integrator's records.
    pub records: Arc<dyn MessageRecords>,
    /// Counts the reports.
    pub metrics: Arc<dyn Metrics>,
    /// Opens the secrets of API keys.
    pub secret: ServerSecret,
    /// The clock.
    pub environment: Arc<dyn Environment>,
    /// Limits.
    pub settings: ReconcileSettings,
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct ReconcileRun {
    /// The channel.
    pub channel: ChannelId,
    /// Messages that were first reported at this time or later; `None`: those that no earlier run
    /// has checked, of the last 72 hours.
    pub since: Option<Timestamp>,
    /// Whether nothing is recorded.
    pub dry_run: bool,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Messages compared.
    pub checked: u64,
    /// Reports that had not arrived. A dry run has recorded none of them.
    pub recovered: u64,
    /// Messages that the integrator does not know, or has deleted.
    pub unknown: u64,
    /// Reports that were not recorded because another session holds their messages. A later run
    /// checks them again.
    pub left: u64,
}

/// Why a run stopped. What it recorded before stays.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The channel has no account.
    #[error(
        "channel {0} has no account for reconciliation; `receiptd channel update {0} --account-sid \
         … --api-key-sid … --api-key-secret-file …` stores one"
    )]
    NoAccount(ChannelId),
    /// The secret of the API key was sealed with another server secret.
    #[error("the secret of the API key does not open; store it again")]
    Sealed(#[source] Unsealable),
    /// The stored secret is invalid.
    #[error("the secret of the API key is invalid; store it again")]
    InvalidSecret(#[source] InvalidApiKeySecret),
    /// The integrator returned no records.
    #[error("Twilio's records cannot be read")]
    Records(#[from] RecordsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares the unfinished messages of a channel with the integrator's records, and records the
/// reports that never arrived.
pub struct Reconcile {
    dependencies: ReconcileDependencies,
}

impl Reconcile {
    /// Reconciles with these stores and records.
    #[must_use]
    pub const fn new(dependencies: ReconcileDependencies) -> Self {
        Self { dependencies }
    }

    /// Runs once. Calls `progress` after each step with the share that is done, from 0 to 1, and
    /// the counts so far.
    ///
    /// Repeating a run is harmless, also at the same time as another one.
    pub async fn run(
        &self,
        run: &ReconcileRun,
        progress: impl Fn(f64, Reconciled),
    ) -> Result<Reconciled, ReconcileError> {
        let accounts = &self.dependencies.accounts;
        let found = accounts.reconciliation(&run.channel).await?;
        let found = found.ok_or_else(|| ReconcileError::NoAccount(run.channel.clone()))?;
        let mut done = Reconciled::default();
        let outcome = self.steps(run, &found, &mut done, progress).await;
        if let Err(error) = &outcome
            && !run.dry_run
        {
            // The error of the run matters more than one of noting it.
            let _ = self
                .note(run, &Reconciled::default(), None, Some(error))
                .await;
        }
        outcome.map(|()| done)
    }

    async fn steps(
        &self,
        run: &ReconcileRun,
        found: &Reconciliation,
        done: &mut Reconciled,
        progress: impl Fn(f64, Reconciled),
    ) -> Result<(), ReconcileError> {
        let access = self.access(&found.account)?;
        let integrator = self.integrator(&run.channel).await?;
        let mut requests = PacedRequests::new(
            Arc::clone(&self.dependencies.records),
            access,
            self.dependencies.settings.request_interval,
        );
        let (since, until) = self.period(run, found);
        let (mut start, mut length) = (since, STEP_MICROS);
        while start < until {
            let end = start.plus_micros(length).min(until);
            let mut step = Reconciled::default();
            let stepped = self
                .step(run, &integrator, start, end, &mut requests, &mut step)
                .await;
            done.add(step);
            let complete = stepped.is_ok() && done.left == 0;
            if !run.dry_run {
                // A later run checks what was left, if the period was not chosen by an operator.
                let through = (complete && run.since.is_none()).then_some(end);
                self.note(run, &step, through, None).await?;
            }
            stepped?;
            progress(share(since, end, until), *done);
            start = end;
            length = if step.checked == 0 {
                length.saturating_mul(2).min(MAX_STEP_MICROS)
            } else {
                STEP_MICROS
            };
        }
        if since >= until && !run.dry_run {
            self.note(run, &Reconciled::default(), None, None).await?;
        }
        Ok(())
    }

    /// Compares the messages that were first reported in a period.
    async fn step(
        &self,
        run: &ReconcileRun,
        integrator: &IntegratorName,
        start: Timestamp,
        end: Timestamp,
        requests: &mut PacedRequests,
        done: &mut Reconciled,
    ) -> Result<(), ReconcileError> {
        let accounts = &self.dependencies.accounts;
        let mut after = None;
        loop {
            let page = accounts
                .unfinished_messages(&run.channel, &(start..end), after.as_ref(), PageSize::MAX)
                .await?;
            let mut messages = page.items;
            messages.retain(|message| !message.key.sid.is_test());
            self.compare(run, integrator, &messages, requests, done)
                .await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn compare(
        &self,
        run: &ReconcileRun,
        integrator: &IntegratorName,
        messages: &[Message],
        requests: &mut PacedRequests,
        done: &mut Reconciled,
    ) -> Result<(), ReconcileError> {
        let records = records_of(messages, requests).await?;
        let now = self.dependencies.environment.now();
        let mut missing = Vec::new();
        for message in messages {
            done.checked += 1;
            match records.get(&message.key.sid) {
                Some(record) => missing.extend(missing_report(message, record, now)),
                None => done.unknown += 1,
            }
        }
        if run.dry_run {
            done.recovered += number(missing.len());
            return Ok(());
        }
        let outcomes = record_bisecting(self.dependencies.reports.as_ref(), &missing).await?;
        for (report, outcome) in missing.iter().zip(outcomes) {
            match outcome {
                // It arrived meanwhile.
                Recorded::Durable(Effect::Duplicate) => {}
                Recorded::Durable(effect) => {
                    done.recovered += 1;
                    let metrics = &self.dependencies.metrics;
                    metrics.recorded(integrator, &report.status, effect);
                }
                Recorded::Locked => done.left += 1,
                Recorded::Refused(error) => {
                    tracing::error!(
                        channel = %report.key.channel,
                        sid = %report.key.sid,
                        error = error_chain(&error),
                        "the store refuses a report found by reconciliation; it is not recorded"
                    );
                }
            }
        }
        Ok(())
    }

    /// Returns which messages are checked, by the time of their first report.
    fn period(&self, run: &ReconcileRun, found: &Reconciliation) -> (Timestamp, Timestamp) {
        let now = self.dependencies.environment.now();
        let settle = micros(self.dependencies.settings.settle_time);
        let until = now.plus_micros(-settle);
        let oldest = now.plus_micros(-MAX_AGE_MICROS);
        let through = found.figures.checked_through;
        let unchecked = through.map_or(oldest, |through| through.max(oldest));
        (run.since.unwrap_or(unchecked), until)
    }

    fn access(&self, account: &ReconciliationAccount) -> Result<RecordsAccess, ReconcileError> {
        let context = ReconciliationAccount::secret_context(&account.channel);
        let secret = self.dependencies.secret.open(&account.secret, &context);
        let secret = secret.map_err(ReconcileError::Sealed)?;
        Ok(RecordsAccess {
            account: account.account.clone(),
            api_key: account.api_key.clone(),
            secret: ApiKeySecret::parse(&secret).map_err(ReconcileError::InvalidSecret)?,
        })
    }

    async fn integrator(&self, channel: &ChannelId) -> Result<IntegratorName, ReconcileError> {
        let found = self.dependencies.channels.find(channel).await?;
        let found = found.ok_or_else(|| ReconcileError::NoAccount(channel.clone()))?;
        Ok(found.channel.integrator)
    }

    async fn note(
        &self,
        run: &ReconcileRun,
        step: &Reconciled,
        checked_through: Option<Timestamp>,
        error: Option<&ReconcileError>,
    ) -> Result<(), StoreError> {
        let progress = ReconciliationProgress {
            at: self.dependencies.environment.now(),
            checked: step.checked,
            recovered: step.recovered,
            checked_through,
            error: error.map(|error| error_chain(error)),
        };
        let accounts = &self.dependencies.accounts;
        // Without its account a channel has no figures.
        accounts
            .add_reconciliation_progress(&run.channel, &progress)
            .await
            .map(drop)
    }
}

impl Reconciled {
    const fn add(&mut self, step: Self) {
        self.checked += step.checked;
        self.recovered += step.recovered;
        self.unknown += step.unknown;
        self.left += step.left;
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Returns which part of a period is done.
#[expect(
    clippy::cast_precision_loss,
    reason = "a progress bar has a few hundred positions"
)]
fn share(since: Timestamp, end: Timestamp, until: Timestamp) -> f64 {
    let from = since.unix_micros();
    let (done, all) = (end.unix_micros() - from, until.unix_micros() - from);
    done as f64 / all as f64
}
