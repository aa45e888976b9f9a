//! The form for a custom time range, which several pages have.

use domain::Timestamp;

use crate::fields::Fields;
use crate::visit::Visit;

/// A form for the begin and the end of a time.
pub(crate) struct TimeForm {
    /// The page that it leads to.
    pub(crate) action: &'static str,
    /// The other parts of the query, which it keeps.
    pub(crate) kept: Vec<(&'static str, String)>,
    /// The begin, as it is typed.
    pub(crate) since: String,
    /// The end, as it is typed.
    pub(crate) until: String,
    /// Whether the page is about such a time.
    pub(crate) chosen: bool,
}

impl TimeForm {
    /// Returns the form of a page. `chosen` is the time that the page is about if it was typed or
    /// is part of a link; `shown` is the time that the form proposes otherwise.
    pub(crate) fn new(
        visit: &Visit,
        action: &'static str,
        kept: &[&'static str],
        chosen: Option<(Option<Timestamp>, Option<Timestamp>)>,
        shown: (Timestamp, Timestamp),
    ) -> Self {
        let query: &Fields = &visit.query;
        let keep = |name: &&'static str| Some((*name, query.get(name)?.to_owned()));
        let input = |at: Option<Timestamp>| at.map(|at| visit.times.input(at));
        let (since, until) = chosen.unwrap_or((Some(shown.0), Some(shown.1)));
        Self {
            action,
            kept: kept.iter().filter_map(keep).collect(),
            since: input(since).unwrap_or_default(),
            until: input(until).unwrap_or_default(),
            chosen: chosen.is_some(),
        }
    }
}
