//! Which report comes when.
//!
//! Every message is reported three times, in any order: read before sent, a
//! failure and a delivery, words nobody knows. One report in sixteen comes
//! again, as a caller sends it that lost our answer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bench::{PATH, USER};

/// How many messages lie between two reports of one message.
const APART: u64 = 24;

/// What is reported of a message, and with which error code, in the order in
/// which it is sent.
type Life = [(&'static str, Option<&'static str>); 3];

const LIVES: [Life; 8] = [
    [("sent", None), ("delivered", None), ("read", None)],
    [("delivered", None), ("sent", None), ("read", None)],
    [("read", None), ("delivered", None), ("sent", None)],
    [("read", None), ("queued", None), ("delivered", None)],
    [
        ("sent", None),
        ("undelivered", Some("63016")),
        ("delivered", None),
    ],
    [("failed", Some("63024")), ("queued", None), ("sent", None)],
    [("sent", None), ("teleported", None), ("delivered", None)],
    [
        ("failed", Some("63016")),
        ("failed", Some("63024")),
        ("accepted", None),
    ],
];

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
    /// The `number`th report of a stream. Streams share no message.
    pub fn nth(stream: u64, number: u64) -> Self {
        let number = if number % 16 == 15 {
            number - 8
        } else {
            number
        };
        let (message, step) = match number % 3 {
            0 => (number / 3 + 2 * APART, 0),
            1 => (number / 3 + APART, 1),
            _ => (number / 3, 2),
        };
        let high = scrambled(stream ^ scrambled(message));
        let low = scrambled(high ^ message);
        let kind = if high & 1 == 0 { "SM" } else { "MM" };
        let life = usize::try_from(low % 8).ok().and_then(|at| LIVES.get(at));
        let (status, code) = life
            .and_then(|life| life.get(step))
            .copied()
            .unwrap_or_default();
        Self {
            sid: format!("{kind}{high:016x}{low:016x}"),
            status: status.to_owned(),
            code: code.map(str::to_owned),
        }
    }

    /// The request that reports it. `more` are further fields.
    pub fn request(&self, host: SocketAddr, password: &str, more: &[u8]) -> Vec<u8> {
        let form = self.form();
        let mut request = head(host, password, form.len() + more.len());
        request.extend_from_slice(form.as_bytes());
        request.extend_from_slice(more);
        request
    }

    /// The body of that request.
    pub fn form(&self) -> String {
        let Self { sid, status, .. } = self;
        let mut form = format!(
            "ChannelPrefix=whatsapp&ApiVersion=2010-04-01&MessageStatus={status}&SmsSid={sid}\
             &SmsStatus={status}&ChannelInstallSid=XE823cb84a73cd00c3731c7ebc804a13d3\
             &To=whatsapp%3A%2B15550100001&From=whatsapp%3A%2B15550109001&MessageSid={sid}\
             &AccountSid=AC20dfc0ab5df7f9861fd50ba4c6c0d31b&ChannelToAddress=%2B1555010XXXX"
        );
        if let Some(code) = &self.code {
            // Writing to a string cannot fail.
            let _ = write!(form, "&ErrorCode={code}&ErrorMessage=Not+taken");
        }
        form
    }
}

/// The head of a report with a body of this length.
pub fn head(host: SocketAddr, password: &str, length: usize) -> Vec<u8> {
    let pair = STANDARD.encode(format!("{USER}:{password}"));
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
         Authorization: Basic {pair}\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// A permutation of all numbers without visible order (splitmix64's).
pub const fn scrambled(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn only_one_report_in_sixteen_is_a_repetition() {
        let all: HashSet<_> = (0..16_000).map(|number| Report::nth(3, number)).collect();
        assert_eq!(all.len(), 15_000);
        let other: HashSet<_> = (0..16_000).map(|number| Report::nth(4, number)).collect();
        assert!(all.is_disjoint(&other));
    }

    #[test]
    fn the_length_of_a_request_is_told() {
        let report = Report::nth(1, 7);
        let request = report.request(([127, 0, 0, 1], 80).into(), "password", b"&X=1");
        let text = String::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(body.contains(&report.sid) && body.ends_with("&X=1"));
    }
}
