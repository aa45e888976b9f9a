//! Events as they happen, and what protects the service from those who listen.

use std::time::Duration;

use adapter_http::StreamSettings;
use ports::ReportStore as _;
use serde_json::{Value, json};
use testkit::builders::{report as report_of, twilio_sid};
use testkit::memory::MemoryStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Request;
use crate::events::report;
use crate::fixture::{Running, Size, Stores, on_memory, start};
use crate::places::prune;

async fn streaming(streams: StreamSettings) -> (Running, MemoryStore) {
    let store = MemoryStore::new();
    let size = Size {
        streams,
        ..Size::default()
    };
    (start(Stores::from(&store), &size).await, store)
}

/// A stream of events as its bytes come.
struct Streamed {
    connection: TcpStream,
    text: String,
}

impl Streamed {
    async fn begin(running: &Running, query: &str, last: Option<&str>) -> Self {
        let mut stream = Self::asked(running, query, last).await;
        stream.until("retry: 2000").await;
        stream
    }

    /// Asks for a stream; what is answered is still to be read.
    async fn asked(running: &Running, query: &str, last: Option<&str>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that the other side soon notices whoever does not read.
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut connection = socket.connect(running.service.operator).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET /api/v1/events/stream{query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n{}\r\n",
            running.service.admin_token,
            last.unwrap_or_default()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        Self {
            connection,
            text: String::new(),
        }
    }

    async fn until(&mut self, what: &str) {
        let mut buffer = [0; 4_096];
        while !self.text.contains(what) {
            let reading = self.connection.read(&mut buffer);
            let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
            let read = read
                .unwrap_or_else(|_| panic!("{what} does not come: {}", self.text))
                .unwrap();
            assert!(read > 0, "the stream ended: {}", self.text);
            self.text
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// Reads until the other side ends it.
    async fn read_to_its_end(&mut self) {
        let mut rest = Vec::new();
        let reading = self.connection.read_to_end(&mut rest);
        // A reset is an end too.
        let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
        ended.expect("it does not end").ok();
        self.text.push_str(&String::from_utf8_lossy(&rest));
    }

    /// The value of the last line of this name.
    fn last(&self, name: &str) -> &str {
        let lines = self.text.lines().rev();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().unwrap()
    }
}

#[tokio::test]
async fn a_stream_tells_what_happens_and_resumes_where_it_was_cut() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    report(&running, &channel, &twilio_sid(1), "sent").await;

    let mut live = Streamed::begin(&running, "", None).await;
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
    let mut resumed = Streamed::begin(&running, "", Some(&id)).await;
    resumed.until("message.contradicted").await;
    resumed.until(&twilio_sid(3)).await;
    assert!(!resumed.text.contains(&twilio_sid(2)), "{}", resumed.text);

    let mut filtered = Streamed::begin(
        &running,
        "?types=message.delivered&since=2026-11-22T18:06:17Z",
        None,
    )
    .await;
    filtered.until("message.delivered").await;
    assert!(!filtered.text.contains("event: message.sent"));
}

/// More reports than all buffers on the way hold events of.
const MANY: usize = 8_000;

async fn record_many(store: &MemoryStore) {
    let reports: Vec<_> = (0..MANY)
        .map(|number| report_of(&format!("SM{number}")).build())
        .collect();
    for batch in reports.chunks(1_000) {
        store.record(batch).await.unwrap();
    }
}

/// Asks until there is a place for another stream.
async fn place_for_another(running: &Running) -> Streamed {
    for _ in 0..2_000 {
        let mut stream = Streamed::asked(running, "", None).await;
        stream.until("\r\n\r\n").await;
        if stream.text.starts_with("HTTP/1.1 200") {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there is no place for another stream")
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_connection() {
    let (running, store) = streaming(StreamSettings {
        most: 1,
        patience: Duration::from_millis(200),
        farewell: Duration::from_millis(200),
        ..StreamSettings::default()
    })
    .await;
    record_many(&store).await;
    let mut slow = Streamed::begin(&running, "?after=oldest", None).await;
    let second = Request::get("/api/v1/events/stream");
    let refused = running.service.operator(second).await;
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (503, "too_many_streams")
    );
    // Its place is free only once the server holds nothing for it any more.
    place_for_another(&running).await;
    slow.read_to_its_end().await;
    let came = slow.text.matches("event: message.").count();
    assert!(came < MANY, "{came} events came in spite of all");
}

#[tokio::test]
async fn a_client_that_fell_behind_is_told_where_to_go_on() {
    let (running, store) = streaming(StreamSettings {
        patience: Duration::from_millis(100),
        farewell: Duration::from_mins(1),
        ..StreamSettings::default()
    })
    .await;
    record_many(&store).await;
    let mut slow = Streamed::begin(&running, "?after=oldest", None).await;
    // Longer than its patience.
    tokio::time::sleep(Duration::from_secs(2)).await;
    slow.read_to_its_end().await;
    assert_eq!(slow.last("event"), "dropped");
    let data: Value = serde_json::from_str(slow.last("data")).unwrap();
    assert_eq!(data, json!({"resume_after": slow.last("id")}));
    let came = slow.text.matches("event: message.").count();
    assert!(came < MANY, "{came} events came in spite of all");

    // It goes on there by itself, and misses nothing.
    let id = slow.last("id").to_owned();
    let mut resumed = Streamed::begin(&running, "", Some(&id)).await;
    resumed.until(&format!("\"SM{came}\"")).await;
    assert!(!resumed.text.contains(&format!("\"SM{}\"", came - 1)));
}

#[tokio::test]
async fn there_are_as_many_streams_as_there_may_be() {
    let (running, _) = streaming(StreamSettings {
        most: 2,
        // What is said to a client that has gone shows that it has.
        heartbeat: Duration::from_millis(50),
        ..StreamSettings::default()
    })
    .await;
    let one = Streamed::begin(&running, "", None).await;
    let _other = Streamed::begin(&running, "", None).await;
    let third = || Request::get("/api/v1/events/stream");
    let answer = running.service.operator(third()).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "too_many_streams")
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    // What is wrong is said first, and takes no place.
    let wrong = running.service.get("/api/v1/events/stream?types=x").await;
    assert_eq!(wrong.status, 400);
    drop(one);
    place_for_another(&running).await;
}

#[tokio::test]
async fn a_stream_is_never_silent_for_long() {
    let (running, _) = streaming(StreamSettings {
        heartbeat: Duration::from_millis(50),
        ..StreamSettings::default()
    })
    .await;
    let mut stream = Streamed::begin(&running, "", None).await;
    for _ in 0..3 {
        stream.text.clear();
        stream.until(": heartbeat\n\n").await;
    }
}

#[tokio::test]
async fn every_frame_has_data_or_begins_as_a_comment() {
    let (running, _) = streaming(StreamSettings {
        heartbeat: Duration::from_millis(50),
        ..StreamSettings::default()
    })
    .await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut stream = Streamed::begin(&running, "", None).await;
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
async fn parameters_are_checked_although_last_event_id_decides() {
    let (running, _) = on_memory().await;
    let stream = Request::get("/api/v1/events/stream?since=").header("Last-Event-ID", "MA");
    let answer = running.service.operator(stream).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "invalid_value")
    );
}

#[tokio::test]
async fn empty_last_event_id_is_an_absent_one() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    report(&running, &channel, &twilio_sid(1), "sent").await;
    let mut stream = Streamed::begin(&running, "?after=oldest", Some("")).await;
    stream.until(&twilio_sid(1)).await;
}

#[tokio::test]
async fn a_stream_from_a_place_that_is_gone_says_where_there_is_something() {
    let (running, store) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    for number in 1..3 {
        report(&running, &channel, &twilio_sid(number), "sent").await;
    }
    let first = running.service.shown("/api/v1/events?limit=1").await;
    prune(&store).await;
    let next = first["next"].as_str().unwrap();
    let mut stream = Streamed::begin(&running, "", Some(next)).await;
    stream.read_to_its_end().await;
    assert_eq!(stream.last("event"), "pruned");
    let id = stream.last("id").to_owned();
    let data: Value = serde_json::from_str(stream.last("data")).unwrap();
    assert_eq!(data, json!({"resume_after": id}));

    // A client that connects again by itself goes on from there.
    let mut resumed = Streamed::begin(&running, "", Some(&id)).await;
    report(&running, &channel, &twilio_sid(3), "sent").await;
    resumed.until(&twilio_sid(3)).await;
    assert!(!resumed.text.contains("event: pruned"));
}
