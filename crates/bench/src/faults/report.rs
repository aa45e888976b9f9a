//! Reports as they are compared with what the database contains.

use std::net::SocketAddr;

use traffic::form::{self, Subject};
use traffic::request::{RequestHead, authorization};
use traffic::stream::{Pattern, Stream, StreamReport};

use crate::{PATH, USER};

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

/// The head of requests with this password.
pub fn head(host: SocketAddr, password: &str) -> RequestHead {
    RequestHead {
        host,
        path: PATH.to_owned(),
        authorization: Some(authorization(USER, password)),
    }
}

fn generate(stream: u64, number: u64) -> StreamReport {
    let stream = Stream {
        id: stream,
        pattern: Pattern::Disorderly,
    };
    stream.report(number)
}
