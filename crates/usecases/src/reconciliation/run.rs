//! One run of reconciliation of a channel.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use domain::crypto::{ServerSecret, Unsealable};
use domain::page::PageSize;
use domain::reconciliation::{
    ApiKeySecret, InvalidApiKeySecret, Reconciliation, ReconciliationAccount,
    ReconciliationProgress, ReconciliationStep,
};
use domain::{Channel, ChannelId, RetentionDays, Timestamp};
use ports::error::error_chain;
use ports::message_records::{RecordsAccess, RecordsError};
use ports::{
    ChannelStore, Environment, MessageRecords, Metrics, ReconciliationStore, ReportStore,
    StoreError,
};

use super::alerts::look_up_alerts;
use super::due::{MAX_AGE_MICROS, due_periods, micros};
use super::listing::{ListedPeriod, compare_list};
use super::requests::PacedRequests;
use super::session::Session;

/// How much of the time of first reports a step covers: little enough for one statement.
const STEP_MICROS: i64 = 3_600 * 1_000_000;

/// How much a step covers after steps without messages, at most: 30 days.
const MAX_STEP_MICROS: i64 = 30 * 24 * STEP_MICROS;

/// Limits of reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileSettings {
    /// How long after its first report a message may have no final status before it is looked up.
    /// It is looked up again at twice that age, at four times that age and so on.
    pub settle_time: Duration,
    /// The shortest time between two requests to the integrator.
    pub request_interval: Duration,
    /// How long messages of a channel without a retention of its own are kept.
    pub keep_messages: RetentionDays,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            settle_time: Duration::from_mins(15),
            request_interval: Duration::from_millis(100),
            keep_messages: RetentionDays::new(400).expect("400 is from 1 to 36500"),
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

/// Which messages are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileScope {
    /// Those of the last 72 hours that have no final status and are due: each is looked up after
    /// the settle time, and again at twice that age, at four times that age and so on.
    Due,
    /// Those without a final status that were first reported at this time or later.
    Since(Timestamp),
    /// All that the integrator lists for the last 72 hours, also those of which no report arrived.
    Listed,
    /// Those of which the integrator says that it could not deliver a report, and that were not
    /// looked up since; a bounded number of them.
    Alerts,
}

