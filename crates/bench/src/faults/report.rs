//! Reports as they are compared with what the database holds.

use std::net::SocketAddr;

use bench::{PATH, USER};
use traffic::form::{self, Subject};
use traffic::request::{RequestHead, authorization};
use traffic::stream::{Pattern, Stream};

/// What makes two reports the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Report {
    /// The message.
    pub sid: String,
    /// The word that is reported.
    pub status: String,
    /// The error code that comes with it.
    pub code: Option<String>,
}

impl Report {
    /// The report of this number in a stream.
    pub fn nth(stream: u64, number: u64) -> Self {
        let report = stream_of(stream).report(number);
        Self {
            sid: report.sid.to_string(),
            status: report.step.status.to_owned(),
            code: report.step.error.map(|error| error.code.to_owned()),
        }
    }
}

/// The body of a report.
pub fn body(stream: u64, number: u64) -> String {
    let report = stream_of(stream).report(number);
    form::body(Subject::new(&report.sid.to_string()), report.step)
}

const fn stream_of(id: u64) -> Stream {
    Stream {
        id,
        pattern: Pattern::Disorderly,
    }
}

/// The head of requests with this password.
pub fn head(host: SocketAddr, password: &str) -> RequestHead {
    RequestHead {
        host,
        path: PATH.to_owned(),
        authorization: Some(authorization(USER, password)),
    }
}
