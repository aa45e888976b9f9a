//! Pages of long lists.

use anyhow::{Context as _, Result};
use domain::page::PageSize;

use crate::cli::PageArgs;

/// Returns the size of a page and where it starts.
pub fn parse<T>(
    args: &PageArgs,
    read: impl Fn(&str) -> Option<T>,
) -> Result<(PageSize, Option<T>)> {
    let after = args.cursor.as_deref().map(|text| {
        read(text).context("--cursor is not valid: pass the `next` of the previous page unchanged")
    });
    Ok((PageSize::new(args.limit)?, after.transpose()?))
}
