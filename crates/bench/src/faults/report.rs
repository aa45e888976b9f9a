//! Reports as they are compared with what the database contains.

use traffic::form::{self, Subject};
use traffic::stream::{Pattern, Stream, StreamReport};

/// What identifies a report: two with the same values are duplicates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Report {
    pub sid: String,
    pub status: String,
    /// The error code.
    pub code: Option<String>,
}

impl Report {
    /// The report of this number in a stream.
    pub fn nth(stream: u64, number: u64) -> Self {
        let report = generate(stream, number);
        Self {
            sid: report.sid.to_string(),
            status: report.step.status.to_owned(),
            code: report.step.error.map(|error| error.code.to_owned()),
        }
    }
}

/// The body of a report.
pub fn body(stream: u64, number: u64) -> String {
    let report = generate(stream, number);
    form::body(Subject::new(&report.sid.to_string()), report.step)
}

fn generate(stream: u64, number: u64) -> StreamReport {
    let stream = Stream {
        id: stream,
        pattern: Pattern::Disorderly,
    };
    stream.report(number)
}
