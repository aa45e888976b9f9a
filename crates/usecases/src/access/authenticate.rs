//! Authenticates operators by their tokens.

use std::sync::Arc;

use domain::Timestamp;
use domain::access::token::is_token;
use domain::access::{
    Operator, OperatorName, OperatorToken, OperatorTokenId, Rights, Role, TokenHash,
};
use ports::error::error_chain;
use ports::{AccessStore, Environment, StoreError};
use tokio::sync::Semaphore;

/// How often the use of a token or session is stored, in microseconds.
pub(crate) const USE_INTERVAL_MICROS: i64 = 60_000_000;

/// Look-ups of unknown tokens must not take the store's connections from reports.
const CONCURRENT_LOOKUPS: usize = 4;

/// Authenticates requests by their tokens.
///
/// Tokens are read from the store each time, so a revoked one is refused at once on every replica.
/// The bootstrap token needs no store.
pub struct AuthenticateOperator {
    store: Arc<dyn AccessStore>,
    bootstrap: TokenHash,
    environment: Arc<dyn Environment>,
    lookups: Semaphore,
}

impl AuthenticateOperator {
    /// Authenticates with the tokens of a store, and with the bootstrap token.
    #[must_use]
    pub fn new(
        store: Arc<dyn AccessStore>,
        bootstrap: TokenHash,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            bootstrap,
            environment,
            lookups: Semaphore::new(CONCURRENT_LOOKUPS),
        }
    }

    /// Returns the operator of a token. `None` if it is unknown, expired or revoked.
    pub async fn run(&self, token: &[u8]) -> Result<Option<Operator>, StoreError> {
        let hash = TokenHash::of(token);
        if hash == self.bootstrap {
            return Ok(Some(self.bootstrap_operator()));
        }
        if !is_token(token) {
            return Ok(None);
        }
        // The semaphore is never closed; if it were, look-ups would only lose their limit.
        let _permit = self.lookups.acquire().await;
        let found = self.store.token_by_hash(&hash).await?;
        self.operator_of(found).await
    }

    /// Returns whether the token of an authenticated operator is still valid. Requests that take
    /// long, such as streams, ask every few seconds.
    pub async fn is_valid(&self, operator: &Operator) -> Result<bool, StoreError> {
        let current = self.of_token(operator.token).await?;
        Ok(current.as_ref() == Some(operator))
    }

    /// Returns the operator of a valid token.
    pub(crate) async fn of_token(
        &self,
        token: OperatorTokenId,
    ) -> Result<Option<Operator>, StoreError> {
        if token == self.bootstrap.bootstrap_id() {
            return Ok(Some(self.bootstrap_operator()));
        }
        let found = self.store.token(token).await?;
        self.operator_of(found).await
    }

    /// Returns the operator of the bootstrap token: an admin with all rights.
    pub(crate) fn bootstrap_operator(&self) -> Operator {
        Operator {
            name: OperatorName::admin(),
            token: self.bootstrap.bootstrap_id(),
            role: Role::Admin,
            rights: Rights::ALL,
        }
    }

    async fn operator_of(
        &self,
        found: Option<OperatorToken>,
    ) -> Result<Option<Operator>, StoreError> {
        let now = self.environment.now();
        let Some((token, operator)) = found.and_then(|token| {
            let operator = token.operator(now)?;
            Some((token, operator))
        }) else {
            return Ok(None);
        };
        if token.last_used_at.is_none_or(|used| is_due(used, now))
            && let Err(error) = self.store.note_token_use(token.id, now).await
        {
            let error = error_chain(&error);
            tracing::warn!(error, token = %token.id, "the use of a token was not stored");
        }
        Ok(Some(operator))
    }
}

/// Returns whether a use at `now` should be stored, if the last stored one was at `used`.
pub(crate) fn is_due(used: Timestamp, now: Timestamp) -> bool {
    now.unix_micros().saturating_sub(used.unix_micros()) >= USE_INTERVAL_MICROS
}