impl ReconcileScope {
    /// Returns of what the steps of its runs are part.
    const fn step(self) -> ReconciliationStep {
        match self {
            Self::Due | Self::Since(_) | Self::Listed => ReconciliationStep::Run,
            Self::Alerts => ReconciliationStep::Alerts,
        }
    }
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct ReconcileRun {
    /// The channel.
    pub channel: ChannelId,
    /// Which of its messages.
    pub scope: ReconcileScope,
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

/// Compares the messages of channels with the integrator's records, and records the reports that
/// never arrived.
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
    /// Repeating a run is harmless, also at the same time as another one or after it was dropped.
    pub async fn run(
        &self,
        run: &ReconcileRun,
        progress: impl Fn(f64, Reconciled),
    ) -> Result<Reconciled, ReconcileError> {
        let missing = || ReconcileError::NoAccount(run.channel.clone());
        let found = self.dependencies.accounts.reconciliation(&run.channel);
        let found = found.await?.ok_or_else(missing)?;
        let channel = self.dependencies.channels.find(&run.channel).await?;
        let channel = channel.ok_or_else(missing)?.channel;
        let outcome = self.run_on(run, &channel, &found, progress).await;
        if let Err(error) = &outcome
            && !run.dry_run
            && !matches!(error, ReconcileError::Store(_))
        {
            // The error of the run matters more than one of noting it.
            let _ = self.note_error(run, error).await;
        }
        outcome
    }

    /// Returns whether a channel accepts reports; `false` if there is none.
    pub(super) async fn is_enabled(&self, channel: &ChannelId) -> Result<bool, StoreError> {
        let found = self.dependencies.channels.find(channel).await?;
        Ok(found.is_some_and(|found| found.channel.enabled))
    }

    async fn run_on(
        &self,
        run: &ReconcileRun,
        channel: &Channel,
        found: &Reconciliation,
        progress: impl Fn(f64, Reconciled),
    ) -> Result<Reconciled, ReconcileError> {
        let dependencies = &self.dependencies;
        let mut session = Session {
            requests: PacedRequests::new(
                Arc::clone(&dependencies.records),
                self.access(&found.account)?,
                dependencies.settings.request_interval,
            ),
            dependencies,
            channel: &run.channel,
            integrator: channel.integrator.clone(),
            dry_run: run.dry_run,
            step: run.scope.step(),
            done: Reconciled::default(),
        };
        let settle_time = dependencies.settings.settle_time;
        let now = dependencies.environment.now();
        let until = now.plus_micros(-micros(settle_time));
        let oldest = now.plus_micros(-MAX_AGE_MICROS);
        match run.scope {
            ReconcileScope::Due => {
                let periods = due_periods(found.figures.checked_through, settle_time, now);
                compare_unfinished(&mut session, &periods, true, progress).await?;
            }
            ReconcileScope::Since(since) => {
                compare_unfinished(&mut session, &[since..until], false, progress).await?;
            }
            ReconcileScope::Listed => {
                let period = ListedPeriod {
                    since: oldest,
                    until,
                    counted_after: found.figures.listed_at,
                    expired_before: expired_before(channel, &dependencies.settings, now),
                };
                let listed = compare_list(&mut session, channel, period, progress).await?;
                session.note(session.done, None, Some(listed)).await?;
            }
            ReconcileScope::Alerts => {
                let expired_before = expired_before(channel, &dependencies.settings, now);
                look_up_alerts(&mut session, channel, expired_before).await?;
                progress(1.0, session.done);
            }
        }
        // The others were compared; these are looked up again at a later age.
        match session.requests.take_unreadable() {
            Some(error) => Err(error.into()),
            None => Ok(session.done),
        }
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

    async fn note_error(
        &self,
        run: &ReconcileRun,
        error: &ReconcileError,
    ) -> Result<(), StoreError> {
        self.dependencies.metrics.reconciliation_failed();
        let error = Some(error_chain(error));
        self.note(&run.channel, run.scope.step(), error).await
    }

    /// Notes that all runs of a channel that were due succeeded.
    pub(super) async fn note_success(&self, channel: &ChannelId) -> Result<(), StoreError> {
        self.note(channel, ReconciliationStep::Success, None).await
    }

    async fn note(
        &self,
        channel: &ChannelId,
        step: ReconciliationStep,
        error: Option<String>,
    ) -> Result<(), StoreError> {
        let progress = ReconciliationProgress {
            at: self.dependencies.environment.now(),
            step,
            checked: 0,
            recovered: 0,
            checked_through: None,
            listed: None,
            answered: false,
            error,
        };
        let accounts = &self.dependencies.accounts;
        accounts
            .add_reconciliation_progress(channel, &progress)
            .await
            .map(drop)
    }
}

/// Returns the time before which messages that changed last may have expired. Those are not
/// recorded anew. An hour is added, for clocks that differ.
fn expired_before(channel: &Channel, settings: &ReconcileSettings, now: Timestamp) -> Timestamp {
    let keep = channel.keep_messages_days;
    let cut = keep.unwrap_or(settings.keep_messages).cut(now);
    cut.plus_micros(STEP_MICROS)
}

/// Compares the messages without a final status that were first reported in some periods, the
/// earliest first. With `advance` they are not due any more.
async fn compare_unfinished(
    session: &mut Session<'_>,
    periods: &[Range<Timestamp>],
    advance: bool,
    progress: impl Fn(f64, Reconciled),
) -> Result<(), ReconcileError> {
    if periods.is_empty() {
        session.note(session.done, None, None).await?;
    }
    let total = periods.iter().map(length).sum();
    let mut before = 0;
    for (number, period) in (1..).zip(periods) {
        // Earlier periods are compared again if the last one is not completed.
        let advance = advance && number == periods.len();
        let progress = |through: Timestamp, done| {
            progress(
                share(before + length(&(period.start..through)), total),
                done,
            );
        };
        compare_period(session, period, advance, progress).await?;
        before += length(period);
    }
    Ok(())
}

async fn compare_period(
    session: &mut Session<'_>,
    period: &Range<Timestamp>,
    advance: bool,
    progress: impl Fn(Timestamp, Reconciled),
) -> Result<(), ReconcileError> {
    let (mut start, mut width) = (period.start, STEP_MICROS);
    while start < period.end {
        let end = start.plus_micros(width).min(period.end);
        let (step, mut after) = (start..end, None);
        let checked = session.done.checked;
        loop {
            let accounts = &session.dependencies.accounts;
            let page = accounts
                .unfinished_messages(session.channel, &step, after.as_ref(), PageSize::MAX)
                .await?;
            let mut messages = page.items;
            messages.retain(|message| !message.key.sid.is_test());
            let before = session.done;
            session.compare(&messages).await?;
            let through = page
                .next
                .as_ref()
                .map_or(end, |next| next.first_reported_at);
            session
                .note(before, advance.then_some(through), None)
                .await?;
            progress(through, session.done);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        start = end;
        width = if session.done.checked == checked {
            width.saturating_mul(2).min(MAX_STEP_MICROS)
        } else {
            STEP_MICROS
        };
    }
    Ok(())
}

fn length(period: &Range<Timestamp>) -> i64 {
    period.end.unix_micros() - period.start.unix_micros()
}

/// Returns which part is done.
#[expect(
    clippy::cast_precision_loss,
    reason = "a progress bar has a few hundred positions"
)]
fn share(done: i64, total: i64) -> f64 {
    done as f64 / total.max(1) as f64
}
