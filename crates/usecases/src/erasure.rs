//! Erases a recipient's data.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::crypto::ServerSecret;
use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, Recipient};
use ports::maintenance::ErasureOrder;
use ports::{Environment, Maintenance, StoreError};
use tokio::time::Instant;

use crate::events::tail_cache::LogTailCache;

/// Messages or reports that one step examines.
const STEP_SIZE: NonZeroU32 = NonZeroU32::new(2_000).unwrap();

/// Erases recipients, and resumes unfinished erasures.
pub struct EraseRecipient {
    erasures: Arc<dyn Maintenance>,
    secret: ServerSecret,
    environment: Arc<dyn Environment>,
    log: Option<Arc<LogTailCache>>,
}

/// A request to erase a recipient.
#[derive(Clone, Debug)]
pub struct EraseRequest {
    /// The recipient.
    pub recipient: Recipient,
    /// The reason, which is stored.
    pub reason: Option<ErasureReason>,
    /// The interface it was requested through.
    pub via: RequestedVia,
}

/// Why a recipient was not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The reason is stored, so it must not name the recipient.
    #[error("the reason is kept, so it must not contain the recipient")]
    ReasonNamesRecipient,
    /// The store failed, and the erasure has not begun.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EraseRecipient {
    /// Erases recipients in a store, whose index of recipients has hashes made with the server
    /// secret.
    #[must_use]
    pub fn new(
        erasures: Arc<dyn Maintenance>,
        secret: ServerSecret,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            erasures,
            secret,
            environment,
            log: None,
        }
    }

    /// Invalidates the cached reports of `log` too.
    #[must_use]
    pub fn invalidating(self, log: Arc<LogTailCache>) -> Self {
        Self {
            log: Some(log),
            ..self
        }
    }

    /// Begins an erasure and continues until it is finished, or for about `within`;
    /// [`EraseRecipient::resume`] does the rest, also after a step that failed.
    pub async fn run(
        &self,
        request: &EraseRequest,
        within: Duration,
    ) -> Result<Erasure, EraseError> {
        let reason = request.reason.as_ref();
        if reason.is_some_and(|reason| request.recipient.is_named_in(reason.as_str())) {
            return Err(EraseError::ReasonNamesRecipient);
        }
        let until = Instant::now() + within;
        let id = ErasureId(self.environment.uuid());
        let order = ErasureOrder {
            at: self.environment.now(),
            through: request.via,
            reason: request.reason.clone(),
            recipient_hash: self.secret.recipient_hash(&request.recipient),
        };
        self.erasures
            .begin_erasure(id, &order, &request.recipient)
            .await?;
        tracing::info!(erasure = %id, recipient = %request.recipient, "erasing a recipient");
        let mut erasure = Erasure {
            id,
            asked_at: order.at,
            asked_through: order.through,
            reason: order.reason,
            masked: request.recipient.to_string(),
            looked_at: 0,
            messages: 0,
            reports: 0,
            deliveries: 0,
            finished_at: None,
        };
        loop {
            match self.step(id).await {
                Ok(continued) => erasure = continued,
                Err(error) => {
                    tracing::warn!(erasure = %id, %error, "an erasure is interrupted");
                    return Ok(erasure);
                }
            }
            if erasure.finished_at.is_some() || Instant::now() >= until {
                return Ok(erasure);
            }
        }
    }

    /// Runs one step of an erasure that has begun.
    #[tracing::instrument(level = "debug", name = "erasure_step", skip(self), fields(erasure = %id))]
    pub async fn step(&self, id: ErasureId) -> Result<Erasure, StoreError> {
        let gone = || StoreError::Corrupt {
            table: "erasures",
            column: "id",
            source: "an erasure that had begun is missing".into(),
        };
        let before = self.erasures.erasure(id).await?.ok_or_else(gone)?;
        let step = self
            .erasures
            .continue_erasure(id, STEP_SIZE, self.environment.now())
            .await?;
        let erasure = step.ok_or_else(gone)?;
        // Most steps erase nothing, and all live readers share the cache.
        let erased = |erasure: &Erasure| (erasure.messages, erasure.reports);
        if erased(&erasure) != erased(&before)
            && let Some(log) = &self.log
        {
            log.invalidate().await;
        }
        if erasure.finished_at.is_some() && before.finished_at.is_none() {
            tracing::info!(
                erasure = %id,
                recipient = erasure.masked,
                messages = erasure.messages,
                reports = erasure.reports,
                deliveries = erasure.deliveries,
                "erased a recipient"
            );
        }
        Ok(erasure)
    }

    /// Runs one step of the oldest unfinished erasure. `None` if all are finished.
    pub async fn resume(&self) -> Result<Option<Erasure>, StoreError> {
        match self.erasures.unfinished_erasure().await? {
            Some(id) => self.step(id).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Lists erasures.
pub struct ListErasures {
    erasures: Arc<dyn Maintenance>,
}

impl ListErasures {
    /// Lists the erasures of a store.
    #[must_use]
    pub fn new(erasures: Arc<dyn Maintenance>) -> Self {
        Self { erasures }
    }

    /// Returns one page, the newest first.
    pub async fn run(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        self.erasures.erasures(after, size).await
    }

    /// Returns one erasure.
    pub async fn find(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        self.erasures.erasure(id).await
    }
}
