//! Statistics: maintaining them from the report log, and reading them.
//!
//! A reader follows the log with a position of its own, which the store moves together with the
//! counts. So recording a report costs nothing for statistics, and no report is counted twice or
//! missed, whichever process counts it and whenever it stops.

mod count;
mod days;
mod read;
mod reader;
mod rebuild;
mod requests;
mod summaries;
mod tally;

pub use count::CountReports;
pub use read::{CountedChannel, ReadStatistics, StatisticsQuery, StatisticsReport};
pub use reader::{Progress, StatisticsReader};
pub use rebuild::RebuildStatistics;
pub use requests::CountRequests;
