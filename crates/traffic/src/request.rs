//! Requests as bytes on a connection, for load generators that speak HTTP/1.1 themselves.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::stream::Sid;

/// The `Authorization` header of a user.
#[must_use]
pub fn authorization(user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

/// The path that reports of a channel are sent to.
#[must_use]
pub fn callback_path(channel: &str) -> String {
    format!("/social/on/whatsapp/twilio/report/{channel}")
}

/// The head of all requests of one caller.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Where requests are sent.
    pub host: SocketAddr,
    /// See [`callback_path`].
    pub path: String,
    /// See [`authorization`]; `None` sends requests without credentials.
    pub authorization: Option<String>,
}

impl RequestHead {
    /// The text of the head for a body of this length. `more` are further header lines, each
    /// with its line end.
    #[must_use]
    pub fn text(&self, content_length: usize, more: &str) -> String {
        let Self { host, path, .. } = self;
        let authorization = self.authorization.as_ref();
        let authorization = authorization.map(|value| format!("Authorization: {value}\r\n"));
        let authorization = authorization.unwrap_or_default();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
             {authorization}{more}Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             Content-Length: {content_length}\r\n\r\n"
        )
    }

    /// A whole request.
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

    /// The request that reports on this message.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::{Subject, body};
    use crate::history::ORDERLY;
    use crate::stream::{Pattern, Stream};

    fn caller(authorization: Option<String>) -> RequestHead {
        RequestHead {
            host: ([127, 0, 0, 1], 80).into(),
            path: callback_path("1"),
            authorization,
        }
    }

    #[test]
    fn message_id_is_filled_in_everywhere() {
        let caller = caller(Some(authorization("user", "password")));
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
    fn request_states_its_length_and_may_have_no_credentials() {
        let text = String::from_utf8(caller(None).with_body("A=1&X=1")).unwrap();
        assert!(!text.contains("Authorization"), "{text}");
        assert!(text.ends_with("Content-Length: 7\r\n\r\nA=1&X=1"), "{text}");
    }
}
