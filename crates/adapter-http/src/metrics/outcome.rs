//! How a request to the webhook ended.

/// How a request to the webhook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered 204: what it reports is durable.
    Accepted,
    /// Asked for credentials, as half of all good requests are.
    Challenge,
    /// Its credentials were wrong, or there is no such channel.
    Refused,
    /// A field was wrong.
    Invalid,
    /// Its media type or encoding was wrong.
    Unsupported,
    /// Its body was too long.
    TooLarge,
    /// It did not arrive in time.
    Timeout,
    /// Its channel is switched off.
    Disabled,
    /// Its signature was missing or wrong.
    SignatureMismatch,
    /// Its sender is not on the channel's list.
    SenderNotAllowed,
    /// The store will never take it.
    RefusedByStore,
    /// The store was away or too slow.
    Unavailable,
    /// Too many others were waiting.
    Overloaded,
    /// Its path leads nowhere.
    NotFound,
    /// It was no POST.
    MethodNotAllowed,
}

impl Outcome {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Self; 15] = [
        Self::Accepted,
        Self::Challenge,
        Self::Refused,
        Self::Invalid,
        Self::Unsupported,
        Self::TooLarge,
        Self::Timeout,
        Self::Disabled,
        Self::SignatureMismatch,
        Self::SenderNotAllowed,
        Self::RefusedByStore,
        Self::Unavailable,
        Self::Overloaded,
        Self::NotFound,
        Self::MethodNotAllowed,
    ];

    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Challenge => "challenge",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Disabled => "disabled",
            Self::SignatureMismatch => "signature_mismatch",
            Self::SenderNotAllowed => "sender_not_allowed",
            Self::RefusedByStore => "refused_by_store",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_stands_at_its_place() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{}", outcome.as_str());
        }
    }
}
