//! A fake of Twilio's Messages API: single messages, lists with pages, and the ways in which the
//! real one fails.

#![expect(clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

/// The account whose messages it has.
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// The API key that it accepts.
pub const API_KEY: &str = "SK00000000000000000000000000000001";

/// The secret of the API key.
pub const API_KEY_SECRET: &str = "an-api-key-secret-of-tests";

/// How long a request waits that is not answered.
const HANG: Duration = Duration::from_secs(20);

/// A message as Twilio has it.
#[derive(Clone, Debug)]
pub struct FakeMessage {
    /// Its id.
    pub sid: String,
    /// Its status.
    pub status: String,
    /// Its error code.
    pub error_code: Option<u32>,
    /// Its recipient.
    pub to: String,
    /// Its sender.
    pub from: String,
    /// When it was sent, as a UTC day.
    pub day: String,
    /// When it last changed, by a clock that may be wrong: RFC 2822.
    pub updated: String,
    /// Who sent it: `outbound-api`, or `inbound`.
    pub direction: String,
}

impl FakeMessage {
    /// Returns a message from the default sender of [`crate::builders`] to its default recipient,
    /// sent on the last day that there is, so that it is in every list.
    #[must_use]
    pub fn new(sid: &str, status: &str) -> Self {
        Self {
            sid: sid.to_owned(),
            status: status.to_owned(),
            error_code: None,
            to: "whatsapp:+15550100001".to_owned(),
            from: "whatsapp:+15550109999".to_owned(),
            day: "9999-12-31".to_owned(),
            updated: "Thu, 01 Jan 2026 12:00:00 +0000".to_owned(),
            direction: "outbound-api".to_owned(),
        }
    }

    /// Returns the message as the API does.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "sid": self.sid,
            "account_sid": ACCOUNT,
            "status": self.status,
            "error_code": self.error_code,
            "error_message": self.error_code.map(|code| format!("error {code}")),
            "to": self.to,
            "from": self.from,
            "direction": self.direction,
            "body": "the text of the message, which must not be kept",
            "date_created": self.updated,
            "date_sent": self.updated,
            "date_updated": self.updated,
            "uri": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}.json", self.sid),
        })
    }
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is answered with this status.
    Status(u16),
    /// It is answered that there are too many requests: 429 with code 20429.
    Throttled,
    /// It is not answered.
    Hang,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// It is answered with a text that is not JSON.
    Nonsense,
}

#[derive(Debug, Default)]
struct State {
    /// The newest last.
    messages: Vec<FakeMessage>,
    failures: VecDeque<Failure>,
    always: Option<Failure>,
    page_size: usize,
    key_revoked: bool,
    /// The place of the next page in all lists, instead of the right one.
    next_page: Option<String>,
    /// The body of all responses, instead of the right one.
    body: Option<String>,
    requests: Vec<String>,
}

