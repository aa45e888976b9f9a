//! Manages the tokens of operators.

use std::sync::Arc;

use domain::Timestamp;
use domain::access::{
    OperatorName, OperatorToken, OperatorTokenId, Rights, Role, TokenState, TokenText,
};
use ports::{AccessStore, Environment, StoreError};

/// Adds, lists and revokes tokens.
pub struct ManageTokens {
    store: Arc<dyn AccessStore>,
    environment: Arc<dyn Environment>,
}

/// A token to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its name.
    pub name: OperatorName,
    /// Its role.
    pub role: Role,
    /// Its rights besides the role.
    pub rights: Rights,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A new token. Its text is shown once and cannot be read again.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: OperatorToken,
    /// Its text.
    pub text: TokenText,
}

/// Why a token was not added or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A token that is not revoked has the name.
    #[error("there is a token {0}; revoke it first, or choose another name")]
    NameTaken(OperatorName),
    /// There is no such token.
    #[error("there is no token {0}")]
    NoSuchToken(OperatorTokenId),
    /// It would have expired already.
    #[error("a new token expires in the future")]
    ExpiryInThePast,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ManageTokens {
    /// Manages the tokens of a store.
    #[must_use]
    pub fn new(store: Arc<dyn AccessStore>, environment: Arc<dyn Environment>) -> Self {
        Self { store, environment }
    }

    /// Adds a token with a random text.
    pub async fn add(&self, new: NewToken) -> Result<IssuedToken, TokenError> {
        let now = self.environment.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(TokenError::ExpiryInThePast);
        }
        let text = TokenText::from_random(&self.environment.secret_bytes());
        let token = OperatorToken {
            id: OperatorTokenId(self.environment.uuid()),
            name: new.name,
            role: new.role,
            rights: new.rights,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        if !self.store.add_token(&token, &text.hash()).await? {
            return Err(TokenError::NameTaken(token.name));
        }
        Ok(IssuedToken { token, text })
    }

    /// Returns all tokens, the oldest first, and whether each is valid. The bootstrap token is not
    /// among them.
    pub async fn list(&self) -> Result<Vec<(OperatorToken, TokenState)>, StoreError> {
        let now = self.environment.now();
        let tokens = self.store.tokens().await?.into_iter();
        Ok(tokens
            .map(|token| {
                let state = token.state(now);
                (token, state)
            })
            .collect())
    }

    /// Revokes a token and ends its sessions. Revoking it again changes nothing.
    pub async fn revoke(&self, id: OperatorTokenId) -> Result<OperatorToken, TokenError> {
        let revoked = self.store.revoke_token(id, self.environment.now()).await?;
        revoked.ok_or(TokenError::NoSuchToken(id))
    }
}
