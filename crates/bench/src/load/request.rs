//! Requests as bytes, made once; only the message id changes.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::traffic::{self, Report, STATUSES};
use crate::{PASSWORD, PATH, USER};

/// Stands where the digits of the message id go.
const HOLE: &str = "00000000000000000000000000000000";

/// The requests of one connection.
pub(super) struct Requests([Request; STATUSES.len()]);

/// How a caller proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Password,
    WrongPassword,
}

struct Request {
    bytes: Vec<u8>,
    holes: Vec<usize>,
}

impl Requests {
    pub(super) fn new(host: SocketAddr, shown: Shown) -> Self {
        Self(STATUSES.map(|status| Request::new(host, status, shown)))
    }

    /// The bytes of a report.
    pub(super) fn of(&mut self, report: Report) -> &[u8] {
        let Some(request) = self.0.get_mut(report.step) else {
            return &[];
        };
        let digits = report.sid.digits();
        for hole in &request.holes {
            if let Some(place) = request.bytes.get_mut(*hole..*hole + HOLE.len()) {
                place.copy_from_slice(&digits);
            }
        }
        &request.bytes
    }
}

impl Request {
    /// The fields and header lines of a real report.
    fn new(host: SocketAddr, status: &str, shown: Shown) -> Self {
        let body = traffic::body(status, HOLE);
        let password = match shown {
            Shown::Nothing => None,
            Shown::Password => Some(PASSWORD),
            Shown::WrongPassword => Some("guessed, and guessed wrongly, again and again"),
        };
        let authorization = password.map(|password| {
            let pair = STANDARD.encode(format!("{USER}:{password}"));
            format!("Authorization: Basic {pair}\r\n")
        });
        let authorization = authorization.unwrap_or_default();
        let text = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
             {authorization}I-Twilio-Idempotency-Token: {HOLE}\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let holes = text.match_indices(HOLE).map(|(at, _)| at).collect();
        Self {
            bytes: text.into_bytes(),
            holes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_id_fills_every_hole() {
        let mut requests = Requests::new(([127, 0, 0, 1], 80).into(), Shown::Password);
        for number in 0..6 {
            let report = Report::nth(1, number);
            let text = String::from_utf8(requests.of(report).to_vec()).unwrap();
            assert_eq!(text.matches(&report.sid.text()).count(), 2, "{text}");
            assert!(!text.contains(HOLE) && text.contains("Authorization: Basic "));
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
        }
        let mut without = Requests::new(([127, 0, 0, 1], 80).into(), Shown::Nothing);
        let text = String::from_utf8(without.of(Report::nth(1, 0)).to_vec()).unwrap();
        assert!(!text.contains("Authorization"));
    }
}
