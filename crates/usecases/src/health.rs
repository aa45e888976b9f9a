//! Checks everything that ingest and event delivery depend on.

use std::sync::Arc;
use std::time::Duration;

use domain::crypto::ServerSecret;
use domain::subscription::{PauseReason, SubscriptionState};
use ports::error::error_chain;
use ports::maintenance::RetentionKind;
use ports::{Journal, ReportStore, SubscriptionStore};

use crate::channels::directory::{ChannelDirectory, Origin};
use crate::delivery::secrets::Secrets;
use crate::ingest::circuit_breaker::StoreCircuitBreaker;
use crate::retention::hold::RetentionHolds;

/// How long a component may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the journal may take for a test append, when the store has failed.
const JOURNAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Channel problems that are listed, at most.
const MAX_PROBLEMS_SHOWN: usize = 5;

/// Checks all components that the service depends on.
pub struct CheckHealth {
    store: Arc<dyn ReportStore>,
    directory: Arc<ChannelDirectory>,
    journal: Option<(Arc<dyn Journal>, Arc<StoreCircuitBreaker>)>,
    subscriptions: Option<Subscriptions>,
    retention: Option<Arc<RetentionHolds>>,
}

struct Subscriptions {
    store: Arc<dyn SubscriptionStore>,
    secret: ServerSecret,
    max_pending: usize,
}

/// State of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Condition {
    /// It works.
    Ready,
    /// It has a problem, and reports are still accepted.
    Degraded,
    /// Reports cannot be accepted.
    Down,
}

impl Condition {
    /// Returns the word for people and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Result of checking one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentHealth {
    /// Name: `store`, `channels`, `secret_key`, `rejections`, `journal`, `retention`,
    /// `subscriptions`.
    pub name: &'static str,
    /// State.
    pub condition: Condition,
    /// The problem; `None` if there is none.
    pub detail: Option<String>,
    /// The problem without ids, for callers without a token.
    pub summary: Option<String>,
}

impl ComponentHealth {
    fn new(name: &'static str, wrong: Option<String>, then: Condition) -> Self {
        let condition = if wrong.is_some() {
            then
        } else {
            Condition::Ready
        };
        Self {
            name,
            condition,
            summary: wrong.clone(),
            detail: wrong,
        }
    }

    /// Sets another text for callers without a token.
    fn summarized(self, summary: String) -> Self {
        Self {
            summary: self.detail.is_some().then_some(summary),
            ..self
        }
    }
}

impl CheckHealth {
    /// Checks a store and a directory.
    #[must_use]
    pub fn new(store: Arc<dyn ReportStore>, directory: Arc<ChannelDirectory>) -> Self {
        Self {
            store,
            directory,
            journal: None,
            subscriptions: None,
            retention: None,
        }
    }

    /// Checks a journal too. While it has room, an unavailable store only degrades the service: if
    /// a load balancer removed the process, the reports that it can still record would be lost.
    #[must_use]
    pub fn with_journal(
        mut self,
        journal: Arc<dyn Journal>,
        breaker: Arc<StoreCircuitBreaker>,
    ) -> Self {
        self.journal = Some((journal, breaker));
        self
    }

    /// Reports holds of retention too.
    #[must_use]
    pub fn with_retention(mut self, holds: Arc<RetentionHolds>) -> Self {
        self.retention = Some(holds);
        self
    }

    /// Reports subscriptions that need an operator too: their signing secret cannot be opened with
    /// `secret`, their endpoint fails, or they have `max_pending` pending deliveries.
    #[must_use]
    pub fn with_subscriptions(
        mut self,
        store: Arc<dyn SubscriptionStore>,
        secret: ServerSecret,
        max_pending: usize,
    ) -> Self {
        self.subscriptions = Some(Subscriptions {
            store,
            secret,
            max_pending,
        });
        self
    }

    /// Checks all components, within about two seconds.
    pub async fn run(&self) -> Vec<ComponentHealth> {
        let check = async {
            self.store.ping().await?;
            self.store.durability_warning().await
        };
        let (wrong, answers) = match tokio::time::timeout(CHECK_TIMEOUT, check).await {
            Ok(Ok(warning)) => (warning, true),
            Ok(Err(error)) => (Some(error_chain(&error)), false),
            Err(_elapsed) => {
                let wrong = format!("no answer within {} s", CHECK_TIMEOUT.as_secs());
                (Some(wrong), false)
            }
        };
        let journal = self.journal_part(answers).await;
        // Reports are still accepted, by the store or by the journal.
        let accepts = |part: &ComponentHealth| part.condition != Condition::Down;
        let then = if answers || journal.as_ref().is_some_and(accepts) {
            Condition::Degraded
        } else {
            Condition::Down
        };
        let store = ComponentHealth::new("store", wrong, then);
        let subscriptions = if answers {
            self.subscriptions_part().await
        } else {
            None
        };
        let mut parts = vec![store, self.channels_part(), self.secret_key_part()];
        parts.extend(self.rejections_part());
        parts.extend(journal);
        parts.extend(self.retention_part());
        parts.extend(subscriptions);
        parts
    }

    fn channels_part(&self) -> ComponentHealth {
        let (wrong, then) = match self.directory.origin() {
            Origin::Store if self.directory.snapshot_is_stale() => (
                Some("their snapshot for a start without the store cannot be saved"),
                Condition::Degraded,
            ),
            Origin::Store => (None, Condition::Ready),
            Origin::Snapshot => (
                Some("from the snapshot, as they were when the store was last reached"),
                Condition::Degraded,
            ),
            Origin::NotLoaded => (Some("not loaded yet"), Condition::Down),
        };
        ComponentHealth::new("channels", wrong.map(str::to_owned), then)
    }

