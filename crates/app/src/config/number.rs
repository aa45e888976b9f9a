//! Parsing and conversion of numeric settings.

use std::ops::RangeBounds;

use clap::builder::RangedI64ValueParser;

/// Accepts a whole number within `bounds`.
pub fn range(bounds: impl RangeBounds<i64>) -> RangedI64ValueParser<u32> {
    RangedI64ValueParser::new().range(bounds)
}

/// Converts a setting to a size in memory.
pub fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
