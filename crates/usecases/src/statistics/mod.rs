//! Statistics: maintaining them from the report log, and reading them.
//!
//! A reader follows the log with a position of its own, which the store moves together with the
//! counts. So a receiver spends nothing on statistics, and no report is counted twice or missed,
//! whichever process counts it and whenever it stops.

mod days;
mod read;
mod reader;
mod rebuild;
mod requests;
mod summaries;
mod tally;

pub use read::{CountedChannel, ReadStatistics, StatisticsQuery, StatisticsReport};
pub use reader::{Progress, StatisticsReader};
pub use rebuild::RebuildStatistics;
pub use requests::CountRequests;
