//! Statistics: counts of messages, reports and requests per channel and interval.
//!
//! A message counts in the interval in which its first report arrived, in exactly one cell: its
//! current status, and whether its reports contradict each other. It moves when its state changes,
//! so the cells of an interval always add up to its messages.
//!
//! A reader of the report log keeps the counts current: for each report it subtracts what the
//! message counted before ([`MessageSummary::counts`]) and adds what it counts after.

mod counts;
mod histogram;
mod interval;
mod summary;

pub use counts::{Counts, MessageCell, Outcome, RequestOutcome, StatusLabel};
pub use histogram::{BUCKETS, Histogram};
pub use interval::{Interval, QUARTER_HOUR_MICROS, quarter_hour};
pub use summary::{MessageSummary, StatusChange};
