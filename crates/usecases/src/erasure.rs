//! Forgetting a person who asks for it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, Recipient};
use ports::erasures::ErasureOrder;
use ports::{Clock, Erasures, Ids, StoreError};
use tokio::time::Instant;

use crate::LogTailCache;

/// How many messages or reports one step looks at.
const BUDGET: NonZeroU32 = NonZeroU32::new(2_000).unwrap();

/// Erases a recipient, and finishes what others have begun.
pub struct EraseRecipient {
    erasures: Arc<dyn Erasures>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    log: Option<Arc<LogTailCache>>,
}

/// Who is to be forgotten.
#[derive(Clone, Debug)]
pub struct EraseRequest {
    /// Who.
    pub addressee: Recipient,
    /// Why, if somebody says so. It is kept.
    pub reason: Option<ErasureReason>,
    /// Where that was asked for.
    pub through: RequestedVia,
}

/// Why a recipient was not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The reason is kept, and must not tell of whom.
    #[error("the reason is kept, so it must not contain the recipient")]
    ReasonNamesRecipient,
    /// The store failed. If the erasure had begun it is gone on with.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EraseRecipient {
    /// Erases in these stores.
    #[must_use]
    pub fn new(erasures: Arc<dyn Erasures>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self {
            erasures,
            clock,
            ids,
            log: None,
        }
    }

    /// Has what this process keeps of the log forgotten too.
    #[must_use]
    pub fn telling(self, log: Arc<LogTailCache>) -> Self {
        Self {
            log: Some(log),
            ..self
        }
    }

    /// Takes an erasure down and goes on with it until it is finished, or for
    /// about as long as `within`: the rest is done by [`EraseRecipient::go_on`].
    pub async fn run(
        &self,
        request: &EraseRequest,
        within: Duration,
    ) -> Result<Erasure, EraseError> {
        let reason = request.reason.as_ref();
        if reason.is_some_and(|reason| request.addressee.is_named_in(reason.as_str())) {
            return Err(EraseError::ReasonNamesRecipient);
        }
        let until = Instant::now() + within;
        let id = ErasureId(self.ids.uuid());
        let asked = ErasureOrder {
            at: self.clock.now(),
            through: request.through,
            reason: request.reason.clone(),
        };
        self.erasures.begin(id, &asked, &request.addressee).await?;
        tracing::info!(erasure = %id, recipient = %request.addressee, "a recipient is being erased");
        loop {
            let erasure = self.step(id).await?;
            if erasure.finished_at.is_some() || Instant::now() >= until {
                return Ok(erasure);
            }
        }
    }

    /// One step of an erasure that has begun.
    pub async fn step(&self, id: ErasureId) -> Result<Erasure, StoreError> {
        let gone = || StoreError::Corrupt {
            table: "erasures",
            column: "id",
            source: "an erasure that had begun is gone".into(),
        };
        let before = self.erasures.find(id).await?.ok_or_else(gone)?;
        let step = self.erasures.step(id, BUDGET, self.clock.now()).await?;
        let erasure = step.ok_or_else(gone)?;
        // Most steps find nobody, and the log is shared by all who follow it.
        let erased = |erasure: &Erasure| (erasure.messages, erasure.reports);
        if erased(&erasure) != erased(&before)
            && let Some(log) = &self.log
        {
            log.forget().await;
        }
        if erasure.finished_at.is_some() && before.finished_at.is_none() {
            tracing::info!(
                erasure = %id,
                recipient = erasure.masked,
                messages = erasure.messages,
                reports = erasure.reports,
                deliveries = erasure.deliveries,
                "a recipient was erased"
            );
        }
        Ok(erasure)
    }

    /// One step of the oldest erasure that is not finished, whoever has begun
    /// it. `None` if all are.
    pub async fn go_on(&self) -> Result<Option<Erasure>, StoreError> {
        match self.erasures.unfinished().await? {
            Some(id) => self.step(id).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Lists erasures.
pub struct ListErasures {
    erasures: Arc<dyn Erasures>,
}

impl ListErasures {
    /// Lists what this store has kept of erasures.
    #[must_use]
    pub fn new(erasures: Arc<dyn Erasures>) -> Self {
        Self { erasures }
    }

    /// A page of them, the latest first.
    pub async fn run(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        self.erasures.list(after, size).await
    }

    /// One of them.
    pub async fn find(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        self.erasures.find(id).await
    }
}