    fn retention_part(&self) -> Option<ComponentHealth> {
        let held = self.retention.as_ref()?.all();
        let wrong = held
            .iter()
            .map(|(kind, why)| format!("{} are not removed: {why}", plural(*kind)));
        let wrong: Vec<_> = wrong.collect();
        let wrong = (!wrong.is_empty()).then(|| wrong.join("; "));
        Some(ComponentHealth::new(
            "retention",
            wrong,
            Condition::Degraded,
        ))
    }

    /// Returns `None` if no setting seems to lose reports.
    fn rejections_part(&self) -> Option<ComponentHealth> {
        let problems = self.directory.problems();
        let shown = problems
            .iter()
            .take(MAX_PROBLEMS_SHOWN)
            .map(|(id, problem, count)| {
                format!(
                    "channel {id}: requests refused recently: {count}; {}",
                    problem.advice()
                )
            });
        let mut shown: Vec<_> = shown.collect();
        if shown.is_empty() {
            return None;
        }
        let more = problems.len().saturating_sub(MAX_PROBLEMS_SHOWN);
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        let summary = format!(
            "settings of channels seem to lose reports, {} in all; send a token to see which",
            problems.len()
        );
        let wrong = Some(shown.join("; "));
        Some(ComponentHealth::new("rejections", wrong, Condition::Degraded).summarized(summary))
    }

    fn secret_key_part(&self) -> ComponentHealth {
        let foreign = self.directory.foreign_credentials();
        let wrong = (foreign > 0)
            .then(|| format!("{foreign} credentials were created under another server secret"));
        // The other credentials still work.
        ComponentHealth::new("secret_key", wrong, Condition::Degraded)
    }

    /// Reports subscriptions that a worker paused or ended, that are failing, or that are full.
    async fn subscriptions_part(&self) -> Option<ComponentHealth> {
        let Subscriptions {
            store,
            secret,
            max_pending,
        } = self.subscriptions.as_ref()?;
        let Ok(Ok(all)) = tokio::time::timeout(CHECK_TIMEOUT, store.list()).await else {
            return Some(ComponentHealth::new(
                "subscriptions",
                Some("not read in time".to_owned()),
                Condition::Degraded,
            ));
        };
        let wrong = all.iter().filter_map(|status| {
            let id = status.subscription.id;
            match status.subscription.state {
                SubscriptionState::Active
                    if Secrets::open(&status.subscription, secret).is_none() =>
                {
                    let secret = "its signing secret cannot be opened with this server secret";
                    Some(format!("{id} is not served: {secret}"))
                }
                SubscriptionState::Active => {
                    let pending = status.pending;
                    let full =
                        usize::try_from(pending).is_ok_and(|pending| pending >= *max_pending);
                    match status.failing_since {
                        Some(since) => Some(format!("{id} is failing since {since}")),
                        None if full => Some(format!(
                            "no further events are read for {id}: {pending} deliveries are pending"
                        )),
                        None => None,
                    }
                }
                SubscriptionState::Paused { reason, .. } => match reason {
                    PauseReason::Operator => None,
                    PauseReason::Failing | PauseReason::Pruned => {
                        Some(format!("{id} was paused: {reason}"))
                    }
                },
                SubscriptionState::Ended { .. } => Some(format!("{id} has ended: it is gone")),
            }
        });
        let wrong: Vec<_> = wrong.collect();
        let summary = format!("{} need attention; send a token to see which", wrong.len());
        let wrong = (!wrong.is_empty()).then(|| wrong.join("; "));
        Some(ComponentHealth::new("subscriptions", wrong, Condition::Degraded).summarized(summary))
    }

    /// If the store does not answer, tests the journal with an empty append: it may be on the same
    /// full disk, and no report may have found that out yet.
    async fn journal_part(&self, store_answers: bool) -> Option<ComponentHealth> {
        let (journal, breaker) = self.journal.as_ref()?;
        if !store_answers {
            // The result is visible in the usage.
            let _ = tokio::time::timeout(JOURNAL_TIMEOUT, journal.append(&[])).await;
        }
        let usage = journal.usage();
        let wrong = if let Some(refusing) = usage.refusing {
            let seconds = refusing.since.elapsed().as_secs();
            let why = refusing.why.as_str();
            Some(format!("not writable for {seconds} s: {why}"))
        } else if usage.is_closed() {
            Some(format!("full: {} bytes", usage.bytes))
        } else if usage.is_filling_up() {
            Some(format!(
                "filling up: {} of {} bytes",
                usage.bytes, usage.capacity
            ))
        } else if usage.damaged > 0 {
            Some(format!(
                "{} damaged places were found, and {} files are set aside",
                usage.damaged, usage.set_aside
            ))
        } else if usage.entries > 0 {
            Some(format!("{} reports wait for the store", usage.entries))
        } else {
            None
        };
        let then = if usage.is_closed() && (breaker.is_open() || !store_answers) {
            Condition::Down
        } else {
            Condition::Degraded
        };
        Some(ComponentHealth::new("journal", wrong, then))
    }
}

/// Returns what people call the data of a kind.
const fn plural(kind: RetentionKind) -> &'static str {
    match kind {
        RetentionKind::Reports => "reports",
        RetentionKind::Messages => "messages",
        RetentionKind::Deliveries => "deliveries",
        RetentionKind::Audit => "entries of the audit log",
        RetentionKind::ForwardedRequests => "requests to forward",
    }
}
