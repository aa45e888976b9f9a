//! Where requests of a channel are forwarded to, and what waits.

use domain::Channel;

use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::number::count;
use crate::visit::Visit;

/// The forwarding of a channel.
pub(crate) struct Forwarding {
    pub(crate) url: String,
    pub(crate) waiting: String,
    pub(crate) oldest: Option<Html>,
    pub(crate) error: Option<String>,
}

impl Forwarding {
    /// Reads what waits of a channel; `None` if it has no forward URL.
    pub(crate) async fn read(
        console: &Console,
        visit: &Visit,
        channel: &Channel,
    ) -> Result<Option<Self>, PageError> {
        let Some(url) = &channel.forward_url else {
            return Ok(None);
        };
        let waiting = console
            .run(console.state.forwarding.of(&channel.id))
            .await?;
        let oldest = waiting.as_ref().map(|waiting| waiting.oldest_at);
        let requests = waiting.as_ref().map_or(0, |waiting| waiting.requests);
        Ok(Some(Self {
            url: url.to_string(),
            waiting: count(requests, "request", "requests"),
            oldest: oldest.map(|at| visit.times.relative(at)),
            error: waiting
                .and_then(|waiting| waiting.last_failure)
                .map(|failure| failure.error),
        }))
    }
}
