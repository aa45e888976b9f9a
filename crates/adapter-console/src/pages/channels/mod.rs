//! Channels: the list, one channel, and the forms that change it.

mod callback_url;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod credentials;
pub(crate) mod csv;
mod forwarding;
pub(crate) mod last_day;
pub(crate) mod list;
pub(crate) mod reconciliation;
pub(crate) mod show;
pub(crate) mod state;
pub(crate) mod test;

use domain::ChannelId;

use crate::error::PageError;

/// Parses the id in a path. A text that is not an id names nothing.
pub(crate) fn channel_id(text: &str) -> Result<ChannelId, PageError> {
    ChannelId::parse(text).map_err(|_| PageError::NotFound("such channel".to_owned()))
}

/// Returns the path of the page of a channel.
pub(crate) fn path(id: &ChannelId) -> String {
    format!("/console/channels/{id}")
}
