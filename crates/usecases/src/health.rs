//! Is everything there that a report needs?

use std::sync::Arc;
use std::time::Duration;

use domain::secret::ServerSecret;
use domain::subscription::{PauseReason, SubscriptionState};
use ports::{Journal, ReportStore, SubscriptionStore};

use crate::channels::directory::Origin;
use crate::delivery::secrets::Secrets;
use crate::{ChannelDirectory, RetentionHolds, StoreCircuitBreaker};
use ports::error::error_chain;

/// How long a part may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long the journal may take to say whether it takes entries, when the store has failed.
const JOURNAL_DEADLINE: Duration = Duration::from_millis(500);

/// As many problems of channels are named.
const PROBLEMS_SHOWN: usize = 5;

/// Checks every part the service depends on.
pub struct CheckHealth {
    store: Arc<dyn ReportStore>,
    directory: Arc<ChannelDirectory>,
    journal: Option<(Arc<dyn Journal>, Arc<StoreCircuitBreaker>)>,
    subscriptions: Option<Subscriptions>,
    retention: Option<Arc<RetentionHolds>>,
}

struct Subscriptions {
    repository: Arc<dyn SubscriptionStore>,
    secret: ServerSecret,
    open_max: usize,
}

/// How one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// As it should be.
    Ready,
    /// Not as it should be, and reports are taken all the same.
    Degraded,
    /// Reports cannot be taken.
    Down,
}

impl Condition {
    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One part and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventIndex {
    /// Its name: `store`, `channels`, `secret_key`, `rejections`, `journal`, `retention`,
    /// `subscriptions`.
    pub name: &'static str,
    /// How it is.
    pub condition: Condition,
    /// What is wrong; `None` if nothing is.
    pub detail: Option<String>,
    /// The same without ids, for callers that have not shown the admin token.
    pub summary: Option<String>,
}

impl EventIndex {
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

    /// Says something else to callers that have not shown the admin token.
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

    /// Checks a journal too. While there is room in it, a store that is away
    /// only degrades the service: taking it out of a load balancer would lose
    /// the reports that it can still keep.
    #[must_use]
    pub fn with_journal(
        mut self,
        journal: Arc<dyn Journal>,
        gate: Arc<StoreCircuitBreaker>,
    ) -> Self {
        self.journal = Some((journal, gate));
        self
    }

    /// Says as well what retention holds back.
    #[must_use]
    pub fn with_retention(mut self, holds: Arc<RetentionHolds>) -> Self {
        self.retention = Some(holds);
        self
    }

    /// Says as well which subscriptions need somebody to look at them. `secret`
    /// opens their signing secrets, or does not; with more than `open_max` open
    /// deliveries nothing more is read for one.
    #[must_use]
    pub fn with_subscriptions(
        mut self,
        repository: Arc<dyn SubscriptionStore>,
        secret: ServerSecret,
        open_max: usize,
    ) -> Self {
        self.subscriptions = Some(Subscriptions {
            repository,
            secret,
            open_max,
        });
        self
    }

    /// How every part is. Returns within about two seconds.
    pub async fn run(&self) -> Vec<EventIndex> {
        let asked = async {
            self.store.ping().await?;
            self.store.durability_warning().await
        };
        let (wrong, answers) = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(risk)) => (risk, true),
            Ok(Err(error)) => (Some(error_chain(&error)), false),
            Err(_elapsed) => {
                let wrong = format!("no answer within {} s", DEADLINE.as_secs());
                (Some(wrong), false)
            }
        };
        let journal = self.journal_part(answers).await;
        // Reports are taken all the same, by the store or by the journal.
        let is_kept = |part: &EventIndex| part.condition != Condition::Down;
        let then = if answers || journal.as_ref().is_some_and(is_kept) {
            Condition::Degraded
        } else {
            Condition::Down
        };
        let store = EventIndex::new("store", wrong, then);
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

    fn channels_part(&self) -> EventIndex {
        let (wrong, then) = match self.directory.origin() {
            Origin::Repository if self.directory.copy_is_behind() => (
                Some("their copy for a start without the store cannot be saved"),
                Condition::Degraded,
            ),
            Origin::Repository => (None, Condition::Ready),
            Origin::Copy => (
                Some("as they were when the store was last reached"),
                Condition::Degraded,
            ),
            Origin::Nowhere => (Some("not read yet"), Condition::Down),
        };
        EventIndex::new("channels", wrong.map(str::to_owned), then)
    }

