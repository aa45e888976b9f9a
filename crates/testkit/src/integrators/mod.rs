//! The conformance kit of integrators: what every adapter does, whatever its integrator sends.
//!
//! An adapter describes each of its endpoints as an [`EndpointUnderTest`] and calls [`check`],
//! which sends it valid, odd and hostile bodies. [`samples::check`] compares a folder of real
//! requests with what a correct receiver concludes.
//! `crates/adapter-integrators/tests/conformance.rs` does both for all integrators.

mod authentication;
mod bodies;
mod elements;
pub mod samples;

use ports::integrator::{Endpoint, Headers, Integrator, ParseError, ParsedBody};
use serde_json::Value;

/// An endpoint, and how its requests are built.
#[derive(Clone, Copy)]
pub struct EndpointUnderTest<'a> {
    /// The integrator.
    pub integrator: &'a dyn Integrator,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// Builds the report that a message was delivered, from its id and recipient.
    pub element: fn(id: Value, recipient: Value) -> Value,
    /// Builds a body with these elements; an endpoint with one report in a body gets one.
    pub body: fn(Vec<Value>) -> Vec<u8>,
    /// Whether a body has any number of reports.
    pub batches: bool,
    /// Whether a report need not name its recipient.
    pub optional_recipient: bool,
    /// Sets the integrator's own time of an element: the first moment of 1970, or the last one of
    /// 9999. `None` if it reports no times.
    pub set_time: Option<fn(element: &mut Value, far_future: bool)>,
    /// JSON pointers to the fields of an element that other kinds of reports have instead of those
    /// of `element`, or besides them.
    pub alternatives: &'a [&'a str],
}

/// The lines of a request's head.
#[derive(Clone, Debug, Default)]
pub struct Lines(pub Vec<(&'static str, String)>);

impl Headers for Lines {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.iter();
        let line = lines.find(|(each, _)| each.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_bytes())
    }

    fn get_only(&self, name: &str) -> Option<&[u8]> {
        let lines = self.0.iter();
        let mut values = lines.filter(|(each, _)| each.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value.as_bytes())
    }
}

/// Checks authentication and parsing with everything that an integrator may send, and with what it
/// should not.
///
/// # Panics
///
/// If the adapter does not conform.
pub fn check(endpoint: EndpointUnderTest<'_>) {
    authentication::check(endpoint);
    elements::check(endpoint);
    bodies::check(endpoint);
}

impl EndpointUnderTest<'_> {
    fn parse(&self, body: &[u8]) -> Result<ParsedBody, ParseError> {
        let headers = Lines(Vec::new());
        self.integrator.parse(self.endpoint, &headers, body)
    }

    /// Parses a body with these elements.
    fn parse_elements(&self, elements: Vec<Value>) -> Result<ParsedBody, ParseError> {
        self.parse(&(self.body)(elements))
    }

    fn takes_json(&self) -> bool {
        let mut types = self.endpoint.media_types.iter();
        types.any(|media_type| media_type.ends_with("json"))
    }

    /// Returns a valid element.
    fn valid(&self, id: &str) -> Value {
        (self.element)(id.into(), "15550100001".into())
    }
}
