//! Who is calling? Answered from the head of a request alone, so that a caller
//! who proves nothing costs next to nothing.

use std::sync::Arc;
use std::time::Instant;

use domain::secret::ServerSecret;
use domain::{ChannelId, CredentialId};
use ports::integrator::{AuthContext, AuthResult};
use ports::{Clock, Headers, Integrator};

use crate::ChannelDirectory;
use crate::channels::calls::ChannelProblem;
use crate::channels::directory::KnownChannel;

/// Proves the caller of a report.
pub struct AuthenticateCaller {
    directory: Arc<ChannelDirectory>,
    secret: ServerSecret,
    clock: Arc<dyn Clock>,
    /// Stands in for an id that is none, so that it is treated like an unknown one.
    nowhere: ChannelId,
}

/// Whether a caller may hand over its report.
pub enum Authentication {
    /// It may.
    AuthenticatedCaller(AuthenticatedCaller),
    /// It has shown nothing yet and should be asked.
    Challenge,
    /// What it has shown is wrong, or there is no such channel: which of them,
    /// nobody is told.
    Denied,
}

/// A caller that has proved to be the integrator of a channel.
pub struct AuthenticatedCaller {
    /// The channel.
    pub channel: Arc<KnownChannel>,
    /// The credential that proved it.
    pub credential: CredentialId,
}

impl AuthenticateCaller {
    /// Proves callers against a directory.
    ///
    /// # Panics
    /// Never: the id it parses is a constant.
    #[must_use]
    pub fn new(
        directory: Arc<ChannelDirectory>,
        secret: ServerSecret,
        clock: Arc<dyn Clock>,
    ) -> Self {
        #[expect(clippy::expect_used, reason = "a constant that the tests pass through")]
        let nowhere = ChannelId::parse("-").expect("a hyphen is a channel id");
        Self {
            directory,
            secret,
            clock,
            nowhere,
        }
    }

    /// Proves the caller of a request to the channel of this text in its path.
    #[must_use]
    pub fn run(
        &self,
        integrator: &dyn Integrator,
        channel: &str,
        headers: &dyn Headers,
    ) -> Authentication {
        let id = ChannelId::parse(channel);
        let id = id.as_ref().unwrap_or(&self.nowhere);
        let now = self.clock.now();
        let known = self
            .directory
            .find(id)
            .filter(|known| known.channel.integrator == *integrator.name());
        let credentials = known.as_ref().map(|known| known.live_credentials(now));
        let credentials = credentials.unwrap_or_default();
        let door = AuthContext {
            channel: id,
            credentials: &credentials,
            secret: &self.secret,
        };
        match (integrator.authenticate(headers, door), known) {
            (AuthResult::Authenticated(credential), Some(channel)) => {
                self.directory.note_use(&channel, credential, now);
                Authentication::AuthenticatedCaller(AuthenticatedCaller {
                    channel,
                    credential,
                })
            }
            (AuthResult::Challenge, known) => {
                if let Some(known) = known {
                    known.calls.challenged();
                }
                Authentication::Challenge
            }
            (AuthResult::Denied, known) => {
                if let Some(known) = known {
                    known.calls.refused(now);
                    if credentials.is_empty() {
                        known
                            .calls
                            .note(ChannelProblem::NoLiveCredential, Instant::now());
                    }
                }
                Authentication::Denied
            }
            (AuthResult::Authenticated(_), None) => Authentication::Denied,
        }
    }
}
