//! The paths at which integrators send requests.

use domain::ChannelId;

use super::Integrator;

/// A path at which an integrator sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The word between its name and the channel id in the path, usually `report`.
    pub path_word: &'static str,
    /// The methods: `POST` for reports, and `GET` and `HEAD` if it
    /// [verifies](Integrator::verify_url) the URL.
    pub methods: &'static [&'static str],
    /// The media types of its reports, in lower case, without parameters. `application/json` stands
    /// for all media types of JSON, like `text/json` and `application/vnd.api+json`.
    pub media_types: &'static [&'static str],
    /// How many bytes a body may have. More than 64 KiB are read only after the caller is
    /// authenticated, or for a few callers at a time.
    pub body_max: usize,
    /// How its requests are answered.
    pub answers: AnswerPolicy,
    /// Which messages its requests are about.
    pub scope: EndpointScope,
}

/// Which messages the requests to an endpoint are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointScope {
    /// Those of the channel. A report of a sender that the channel does not allow is refused.
    Channel,
    /// Those of an account, which may have several channels. Reports of senders that the channel
    /// does not allow are ignored.
    Account,
}

/// How requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerPolicy {
    /// The HTTP status of success.
    pub success: u16,
    /// Whether the integrator sends a request again, for hours or days, until it is answered with
    /// success. Then reports that can never be recorded are kept as rejections and acknowledged; a
    /// refusal would repeat the request for ever, with all the valid reports in it.
    pub redelivers: bool,
}

/// Returns the endpoint of an integrator that has this word in its path.
#[must_use]
pub fn endpoint<'a>(integrator: &'a dyn Integrator, path_word: &str) -> Option<&'a Endpoint> {
    let others = integrator.other_endpoints().iter();
    std::iter::once(integrator.report_endpoint())
        .chain(others)
        .find(|endpoint| endpoint.path_word == path_word)
}

/// Returns the path at which an integrator reports on a channel.
#[must_use]
pub fn report_path(integrator: &dyn Integrator, channel: &ChannelId) -> String {
    endpoint_path(integrator, integrator.report_endpoint(), channel)
}

/// Returns the path of an endpoint of an integrator for a channel.
#[must_use]
pub fn endpoint_path(
    integrator: &dyn Integrator,
    endpoint: &Endpoint,
    channel: &ChannelId,
) -> String {
    let (name, word) = (integrator.name(), endpoint.path_word);
    format!("/social/on/whatsapp/{name}/{word}/{channel}")
}
