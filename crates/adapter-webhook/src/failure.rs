//! Why an attempt failed, with error texts for operators.

use std::error::Error;
use std::fmt;

use domain::webhook::AnswerExcerpt;
use reqwest::StatusCode;

use crate::allowed_addresses::AddressNotAllowed;

/// The cause of a failed attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptFailure {
    #[error("the target answered {0}")]
    Answered(StatusCode),
    #[error("the target answered {0}, and redirects are not followed")]
    Redirected(StatusCode),
    #[error("the name of the target does not resolve")]
    Unresolved(#[source] Cause),
    #[error("no connection to the target in time")]
    ConnectTimedOut,
    #[error("no connection to the target")]
    Unreachable(#[source] Cause),
    #[error("no answer from the target in time")]
    TimedOut,
    #[error("no complete answer from the target")]
    Broken(#[source] Cause),
}

impl AttemptFailure {
    pub(crate) fn of_status(status: StatusCode) -> Self {
        if status.is_redirection() {
            Self::Redirected(status)
        } else {
            Self::Answered(status)
        }
    }
}

impl From<reqwest::Error> for AttemptFailure {
    fn from(error: reqwest::Error) -> Self {
        let cause = Cause::of(&error);
        match (error.is_connect(), error.is_timeout()) {
            _ if error.is_dns() => Self::Unresolved(cause),
            (true, true) => Self::ConnectTimedOut,
            (true, false) => Self::Unreachable(cause),
            (false, true) => Self::TimedOut,
            (false, false) => Self::Broken(cause),
        }
    }
}

/// The innermost error of a chain, such as `Connection refused (os error 111)`. The outer errors
/// name layers of the library, and the outermost one the URL.
#[derive(Debug)]
pub(crate) struct Cause(AnswerExcerpt);

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let innermost = chain(error).last().map(ToString::to_string);
        // Part of the text comes from the endpoint, like the names in a certificate.
        Self(AnswerExcerpt::of(innermost.unwrap_or_default().as_bytes()))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Cause {}

/// Returns the error of the resolver if it refused the addresses of the endpoint.
pub(crate) fn address_not_allowed(error: &reqwest::Error) -> Option<AddressNotAllowed> {
    chain(error)
        .find_map(|error| error.downcast_ref::<AddressNotAllowed>())
        .cloned()
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let outermost: &(dyn Error + 'static) = error;
    std::iter::successors(Some(outermost), |error| (*error).source())
}
