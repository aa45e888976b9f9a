//! Options of long lists.

use clap::Args;

use crate::config;

/// The part of a list to show.
#[derive(Args, Debug)]
pub struct PageArgs {
    /// Maximum number of items, 1 to 500
    #[arg(long, default_value_t = 50, value_parser = limit())]
    pub limit: u16,
    /// Continue after a page: the `next` of that page
    #[arg(long, value_name = "NEXT")]
    pub cursor: Option<String>,
}

/// Returns the parser of the length of a list.
pub fn limit() -> impl Fn(&str) -> Result<u16, String> + Clone + Send + Sync + 'static {
    config::whole(1..=500)
}
