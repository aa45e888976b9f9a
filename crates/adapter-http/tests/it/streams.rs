//! Streams of events, and limits on their clients.

use std::time::Duration;

use ports::ReportStore as _;
use serde_json::{Value, json};
use testkit::builders::{report as report_of, twilio_sid};
use testkit::memory::MemoryStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Request;
use crate::events::report;
use crate::fixture::{Running, on_memory, sized};
use crate::positions::prune;

/// A stream of events, as bytes.
struct EventStream {
    connection: TcpStream,
    text: String,
}

impl EventStream {
    /// Opens a stream and reads its first frame.
    async fn open(running: &Running, query: &str, last: Option<&str>) -> Self {
        let mut stream = Self::request(running, query, last).await;
        stream.until("retry: 2000").await;
        stream
    }

    /// Requests a stream without reading the answer.
    async fn request(running: &Running, query: &str, last: Option<&str>) -> Self {
        Self::request_with(running, &running.admin_token, query, last).await
    }

    /// Requests a stream with a token.
    async fn request_with(running: &Running, token: &str, query: &str, last: Option<&str>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that the server soon notices a client that does not read.
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut connection = socket.connect(running.operator).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET /api/v1/events/stream{query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n{}\r\n",
            token,
            last.unwrap_or_default()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        Self {
            connection,
            text: String::new(),
        }
    }

    /// Reads until the stream contains `what`.
    async fn until(&mut self, what: &str) {
        let mut buffer = [0; 4_096];
        while !self.text.contains(what) {
            let reading = self.connection.read(&mut buffer);
            let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
            let read = read
                .unwrap_or_else(|_| panic!("{what} is missing: {}", self.text))
                .unwrap();
            assert!(read > 0, "the stream ended: {}", self.text);
            self.text
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// Reads until the server closes the connection.
    async fn read_to_end(&mut self) {
        let mut rest = Vec::new();
        let reading = self.connection.read_to_end(&mut rest);
        // A reset also ends the connection.
        let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
        ended.expect("the stream does not end").ok();
        self.text.push_str(&String::from_utf8_lossy(&rest));
    }

    /// Returns the value of the last line of this name.
    fn last(&self, name: &str) -> &str {
        let lines = self.text.lines().rev();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().unwrap()
    }
}

#[tokio::test]
async fn stream_sends_live_events_and_resumes_after_the_last_one() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    report(&running, &channel, &twilio_sid(1), "sent").await;

    let mut live = EventStream::open(&running, "", None).await;
    report(&running, &channel, &twilio_sid(2), "sent").await;
    live.until(&twilio_sid(2)).await;
    live.until("\n\n").await;
    assert!(!live.text.contains(&twilio_sid(1)), "{}", live.text);
    assert!(live.text.contains("text/event-stream"));
    assert_eq!(live.last("event"), "message.sent");
    let data: Value = serde_json::from_str(live.last("data")).unwrap();
    assert_eq!(data["subject"], json!(twilio_sid(2)));
    let id = live.last("id").to_owned();
    drop(live);

    report(&running, &channel, &twilio_sid(3), "failed").await;
    report(&running, &channel, &twilio_sid(3), "delivered").await;
    let mut resumed = EventStream::open(&running, "", Some(&id)).await;
    resumed.until("message.contradicted").await;
    resumed.until(&twilio_sid(3)).await;
    assert!(!resumed.text.contains(&twilio_sid(2)), "{}", resumed.text);

    let mut filtered = EventStream::open(
        &running,
        "?types=message.delivered&since=2026-11-22T18:06:17Z",
        None,
    )
    .await;
    filtered.until("message.delivered").await;
    assert!(!filtered.text.contains("event: message.sent"));
}

#[tokio::test]
async fn stream_ends_before_the_next_event_when_its_token_is_revoked() {
    let (running, _) = sized(|size| size.streams.token_check = Duration::ZERO).await;
    let channel = running.add_channel("1", json!({})).await;
    let added = json!({"name": "a", "role": "viewer", "rights": ["reveal"]});
    let added = running.api("POST /tokens", added).await.json();
    let token = added["token"].as_str().unwrap();
    let mut live = EventStream::request_with(&running, token, "?reveal=true", None).await;
    live.until("retry: 2000").await;
    report(&running, &channel, &twilio_sid(1), "sent").await;
    live.until(&twilio_sid(1)).await;

    let revoke = format!("DELETE /tokens/{}", added["id"].as_str().unwrap());
    running.api(&revoke, Value::Null).await.assert("204");
    report(&running, &channel, &twilio_sid(2), "sent").await;
    live.read_to_end().await;
    assert!(!live.text.contains(&twilio_sid(2)), "{}", live.text);
    assert_eq!(live.last("event"), "interrupted");
    let mut of_admin = EventStream::open(&running, "?since=2026-11-22T18:06:17Z", None).await;
    of_admin.until(&twilio_sid(2)).await;
}

/// More reports than there are events in all buffers.
const MANY: usize = 8_000;

async fn record_many(store: &MemoryStore) {
    let reports: Vec<_> = (0..MANY)
        .map(|number| report_of(&format!("SM{number}")).build())
        .collect();
    for batch in reports.chunks(1_000) {
        store.record(batch).await.unwrap();
    }
}

/// Retries until another stream can be opened.
async fn open_another(running: &Running) -> EventStream {
    for _ in 0..2_000 {
        let mut stream = EventStream::request(running, "", None).await;
        stream.until("\r\n\r\n").await;
        if stream.text.starts_with("HTTP/1.1 200") {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no other stream can be opened")
}

#[tokio::test]
async fn client_that_reads_nothing_is_disconnected() {
    let (running, store) = sized(|size| {
        size.streams.max_streams = 1;
        size.streams.send_timeout = Duration::from_millis(200);
        size.streams.close_timeout = Duration::from_millis(200);
    })
    .await;
    record_many(&store).await;
    let mut slow = EventStream::open(&running, "?after=oldest", None).await;
    let second = Request::get("/api/v1/events/stream");
    let refused = running.operator(second).await;
    refused.assert("503 too_many_streams");
    // The permit is released once the server has dropped the stream.
    open_another(&running).await;
    slow.read_to_end().await;
    let received = slow.text.matches("event: message.").count();
    assert!(received < MANY, "all {received} events were received");
}

#[tokio::test]
async fn slow_client_is_dropped_with_a_position_to_resume_after() {
    let (running, store) = sized(|size| {
        size.streams.send_timeout = Duration::from_millis(100);
        size.streams.close_timeout = Duration::from_mins(1);
    })
    .await;
    record_many(&store).await;
    let mut slow = EventStream::open(&running, "?after=oldest", None).await;
    // Longer than `send_timeout`.
    tokio::time::sleep(Duration::from_secs(2)).await;
    slow.read_to_end().await;
    assert_eq!(slow.last("event"), "dropped");
    let data: Value = serde_json::from_str(slow.last("data")).unwrap();
    assert_eq!(data, json!({"resume_after": slow.last("id")}));
    let received = slow.text.matches("event: message.").count();
    assert!(received < MANY, "all {received} events were received");

    // It resumes there automatically and misses no event.
    let id = slow.last("id").to_owned();
    let mut resumed = EventStream::open(&running, "", Some(&id)).await;
    resumed.until(&format!("\"SM{received}\"")).await;
    assert!(!resumed.text.contains(&format!("\"SM{}\"", received - 1)));
}

#[tokio::test]
async fn number_of_streams_is_limited() {
    let (running, _) = sized(|size| {
        size.streams.max_streams = 2;
        // A failed heartbeat shows that a client has disconnected.
        size.streams.heartbeat = Duration::from_millis(50);
    })
    .await;
    let one = EventStream::open(&running, "", None).await;
    let _other = EventStream::open(&running, "", None).await;
    let third = || Request::get("/api/v1/events/stream");
    let answer = running.operator(third()).await;
    answer.assert("503 too_many_streams");
    assert_eq!(answer.header("retry-after"), Some("1"));
    // An invalid request is answered first and needs no permit.
    let invalid = running.get("/api/v1/events/stream?types=x").await;
    invalid.assert("400");
    drop(one);
    open_another(&running).await;
}

#[tokio::test]
async fn idle_stream_sends_heartbeats() {
    let heartbeat = Duration::from_millis(50);
    let (running, _) = sized(|size| size.streams.heartbeat = heartbeat).await;
    let mut stream = EventStream::open(&running, "", None).await;
    for _ in 0..3 {
        stream.text.clear();
        stream.until(": heartbeat\n\n").await;
    }
}

#[tokio::test]
async fn every_frame_has_data_or_is_a_comment() {
    let heartbeat = Duration::from_millis(50);
    let (running, _) = sized(|size| size.streams.heartbeat = heartbeat).await;
    let channel = running.add_channel("1", json!({})).await;
    let mut stream = EventStream::open(&running, "", None).await;
    stream.until(": heartbeat\n\n").await;
    report(&running, &channel, &twilio_sid(1), "sent").await;
    stream.until(&twilio_sid(1)).await;
    let mut text = std::mem::take(&mut stream.text);
    stream.until(": heartbeat\n\n").await;
    text.push_str(&stream.text);
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    // Without the lines of the chunks.
    let lines: Vec<_> = body
        .split('\n')
        .filter(|line| !line.ends_with('\r'))
        .collect();
    let text = lines.join("\n");
    let frames = text.split("\n\n").filter(|frame| !frame.is_empty());
    for frame in frames {
        let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
        match data {
            Some(data) => assert!(serde_json::from_str::<Value>(data).is_ok(), "{frame}"),
            None => assert!(frame.starts_with(':'), "{frame}"),
        }
        assert!(data.is_some() || !frame.contains("\nid:"), "{frame}");
    }
}

#[tokio::test]
async fn parameters_are_checked_even_with_last_event_id() {
    let (running, _) = on_memory().await;
    let stream = Request::get("/api/v1/events/stream?since=").header("Last-Event-ID", "MA");
    let answer = running.operator(stream).await;
    answer.assert("400 invalid_value");
}

#[tokio::test]
async fn empty_last_event_id_is_ignored() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    report(&running, &channel, &twilio_sid(1), "sent").await;
    let mut stream = EventStream::open(&running, "?after=oldest", Some("")).await;
    stream.until(&twilio_sid(1)).await;
}

#[tokio::test]
async fn stream_after_a_removed_position_names_the_one_to_resume_after() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    for number in 1..3 {
        report(&running, &channel, &twilio_sid(number), "sent").await;
    }
    let first = running.shown("/api/v1/events?limit=1").await;
    prune(&store).await;
    let next = first["next"].as_str().unwrap();
    let mut stream = EventStream::open(&running, "", Some(next)).await;
    stream.read_to_end().await;
    assert_eq!(stream.last("event"), "pruned");
    let id = stream.last("id").to_owned();
    let data: Value = serde_json::from_str(stream.last("data")).unwrap();
    assert_eq!(data, json!({"resume_after": id}));

    // A client that reconnects automatically resumes there.
    let mut resumed = EventStream::open(&running, "", Some(&id)).await;
    report(&running, &channel, &twilio_sid(3), "sent").await;
    resumed.until(&twilio_sid(3)).await;
    assert!(!resumed.text.contains("event: pruned"));
}
