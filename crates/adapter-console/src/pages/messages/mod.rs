//! Messages: the list, its CSV, the search, and one message with its reports.

pub(crate) mod csv;
pub(crate) mod explain;
pub(crate) mod filter;
pub(crate) mod list;
pub(crate) mod outcome;
pub(crate) mod reports;
pub(crate) mod search;
pub(crate) mod show;

use domain::MessageKey;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters of a message id that are escaped in paths.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns the path of the page of a message.
pub(crate) fn path(key: &MessageKey) -> String {
    let sid = utf8_percent_encode(key.sid.as_str(), &SEGMENT);
    format!("/console/messages/{}/{sid}", key.channel)
}