/// The server. It runs until the process ends.
#[derive(Clone, Debug)]
pub struct FakeTwilio {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FakeTwilio {
    /// Starts a server without messages on a free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            page_size: 1_000,
            ..State::default()
        }));
        let fake = Self { address, state };
        let serving = fake.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // A connection that a client drops costs only itself.
                thread::spawn(move || serving.serve(stream));
            }
        });
        fake
    }

    /// Returns the base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a message, or replaces the one of the same id.
    pub fn put(&self, message: FakeMessage) {
        let mut state = self.state();
        state.messages.retain(|each| each.sid != message.sid);
        state.messages.push(message);
    }

    /// Deletes a message.
    pub fn delete(&self, sid: &str) {
        self.state().messages.retain(|each| each.sid != sid);
    }

    /// Makes the next requests fail, in this order.
    pub fn fail_next(&self, failures: &[Failure]) {
        self.state().failures.extend(failures);
    }

    /// Makes all requests fail, or none.
    pub fn fail_always(&self, failure: Option<Failure>) {
        self.state().always = failure;
    }

    /// Revokes the API key, or makes it valid again.
    pub fn set_key_revoked(&self, revoked: bool) {
        self.state().key_revoked = revoked;
    }

    /// Sets how many messages a page has, at most.
    pub fn set_page_size(&self, size: usize) {
        self.state().page_size = size;
    }

    /// Makes all lists lead to this page, or to the right one.
    pub fn set_next_page(&self, uri: Option<&str>) {
        self.state().next_page = uri.map(str::to_owned);
    }

    /// Makes all requests that do not fail be answered with this body, or with the right one.
    pub fn set_body(&self, body: Option<&str>) {
        self.state().body = body.map(str::to_owned);
    }

    /// Returns path and query of all requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut writer = stream.try_clone().ok()?;
        let mut reader = BufReader::new(stream);
        loop {
            let (target, authorization) = read_request(&mut reader)?;
            let failure = {
                let mut state = self.state();
                state.requests.push(target.clone());
                state.always.or_else(|| state.failures.pop_front())
            };
            let (status, body) = match failure {
                Some(Failure::Hang) => {
                    thread::sleep(HANG);
                    return None;
                }
                Some(Failure::Cut) => {
                    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"messages\":";
                    writer.write_all(head.as_bytes()).ok()?;
                    return None;
                }
                Some(Failure::Nonsense) => (200, "<html>".to_owned()),
                Some(Failure::Status(status)) => error(status, u32::from(status) * 100),
                Some(Failure::Throttled) => error(429, 20_429),
                None => self.answer(&target, &authorization),
            };
            let head = format!(
                "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            writer.write_all(head.as_bytes()).ok()?;
            writer.write_all(body.as_bytes()).ok()?;
        }
    }

    fn answer(&self, target: &str, authorization: &str) -> (u16, String) {
        let state = self.state();
        let pair = STANDARD.encode(format!("{API_KEY}:{API_KEY_SECRET}"));
        let expected = format!("Basic {pair}");
        if state.key_revoked || authorization != expected {
            return error(401, 20_003);
        }
        if let Some(body) = &state.body {
            return (200, body.clone());
        }
        let url = Url::parse(&format!("http://fake{target}")).expect("a path and a query");
        let prefix = format!("/2010-04-01/Accounts/{ACCOUNT}/");
        let resource = url.path().strip_prefix(&prefix).unwrap_or_default();
        if resource == "Messages.json" {
            return (200, list(&state, &url).to_string());
        }
        let sid = resource.strip_prefix("Messages/");
        let sid = sid.and_then(|sid| sid.strip_suffix(".json"));
        let found = state.messages.iter().find(|each| Some(&*each.sid) == sid);
        found.map_or_else(
            || error(404, 20_404),
            |message| (200, message.to_json().to_string()),
        )
    }
}

fn list(state: &State, url: &Url) -> Value {
    let parameter = |name: &str| {
        let found = url.query_pairs().find(|(each, _)| each == name);
        found.map(|(_, value)| value.into_owned())
    };
    let (from, since) = (parameter("From"), parameter("DateSent>"));
    let number = |name| parameter(name).and_then(|text| text.parse().ok());
    let size = number("PageSize").unwrap_or(50).min(state.page_size);
    let start = number("PageToken").unwrap_or(0);
    let matching: Vec<_> = state
        .messages
        .iter()
        .rev()
        .filter(|each| from.as_ref().is_none_or(|from| *from == each.from))
        .filter(|each| since.as_ref().is_none_or(|since| *since <= each.day))
        .collect();
    let next = (start + size < matching.len()).then(|| {
        let mut next = url.clone();
        let others: Vec<_> = url
            .query_pairs()
            .filter(|(name, _)| name != "PageToken")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        next.query_pairs_mut()
            .clear()
            .extend_pairs(others)
            .append_pair("PageToken", &(start + size).to_string());
        format!("{}?{}", next.path(), next.query().unwrap_or_default())
    });
    let next = state.next_page.clone().or(next);
    let page: Vec<_> = matching
        .into_iter()
        .skip(start)
        .take(size)
        .map(FakeMessage::to_json)
        .collect();
    json!({"messages": page, "next_page_uri": next, "page_size": size})
}

fn error(status: u16, code: u32) -> (u16, String) {
    let body = json!({"code": code, "message": "an error of the fake", "status": status});
    (status, body.to_string())
}

/// Returns target and `Authorization` of a request; `None` at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut authorization = String::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            return Some((target, authorization));
        }
        let (name, value) = header.split_once(':')?;
        if name.eq_ignore_ascii_case("authorization") {
            value.trim().clone_into(&mut authorization);
        }
    }
}
