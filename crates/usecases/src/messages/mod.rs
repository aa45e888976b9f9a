//! Messages: listing them, showing one with its reports, and what of them is shown masked.

pub mod list;
pub mod recipient_link;
pub mod redacted_fields;
pub mod show;
