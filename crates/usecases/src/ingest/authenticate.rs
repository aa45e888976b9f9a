//! Authenticates callers from the head of a request alone, so that a request without valid
//! credentials costs next to nothing. A caller that signs the body instead is authenticated once
//! the body is read.

use std::sync::Arc;
use std::time::Instant;

use domain::crypto::{ServerSecret, SigningTokens};
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
    /// The caller may send its report.
    AuthenticatedCaller(AuthenticatedCaller),
    /// The body authenticates the caller, see [`AuthenticateCaller::verify_body`].
    SignedBody(SigningCaller),
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
    /// Whether the signature of the body authenticated it.
    pub signature_verified: bool,
}

/// A caller that is authenticated by a signature of the body it sends, if the channel exists.
pub struct SigningCaller(Option<Arc<KnownChannel>>);

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
        let now = self.clock.now();
        let (id, known) = self.find(integrator, channel);
        let credentials = known.as_ref().map(|known| known.live_credentials(now));
        let credentials = credentials.unwrap_or_default();
        let context = AuthContext {
            channel: id.as_ref().unwrap_or(&self.unknown),
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
                    signature_verified: false,
                })
            }
            (AuthResult::SignedBody, known) => Authentication::SignedBody(SigningCaller(known)),
            (AuthResult::Challenge, known) => {
                // A test of the channel begins without credentials; this is not the integrator's
                // call.
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

    /// Returns whether a body can authenticate a caller at all: its channel exists, has a signing
    /// token, and has a credential that has not expired.
    #[must_use]
    pub fn may_be_verified(&self, SigningCaller(known): &SigningCaller) -> bool {
        let now = self.clock.now();
        known.as_ref().is_some_and(|known| {
            let tokens = known.signing_tokens.as_ref();
            tokens.is_some_and(|tokens| !tokens.is_empty())
                && known.newest_credential(now).is_some()
        })
    }

    /// Authenticates a caller by the signature of its body. Its reports count as use of the newest
    /// live credential of the channel; without one it is refused.
    #[must_use]
    pub fn verify_body(
        &self,
        integrator: &dyn Integrator,
        SigningCaller(known): SigningCaller,
        headers: &dyn Headers,
        body: &[u8],
    ) -> Authentication {
        let now = self.clock.now();
        let tokens = known.as_ref().and_then(|it| it.signing_tokens.as_ref());
        let none = SigningTokens::default();
        let is_signed = integrator.body_is_signed(headers, body, tokens.unwrap_or(&none));
        let Some(channel) = known else {
            return Authentication::Denied;
        };
        let problem = match channel.newest_credential(now) {
            Some(credential) if is_signed => {
                channel.calls.authenticated();
                self.directory.record_use(&channel, credential, now);
                return Authentication::AuthenticatedCaller(AuthenticatedCaller {
                    channel,
                    credential,
                    is_test: false,
                    presented: None,
                    signature_verified: true,
                });
            }
            Some(_) => ChannelProblem::SignatureMismatch,
            None => ChannelProblem::NoLiveCredential,
        };
        channel.calls.refused(now);
        channel.calls.add_problem(problem, Instant::now());
        Authentication::Denied
    }

    /// Returns the text that answers a request with which the integrator verifies the callback URL;
    /// `None` refuses it.
    #[must_use]
    pub fn verify_url(
        &self,
        integrator: &dyn Integrator,
        channel: &str,
        query: &str,
    ) -> Option<String> {
        let now = self.clock.now();
        let (id, known) = self.find(integrator, channel);
        let credentials = known.as_ref().map(|known| known.live_credentials(now));
        let context = AuthContext {
            channel: id.as_ref().unwrap_or(&self.unknown),
            credentials: &credentials.unwrap_or_default(),
            secret: &self.secret,
        };
        let verified = integrator.verify_url(query, context);
        let known = known?;
        match &verified {
            Some(verified) => self.directory.record_use(&known, verified.credential, now),
            None => known.calls.refused(now),
        }
        verified.map(|verified| verified.answer)
    }

    /// Returns the id that a path names, if it is one, and its channel, if that is of the
    /// integrator.
    fn find(
        &self,
        integrator: &dyn Integrator,
        channel: &str,
    ) -> (Option<ChannelId>, Option<Arc<KnownChannel>>) {
        let id = ChannelId::parse(channel).ok();
        let known = self.directory.find(id.as_ref().unwrap_or(&self.unknown));
        let known = known.filter(|known| known.channel.integrator == *integrator.name());
        (id, known)
    }
}
