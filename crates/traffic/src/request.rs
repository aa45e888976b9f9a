//! Requests as bytes on a connection, for load generators that speak HTTP/1.1 themselves.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::form::Subject;
use crate::history::Step;
use crate::integrator::{Integrator, ReportTime, ReportedStep};
use crate::stream::Sid;

/// Returns the `Authorization` header of a user.
#[must_use]
pub fn authorization(user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

/// Returns the path that an integrator's reports of a channel are sent to.
#[must_use]
pub fn callback_path(integrator: Integrator, channel: &str) -> String {
    let (name, word) = (integrator.name(), integrator.path_word());
    format!("/social/on/whatsapp/{name}/{word}/{channel}")
}

/// The head of all requests of one caller.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Where requests are sent.
    pub host: SocketAddr,
    /// Whose requests they are.
    pub integrator: Integrator,
    /// See [`callback_path`].
    pub path: String,
    /// See [`Integrator::credentials`]; not of one that signs bodies. `None` sends requests without
    /// credentials.
    pub credentials: Option<(&'static str, String)>,
}

impl RequestHead {
    /// Returns the text of the head for a body of this length. `more` are further header lines,
    /// each with its line end.
    #[must_use]
    pub fn text(&self, content_length: usize, more: &str) -> String {
        let Self { host, path, .. } = self;
        let credentials = self.credentials.as_ref();
        let credentials = credentials.map(|(name, value)| format!("{name}: {value}\r\n"));
        let credentials = credentials.unwrap_or_default();
        let agent = self.integrator.user_agent();
        let content_type = self.integrator.content_type();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\
             {credentials}{more}Content-Type: {content_type}\r\nContent-Length: {content_length}\r\n\r\n"
        )
    }

    /// Returns a whole request.
    #[must_use]
    pub fn with_body(&self, body: &str) -> Vec<u8> {
        (self.text(body.len(), "") + body).into_bytes()
    }
}

/// A request that is built once, and in which only the message id changes.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where the digits of the message id are.
    places: Vec<usize>,
}

impl Template {
    /// Fills the places of the message id: those with the digits of [`Sid::ZERO`].
    #[must_use]
    pub fn new(head: &RequestHead, body: &str) -> Self {
        let zero = "0".repeat(Sid::DIGITS);
        let token = format!("I-Twilio-Idempotency-Token: {zero}\r\n");
        let text = head.text(body.len(), &token) + body;
        let places = text.match_indices(&zero).map(|(at, _)| at).collect();
        Self {
            bytes: text.into_bytes(),
            places,
        }
    }

    /// Returns the request that reports on this message.
    pub fn fill(&mut self, sid: Sid) -> &[u8] {
        let digits = sid.digits();
        for at in &self.places {
            if let Some(place) = self.bytes.get_mut(*at..*at + Sid::DIGITS) {
                place.copy_from_slice(&digits);
            }
        }
        &self.bytes
    }
}

/// A request with several reports that is built once, and in which only the message ids change.
#[derive(Clone, Debug)]
pub struct BatchTemplate {
    bytes: Vec<u8>,
    /// Where the message id of each report is.
    places: Vec<usize>,
}

impl BatchTemplate {
    /// Returns a request with a report of each step.
    #[must_use]
    pub fn new(head: &RequestHead, steps: &[Step], time: &ReportTime) -> Self {
        let nil = Uuid::nil().to_string();
        let reports: Vec<_> = steps
            .iter()
            .map(|step| ReportedStep {
                subject: Subject::new(&nil),
                step: *step,
            })
            .collect();
        let body = head.integrator.body(&reports, time);
        let text = head.text(body.len(), "") + &body;
        let places = text.match_indices(&nil).map(|(at, _)| at).collect();
        Self {
            bytes: text.into_bytes(),
            places,
        }
    }

    /// Returns the request that reports on these messages.
    pub fn fill(&mut self, sids: impl Iterator<Item = Sid>) -> &[u8] {
        for (at, sid) in self.places.iter().zip(sids) {
            if let Some(place) = self.bytes.get_mut(*at..*at + Hyphenated::LENGTH) {
                sid.uuid().hyphenated().encode_lower(place);
            }
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::body;
    use crate::history::ORDERLY;
    use crate::stream::{Pattern, Stream};

    fn caller(integrator: Integrator, password: Option<&str>) -> RequestHead {
        RequestHead {
            host: ([127, 0, 0, 1], 80).into(),
            integrator,
            path: callback_path(integrator, "1"),
            credentials: password.map(|password| integrator.credentials("user", password, "")),
        }
    }

    #[test]
    fn message_id_is_filled_in_everywhere() {
        let caller = caller(Integrator::Twilio, Some("password"));
        let zero = Sid::ZERO.to_string();
        let mut templates =
            ORDERLY.map(|step| Template::new(&caller, &body(Subject::new(&zero), step)));
        let stream = Stream {
            id: 1,
            pattern: Pattern::Orderly,
        };
        for number in 0..6 {
            let report = stream.report(number);
            let request = templates[report.position].fill(report.sid);
            let text = String::from_utf8(request.to_vec()).unwrap();
            assert_eq!(text.matches(&report.sid.to_string()).count(), 2, "{text}");
            assert!(!text.contains(&zero[2..]) && text.contains("Authorization: Basic "));
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
        }
    }

    #[test]
    fn every_report_of_a_batch_has_the_id_of_its_message() {
        let caller = caller(Integrator::Infobip, Some("password"));
        let time = ReportTime {
            unix_seconds: 1_795_166_142,
            text: "2026-11-20T09:15:42Z".to_owned(),
        };
        let steps: Vec<_> = ORDERLY.iter().cycle().take(500).copied().collect();
        let mut template = BatchTemplate::new(&caller, &steps, &time);
        let stream = Stream {
            id: 1,
            pattern: Pattern::Orderly,
        };
        for first in [0, 500] {
            let sids = (first..first + 500).map(|number| stream.report(number).sid);
            let request = String::from_utf8(template.fill(sids).to_vec()).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("\r\nAccountKey: password\r\n"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let elements = body["results"].as_array().unwrap();
            assert_eq!(elements.len(), 500);
            for (number, element) in (first..).zip(elements) {
                let sid = stream.report(number).sid.uuid().to_string();
                assert_eq!(element["messageId"], sid);
            }
        }
    }

    #[test]
    fn request_states_its_length_and_may_have_no_credentials() {
        let text =
            String::from_utf8(caller(Integrator::Twilio, None).with_body("A=1&X=1")).unwrap();
        assert!(!text.contains("Authorization"), "{text}");
        assert!(text.ends_with("Content-Length: 7\r\n\r\nA=1&X=1"), "{text}");
    }
}
