//! An HTTP/1.1 client that sends exactly the given bytes.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use traffic::form::encode;
use traffic::request::authorization;

/// Longer than any answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A request, not yet sent.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes all header lines of a name.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(each, _)| !each.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces a header line.
    pub fn replaced(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub fn basic(self, user: &str, password: &str) -> Self {
        self.replaced("Authorization", &authorization(user, password))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.replaced("Authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets a body of these chunks.
    pub fn chunks(self, chunks: &[&[u8]]) -> Self {
        let mut body = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked").body(body)
    }

    /// Sets a form body.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.replaced("Content-Type", "application/x-www-form-urlencoded")
            .body(encode(fields))
    }

    pub fn json(self, body: &Value) -> Self {
        self.replaced("Content-Type", "application/json")
            .body(body.to_string())
    }

    pub fn verb(&self) -> &str {
        &self.method
    }

    /// Returns the path without its query.
    pub fn path_alone(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Returns the value of `Authorization`.
    pub fn authorization(&self) -> &str {
        let mut headers = self.headers.iter();
        let line = headers.find(|(name, _)| name == "Authorization");
        line.map(|(_, value)| value.as_str()).expect("one")
    }

    /// Returns the bytes before the body, with its length unless it is chunked.
    pub fn head(&self) -> Vec<u8> {
        let mut lines = vec![
            format!("{} {} HTTP/1.1", self.method, self.path),
            "Host: localhost".to_owned(),
        ];
        let headers = self.headers.iter();
        lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
        let mut names = self.headers.iter().map(|(name, _)| name);
        let chunked = names.any(|name| name.eq_ignore_ascii_case("Transfer-Encoding"));
        if let Some(body) = &self.body
            && !chunked
        {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    pub fn body_bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Sends the request on a new connection and returns the answer.
    pub async fn send(&self, address: SocketAddr) -> Answer {
        let mut connection = Connection::open(address).await;
        connection.write(&self.bytes()).await;
        if self.method == "HEAD" {
            connection.head_of_answer().await
        } else {
            connection.answer().await
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In the order received, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.headers.iter().find(|(each, _)| each == name);
        line.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks that the answer is as `expected`, for example `404`, `409 outdated` or
    /// `400 invalid_value limit`: its status, and the code and field of its problem if they are
    /// given.
    #[track_caller]
    pub fn assert(&self, expected: &str) {
        self.assert_for("", expected);
    }

    /// Checks like [`Self::assert`]; a failure names the case.
    #[track_caller]
    pub fn assert_for(&self, case: &str, expected: &str) {
        let mut words = expected.split(' ');
        let status = words.next().unwrap();
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.to_string(), status, "{case}: {text}");
        if let Some(code) = words.next() {
            assert_eq!(self.problem(), code, "{case}: {text}");
        }
        if let Some(field) = words.next() {
            assert_eq!(self.json()["field"], field, "{case}: {text}");
        }
    }

    /// Checks the members of a problem and returns its code.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], self.status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Returns the answer without the date, with sorted headers.
    pub fn undated(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date");
        self.headers.sort();
        self
    }
}

/// A connection for any number of requests.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a listener");
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("an open connection");
    }

    /// Writes, and ignores a closed connection.
    pub async fn try_write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Writes; returns `false` if the server has closed the connection.
    pub async fn is_writable(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Sends a request and returns its answer.
    pub async fn exchange(&mut self, request: &Request) -> Answer {
        self.write(&request.bytes()).await;
        self.answer().await
    }

    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.head_of_answer().await;
        let length = answer.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            assert!(self.read_some().await, "the answer breaks off");
        }
        answer.body = self.read.drain(..length).collect();
        answer
    }

    /// Returns status and header lines of the next answer.
    pub async fn head_of_answer(&mut self) -> Answer {
        let end = loop {
            let end = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
            assert!(self.read_some().await, "closed without an answer");
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header line");
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Answer {
            status: status.parse().unwrap(),
            headers: lines.map(header).collect(),
            body: Vec::new(),
        }
    }

    /// Returns whether the server closes the connection without sending more.
    pub async fn is_closed(&mut self) -> bool {
        let more = self.read_some().await;
        !more && self.read.is_empty()
    }

    /// Reads some bytes; `false` at the end of the connection.
    async fn read_some(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let read = tokio::time::timeout(ANSWER_TIMEOUT, self.stream.read(&mut chunk)).await;
        // A reset also ends the connection.
        let length = read.expect("the server sends nothing").unwrap_or(0);
        self.read.extend_from_slice(&chunk[..length]);
        length > 0
    }
}
