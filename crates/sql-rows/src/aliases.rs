//! Rows of `message_aliases`.

use std::collections::BTreeMap;

use domain::{MessageKey, MessageSid};
use ports::StoreError;

use crate::error::corrupt;
use crate::values::key;

const MESSAGE_ALIASES: &str = "message_aliases";

/// Converts rows of channel, alias and message id.
pub fn known(
    rows: Vec<(String, Vec<u8>, Vec<u8>)>,
) -> Result<BTreeMap<MessageKey, MessageSid>, StoreError> {
    let rows = rows.into_iter();
    rows.map(|(channel, alias, sid)| {
        Ok((key(&channel, &alias, MESSAGE_ALIASES)?, message_sid(&sid)?))
    })
    .collect()
}

/// Converts the column `sid`.
pub fn message_sid(compact: &[u8]) -> Result<MessageSid, StoreError> {
    MessageSid::from_compact(compact).map_err(corrupt(MESSAGE_ALIASES, "sid"))
}