    fn retention_part(&self) -> Option<EventIndex> {
        let held = self.retention.as_ref()?.all();
        let wrong = held
            .iter()
            .map(|(kind, why)| format!("{} are not removed: {why}", kind.as_str()));
        let wrong: Vec<_> = wrong.collect();
        let wrong = (!wrong.is_empty()).then(|| wrong.join("; "));
        Some(EventIndex::new("retention", wrong, Condition::Degraded))
    }

    /// `None` if no setting seems to cost reports.
    fn rejections_part(&self) -> Option<EventIndex> {
        let problems = self.directory.problems();
        let shown = problems
            .iter()
            .take(PROBLEMS_SHOWN)
            .map(|(id, problem, count)| {
                format!(
                    "channel {id}: calls refused lately: {count}; {}",
                    problem.advice()
                )
            });
        let mut shown: Vec<_> = shown.collect();
        if shown.is_empty() {
            return None;
        }
        let more = problems.len().saturating_sub(PROBLEMS_SHOWN);
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        let summary = format!(
            "settings of channels seem to cost reports, {} in all; with the admin token it says \
             which",
            problems.len()
        );
        let wrong = Some(shown.join("; "));
        Some(EventIndex::new("rejections", wrong, Condition::Degraded).summarized(summary))
    }

    fn secret_key_part(&self) -> EventIndex {
        let foreign = self.directory.foreign_credentials();
        let wrong = (foreign > 0)
            .then(|| format!("{foreign} credentials were made under another server secret"));
        // The other credentials still work.
        EventIndex::new("secret_key", wrong, Condition::Degraded)
    }

    /// Those that a worker has paused or ended, or whose targets take nothing.
    async fn subscriptions_part(&self) -> Option<EventIndex> {
        let Subscriptions {
            repository,
            secret,
            open_max,
        } = self.subscriptions.as_ref()?;
        let Ok(Ok(all)) = tokio::time::timeout(DEADLINE, repository.list()).await else {
            return Some(EventIndex::new(
                "subscriptions",
                Some("they could not be looked at in time".to_owned()),
                Condition::Degraded,
            ));
        };
        let wrong = all.iter().filter_map(|status| {
            let id = status.subscription.id;
            match status.subscription.state {
                SubscriptionState::Active
                    if Secrets::open(&status.subscription, secret).is_none() =>
                {
                    let secret = "its signing secret does not open with this server secret";
                    Some(format!("{id} is not served: {secret}"))
                }
                SubscriptionState::Active => {
                    let open = status.open;
                    let full = usize::try_from(open).is_ok_and(|open| open >= *open_max);
                    match status.failing_since {
                        Some(since) => Some(format!("{id} takes nothing since {since}")),
                        None if full => {
                            Some(format!("{id} is not read on: {open} deliveries are open"))
                        }
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
        let summary = format!(
            "{} need attention; with the admin token it says which",
            wrong.len()
        );
        let wrong = (!wrong.is_empty()).then(|| wrong.join("; "));
        Some(EventIndex::new("subscriptions", wrong, Condition::Degraded).summarized(summary))
    }

    /// Where the store does not answer, the journal is asked whether it takes entries: it may
    /// be on the same full disk, and no report may have come yet to find that out.
    async fn journal_part(&self, store_answers: bool) -> Option<EventIndex> {
        let (journal, gate) = self.journal.as_ref()?;
        if !store_answers {
            // What it says is seen in its usage.
            let _ = tokio::time::timeout(JOURNAL_DEADLINE, journal.append(&[])).await;
        }
        let usage = journal.usage();
        let wrong = if let Some(refusing) = usage.refusing {
            let seconds = refusing.since.elapsed().as_secs();
            let why = refusing.why.as_str();
            Some(format!("it has taken nothing for {seconds} s: {why}"))
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
        let then = if usage.is_closed() && (gate.is_away() || !store_answers) {
            Condition::Down
        } else {
            Condition::Degraded
        };
        Some(EventIndex::new("journal", wrong, then))
    }
}
