//! Reports as they are compared with what the database contains.

use std::ops::Range;

use traffic::form::{self, Subject};
use traffic::integrator::{Integrator, ReportTime, ReportedStep};
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
    /// Returns the report of this number in a stream of an integrator.
    pub fn nth(integrator: Integrator, stream: u64, number: u64) -> Self {
        let report = generate(integrator, stream, number);
        Self {
            sid: report.sid.to_string(),
            status: report.step.status.to_owned(),
            code: report.step.error.map(|error| error.code.to_owned()),
        }
    }
}

/// Returns the body of a report of Twilio's.
pub fn body(stream: u64, number: u64) -> String {
    let report = generate(Integrator::Twilio, stream, number);
    form::body(Subject::new(&report.sid.to_string()), report.step)
}

/// Returns the body of a request of an integrator with several reports.
pub fn batch(integrator: Integrator, stream: u64, numbers: Range<u64>) -> String {
    let time = ReportTime {
        unix_seconds: 1_795_166_142,
        text: "2026-11-20T09:15:42.000+0000".to_owned(),
    };
    let reports = numbers.map(|number| generate(integrator, stream, number));
    let reports: Vec<_> = reports
        .map(|report| (report.sid.to_string(), report.step))
        .collect();
    let steps = reports.iter().map(|(sid, step)| ReportedStep {
        subject: Subject::new(sid),
        step: *step,
    });
    integrator.body(&steps.collect::<Vec<_>>(), &time)
}

fn generate(integrator: Integrator, stream: u64, number: u64) -> StreamReport {
    let stream = Stream {
        id: stream,
        pattern: Pattern::Disorderly(integrator),
    };
    stream.report(number)
}
