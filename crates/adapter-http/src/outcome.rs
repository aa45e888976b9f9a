//! How the webhook answered a request.

/// How the webhook answered a request; the label of `receiptd_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered 204: the report is durable.
    Accepted,
    /// Asked for credentials; half of Twilio's valid requests begin so.
    Challenge,
    /// The credentials were wrong, or there is no such channel.
    Refused,
    /// A field was missing or invalid.
    Invalid,
    /// The media type or encoding was wrong.
    Unsupported,
    /// The body was too long.
    TooLarge,
    /// The request did not arrive in time.
    Timeout,
    /// The channel is disabled.
    Disabled,
    /// The signature was missing or wrong.
    SignatureMismatch,
    /// The sender is not on the channel's list.
    SenderNotAllowed,
    /// The store rejected the report.
    RefusedByStore,
    /// The store was unavailable or too slow.
    Unavailable,
    /// The ingest queue was full.
    Overloaded,
    /// There is nothing at the path.
    NotFound,
    /// The integrator's endpoint does not take the method.
    MethodNotAllowed,
    /// The integrator verified the callback URL.
    UrlVerified,
}

impl Outcome {
    /// All outcomes, in the order of their declaration.
    pub(crate) const ALL: [Self; 16] = [
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
        Self::UrlVerified,
    ];

    /// Returns the value of the label.
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
            Self::UrlVerified => "url_verified",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_the_order_of_declaration() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{}", outcome.as_str());
        }
    }
}
