//! Signs operators in to the console and out of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::access::{AuditAction, CsrfToken, Operator, Session, SessionId, SessionKey};
use domain::page::PageSize;
use ports::error::error_chain;
use ports::{AccessStore, Environment, StoreError};

use super::audit::{Action, Actor, RecordAudit};
use super::authenticate::{AuthenticateOperator, is_due};
use super::sign_in_limit::SignInLimit;
use super::sign_in_links::{SignInLink, SignInLinks};

/// Starts, checks and ends sessions.
pub struct Sessions {
    store: Arc<dyn AccessStore>,
    authenticate: Arc<AuthenticateOperator>,
    audit: Arc<RecordAudit>,
    environment: Arc<dyn Environment>,
    limit: SignInLimit,
    links: SignInLinks,
}

/// A new session, and the key for the browser's cookie.
#[derive(Debug)]
pub struct SignedIn {
    /// The key.
    pub key: SessionKey,
    /// The session.
    pub session: Session,
    /// The operator.
    pub operator: Operator,
}

/// A live session of a valid token.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    /// The session.
    pub session: Session,
    /// The operator, whose role and rights may have changed since the session was started.
    pub operator: Operator,
    /// What every form of the session must contain.
    pub csrf_token: CsrfToken,
}

/// Why no session was started.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The token is unknown, expired or revoked.
    #[error("the token is not valid")]
    InvalidToken,
    /// The link was used, has expired, or never existed.
    #[error("the link is not valid: a sign-in link works once, within ten minutes")]
    InvalidLink,
    /// A link was opened from another machine.
    #[error("sign-in links work only in a browser on the machine of the server")]
    NotLoopback,
    /// There were too many failed attempts.
    #[error("too many failed attempts to sign in; try again in {} s", .retry_after.as_secs().saturating_add(1))]
    TooManyAttempts {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Manages the sessions of a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn AccessStore>,
        authenticate: Arc<AuthenticateOperator>,
        audit: Arc<RecordAudit>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            authenticate,
            audit,
            environment,
            limit: SignInLimit::default(),
            links: SignInLinks::default(),
        }
    }

    /// Starts a session with a token. `previous` is the browser's cookie, if it sent one; its
    /// session is ended, and the new one always has a new key.
    pub async fn sign_in(
        &self,
        token: &str,
        source: IpAddr,
        previous: Option<&str>,
    ) -> Result<SignedIn, SignInError> {
        self.begin_attempt(source)?;
        let authenticated = self.authenticate.run(token.as_bytes()).await;
        if let Ok(None) = authenticated {
            tracing::info!(%source, "refused to sign in: the token is not valid");
            return Err(SignInError::InvalidToken);
        }
        // Neither a valid token counts, nor one that could not be looked up.
        self.limit.uncount(source);
        let operator = authenticated?.ok_or(SignInError::InvalidToken)?;
        self.start(operator, source, previous, "with a token").await
    }

    /// Makes a link that signs in as the bootstrap operator: once, within ten minutes, and from
    /// this machine.
    #[must_use]
    pub fn add_link(&self) -> SignInLink {
        let now = self.environment.monotonic();
        self.links.add(self.environment.secret_bytes(), now)
    }

    /// Starts a session with the text of a link; see [`Sessions::sign_in`]. A link that another
    /// machine tries stays valid.
    pub async fn sign_in_by_link(
        &self,
        link: &str,
        source: IpAddr,
        previous: Option<&str>,
    ) -> Result<SignedIn, SignInError> {
        if !source.to_canonical().is_loopback() {
            return Err(SignInError::NotLoopback);
        }
        self.begin_attempt(source)?;
        if !self.links.take(link, self.environment.monotonic()) {
            tracing::info!(%source, "refused to sign in: the link is not valid");
            return Err(SignInError::InvalidLink);
        }
        self.limit.uncount(source);
        let operator = self.authenticate.bootstrap_operator();
        self.start(operator, source, previous, "with a sign-in link")
            .await
    }

    /// Returns the session of a cookie. `None` if it has ended, or its token has.
    pub async fn authenticate(&self, cookie: &str) -> Result<Option<ActiveSession>, StoreError> {
        let Some(key) = SessionKey::parse(cookie) else {
            return Ok(None);
        };
        let now = self.environment.now();
        let found = self.store.session(&key.hash()).await?;
        let Some(session) = found.filter(|session| session.is_live(now)) else {
            return Ok(None);
        };
        let Some(operator) = self.authenticate.of_token(session.token).await? else {
            return Ok(None);
        };
        if is_due(session.last_used_at, now)
            && let Err(error) = self.store.note_session_use(session.id, now).await
        {
            let error = error_chain(&error);
            tracing::warn!(error, session = %session.id, "the use of a session was not stored");
        }
        Ok(Some(ActiveSession {
            session,
            operator,
            csrf_token: key.csrf_token(),
        }))
    }

    /// Ends a session of the operator itself.
    pub async fn sign_out(&self, active: &ActiveSession, source: IpAddr) -> Result<(), StoreError> {
        if self.store.end_session(active.session.id).await? {
            let ended = Action::new(AuditAction::SessionEnd).on(&active.session.id.to_string());
            self.audit
                .after(&actor(&active.operator, source), ended)
                .await;
        }
        Ok(())
    }

    /// Ends all sessions of the operator's token and returns how many there were.
    pub async fn sign_out_everywhere(
        &self,
        active: &ActiveSession,
        source: IpAddr,
    ) -> Result<u64, StoreError> {
        let ended = self.store.end_sessions(active.session.token).await?;
        let details = format!("all {ended} sessions of the token");
        let action = Action::new(AuditAction::SessionEnd).saying(&details);
        self.audit
            .after(&actor(&active.operator, source), action)
            .await;
        Ok(ended)
    }

    /// Returns the newest live sessions of all operators.
    pub async fn list(&self, limit: PageSize) -> Result<Vec<Session>, StoreError> {
        self.store.sessions(self.environment.now(), limit).await
    }

    /// Ends any session. Returns whether there was such a session.
    pub async fn end(&self, id: SessionId, by: &Actor) -> Result<bool, StoreError> {
        let ended = self.store.end_session(id).await?;
        if ended {
            let action = Action::new(AuditAction::SessionEnd).on(&id.to_string());
            self.audit.after(by, action).await;
        }
        Ok(ended)
    }

    fn begin_attempt(&self, source: IpAddr) -> Result<(), SignInError> {
        let begun = self.limit.begin(source, self.environment.monotonic());
        begun.map_err(|retry_after| SignInError::TooManyAttempts { retry_after })
    }

    async fn start(
        &self,
        operator: Operator,
        source: IpAddr,
        previous: Option<&str>,
        how: &str,
    ) -> Result<SignedIn, SignInError> {
        let now = self.environment.now();
        let key = SessionKey::from_random(self.environment.secret_bytes());
        let id = SessionId(self.environment.uuid());
        let session = Session::start(id, operator.token, source.to_canonical(), now);
        if let Some(previous) = previous.and_then(SessionKey::parse)
            && let Some(ended) = self.store.session(&previous.hash()).await?
        {
            self.store.end_session(ended.id).await?;
        }
        self.store.add_session(&session, &key.hash()).await?;
        let action = Action::new(AuditAction::SessionStart).on(&id.to_string());
        let action = action.saying(how);
        self.audit.after(&actor(&operator, source), action).await;
        Ok(SignedIn {
            key,
            session,
            operator,
        })
    }
}

fn actor(operator: &Operator, source: IpAddr) -> Actor {
    Actor {
        name: operator.name.clone(),
        source: Some(source.to_canonical()),
    }
}
