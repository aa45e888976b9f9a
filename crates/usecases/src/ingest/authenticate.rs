//! Authenticates callers from the head of a request alone, so that a request without valid
//! credentials costs next to nothing.

use std::sync::Arc;
use std::time::Instant;

use domain::crypto::ServerSecret;
use domain::{ChannelId, CredentialId};
use ports::integrator::{AuthContext, AuthResult, UserAndPassword};
use ports::{Environment, Headers, Integrator};

use crate::channels::calls::ChannelProblem;
use crate::channels::directory::ChannelDirectory;
use crate::channels::directory::KnownChannel;

/// Authenticates the callers of report requests.
pub struct AuthenticateCaller {
    directory: Arc<ChannelDirectory>,
    secret: ServerSecret,
    clock: Arc<dyn Environment>,
    /// Replaces an invalid id, which is then treated like an unknown one.
    unknown: ChannelId,
}

/// The result of authenticating a caller.
pub enum Authentication {
    /// The caller may hand over its report.
    AuthenticatedCaller(AuthenticatedCaller),
    /// The request has no credentials; challenge the caller.
    Challenge,
    /// The credentials are wrong, or there is no such channel. The answer does not say which.
    Denied,
}

/// A caller that authenticated as the integrator of a channel.
pub struct AuthenticatedCaller {
    /// The channel.
    pub channel: Arc<KnownChannel>,
    /// The credential that it used.
    pub credential: CredentialId,
    /// Whether the credential was made for a test of the channel.
    pub is_test: bool,
    /// What it presented, if the integrator's signatures need it.
    pub presented: Option<UserAndPassword>,
}

impl AuthenticateCaller {
    /// Authenticates callers against a directory.
    ///
    /// # Panics
    /// Never: the id it parses is a constant.
    #[must_use]
    pub fn new(
        directory: Arc<ChannelDirectory>,
        secret: ServerSecret,
        clock: Arc<dyn Environment>,
    ) -> Self {
        #[expect(clippy::expect_used, reason = "a constant that the tests pass through")]
        let unknown = ChannelId::parse("-").expect("a hyphen is a channel id");
        Self {
            directory,
            secret,
            clock,
            unknown,
        }
    }

    /// Authenticates a request to the channel that its path names.
    #[must_use]
    pub fn run(
        &self,
        integrator: &dyn Integrator,
        channel: &str,
        headers: &dyn Headers,
    ) -> Authentication {
        let id = ChannelId::parse(channel);
        let id = id.as_ref().unwrap_or(&self.unknown);
        let now = self.clock.now();
        let known = self
            .directory
            .find(id)
            .filter(|known| known.channel.integrator == *integrator.name());
        let credentials = known.as_ref().map(|known| known.live_credentials(now));
        let credentials = credentials.unwrap_or_default();
        let context = AuthContext {
            channel: id,
            credentials: &credentials,
            secret: &self.secret,
        };
        match (integrator.authenticate(headers, context), known) {
            (
                AuthResult::Authenticated {
                    credential,
                    presented,
                },
                Some(channel),
            ) => {
                let is_test = channel.is_for_test(credential);
                if !is_test {
                    channel.calls.authenticated();
                }
                self.directory.record_use(&channel, credential, now);
                Authentication::AuthenticatedCaller(AuthenticatedCaller {
                    channel,
                    credential,
                    is_test,
                    presented,
                })
            }
            (AuthResult::Challenge, known) => {
                // A test of the channel begins without credentials; this is not the integrator's call.
                if let Some(known) = known.filter(|known| !known.is_tested(now)) {
                    known.calls.challenged();
                }
                Authentication::Challenge
            }
            (AuthResult::Missing, known) => {
                if let Some(known) = known.filter(|known| !known.is_tested(now)) {
                    known.calls.refused(now);
                    let problem = ChannelProblem::MissingCredentials;
                    known.calls.add_problem(problem, Instant::now());
                }
                Authentication::Denied
            }
            (AuthResult::Denied, known) => {
                if let Some(known) = known {
                    known.calls.refused(now);
                    if credentials.is_empty() {
                        let problem = ChannelProblem::NoLiveCredential;
                        known.calls.add_problem(problem, Instant::now());
                    }
                }
                Authentication::Denied
            }
            (AuthResult::Authenticated { .. }, None) => Authentication::Denied,
        }
    }
}
