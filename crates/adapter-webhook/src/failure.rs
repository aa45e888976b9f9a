//! Why an event was not taken, in words that an operator can do something with.

use std::error::Error;
use std::fmt;

use domain::webhook::AnswerExcerpt;
use reqwest::StatusCode;

use crate::reach::OutOfReach;

/// What went wrong with one try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
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

impl Failure {
    pub(crate) fn of_status(status: StatusCode) -> Self {
        if status.is_redirection() {
            Self::Redirected(status)
        } else {
            Self::Answered(status)
        }
    }
}

impl From<reqwest::Error> for Failure {
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

/// The innermost error of a chain, such as `Connection refused (os error 111)`.
/// The ones around it name layers of a library, and the outermost the URL.
#[derive(Debug)]
pub(crate) struct Cause(AnswerExcerpt);

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let innermost = chain(error).last().map(ToString::to_string);
        // Some of its words are the target's, like the names in a certificate.
        Self(AnswerExcerpt::of(innermost.unwrap_or_default().as_bytes()))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Cause {}

/// Whether the resolver stopped the try, since the target is out of reach.
pub(crate) fn out_of_reach(error: &reqwest::Error) -> Option<OutOfReach> {
    chain(error)
        .find_map(|error| error.downcast_ref::<OutOfReach>())
        .cloned()
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let outermost: &(dyn Error + 'static) = error;
    std::iter::successors(Some(outermost), |error| (*error).source())
}
