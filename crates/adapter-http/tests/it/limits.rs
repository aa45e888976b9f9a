//! What a client may hold that has shown no credentials, sends slowly or does not read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use adapter_http::ListenerSettings;
use serde_json::json;
use testkit::memory::MemoryStore;
use tokio::time::timeout;

use crate::client::{Connection, Request};
use crate::fixture::{Running, Size, Stores, start};
use crate::service::MadeChannel;

/// Few connections, so that a test can use them up.
const CONNECTIONS: usize = 40;

/// Shorter than any time limit but those under test.
const SOON: Duration = Duration::from_secs(5);

async fn sized(change: impl FnOnce(&mut Size)) -> (Running, MemoryStore) {
    let store = MemoryStore::new();
    let mut size = Size::default();
    change(&mut size);
    (start(Stores::from(&store), &size).await, store)
}

fn few_connections(size: &mut Size) {
    size.public.max_connections = CONNECTIONS;
    size.operator.max_connections = CONNECTIONS;
}

/// As many connections again as are allowed, each after having sent something.
async fn crowd(address: SocketAddr, bytes: &[u8]) -> Vec<Connection> {
    let mut crowd = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        let mut connection = Connection::open(address).await;
        connection.try_write(bytes).await;
        crowd.push(connection);
    }
    crowd
}

async fn is_taken_soon(channel: &MadeChannel, running: &Running, sid: &str) {
    let report = channel.report(sid, "sent");
    let answer = timeout(SOON, report.send(running.service.public)).await;
    assert_eq!(answer.expect("an answer in time").status, 204);
}

#[tokio::test]
async fn connections_without_credentials_do_not_lock_out_reports() {
    let (running, _) = sized(few_connections).await;
    let channel = running.service.add_channel("1", json!({})).await;
    let unproven = channel.unproven("SM1", "sent");
    let half = unproven.head()[..20].to_vec();
    let without_body = unproven.head();
    let guess = unproven.clone().basic("twilio", "a guess").bytes();
    for (number, bytes) in [unproven.bytes(), Vec::new(), half, without_body, guess]
        .into_iter()
        .enumerate()
    {
        let crowd = crowd(running.service.public, &bytes).await;
        is_taken_soon(&channel, &running, &format!("SM{number}")).await;
        drop(crowd);
    }
}

#[tokio::test]
async fn a_connection_that_has_shown_credentials_outlives_those_that_have_not() {
    let (running, _) = sized(few_connections).await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut proven = Connection::open(running.service.public).await;
    let report = channel.report("SM1", "sent").bytes();
    proven.write(&report).await;
    assert_eq!(proven.answer().await.status, 204);
    let challenge = channel.unproven("SM1", "sent").bytes();
    let _crowd = crowd(running.service.public, &challenge).await;
    is_taken_soon(&channel, &running, "SM2").await;
    proven.write(&report).await;
    let answer = proven.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (204, None));
}

#[tokio::test]
async fn connections_without_the_token_do_not_lock_out_probes() {
    let (running, _) = sized(few_connections).await;
    let address = running.service.operator;
    let second = [Request::get("/healthz").bytes(), b"G".to_vec()].concat();
    let bundle = Request::get("/docs/swagger-ui-bundle.js").bytes();
    for bytes in [second, Vec::new(), bundle.repeat(20)] {
        let crowd = crowd(address, &bytes).await;
        let probe = Request::get("/readyz");
        let answer = timeout(SOON, probe.send(address)).await;
        assert_eq!(answer.expect("an answer in time").status, 200);
        drop(crowd);
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_before_it_ends() {
    let (running, _) = sized(|size| {
        size.public.max_head = 4_096;
        size.operator.max_head = 4_096;
    })
    .await;
    let channel = running.service.add_channel("1", json!({})).await;
    // Exactly as much as is allowed.
    let report = channel.report("SM1", "sent");
    let rest = 4_096 - report.clone().header("X-Fill", "").head().len();
    let longest = report.clone().header("X-Fill", &"x".repeat(rest));
    assert_eq!(longest.head().len(), 4_096);
    let answer = longest.send(running.service.public).await;
    assert_eq!(answer.status, 204);
    for address in [running.service.public, running.service.operator] {
        for before in [Vec::new(), Request::get("/healthz").bytes()] {
            let mut connection = Connection::open(address).await;
            if !before.is_empty() {
                connection.write(&before).await;
                connection.answer().await;
            }
            let began = Instant::now();
            let start = format!(
                "POST / HTTP/1.1\r\nHost: test\r\nX-Fill: {}",
                "x".repeat(4_060)
            );
            connection.write(&start.as_bytes()[..4_096]).await;
            assert_eq!(connection.answer().await.status, 431);
            assert!(connection.is_closed().await);
            assert!(began.elapsed() < SOON);
        }
    }
}

#[tokio::test]
async fn a_second_head_that_does_not_go_on_is_given_up_before_an_idle_connection_is() {
    let short = |settings: &mut ListenerSettings| {
        settings.request_timeout = Duration::from_millis(500);
        settings.keep_alive = Duration::from_mins(10);
    };
    let (running, _) = sized(|size| {
        short(&mut size.public);
        short(&mut size.operator);
    })
    .await;
    for address in [running.service.public, running.service.operator] {
        let mut idle = Connection::open(address).await;
        let mut stuck = Connection::open(address).await;
        for connection in [&mut idle, &mut stuck] {
            connection.write(&Request::get("/healthz").bytes()).await;
            connection.answer().await;
        }
        stuck.write(b"G").await;
        assert!(stuck.is_closed().await);
        idle.write(&Request::get("/healthz").bytes()).await;
        idle.answer().await;
    }
}

#[tokio::test]
async fn a_body_for_the_api_arrives_in_time_or_not_at_all() {
    let (running, _) = sized(|size| {
        size.operator.request_timeout = Duration::from_millis(300);
        size.operator.disconnect_timeout = Duration::from_secs(1);
    })
    .await;
    let service = &running.service;
    let request = Request::post("/api/v1/channels").json(&json!({"id": "1"}));
    let chunked = Request::post("/api/v1/channels").header("Transfer-Encoding", "chunked");
    for request in [request, chunked] {
        for (request, status, code) in [
            (request.clone(), 401, "unauthorized"),
            (request.clone().bearer(&service.admin_token), 408, "timeout"),
            (request.clone().path("/nowhere"), 404, "not_found"),
        ] {
            let mut connection = Connection::open(service.operator).await;
            connection.write(&request.head()).await;
            let answer = connection.answer().await;
            assert_eq!((answer.status, answer.problem().as_str()), (status, code));
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(connection.is_closed().await);
        }
    }
    let long = Request::post("/api/v1/channels").body(vec![b'x'; 1_048_577]);
    let mut connection = Connection::open(service.operator).await;
    let long = long.bearer(&service.admin_token);
    connection.write(&long.head()).await;
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too_large")
    );
}

#[tokio::test]
async fn a_client_that_sends_requests_and_reads_no_answers_is_cut_off() {
    let short = |settings: &mut ListenerSettings| {
        settings.send_timeout = Duration::from_millis(500);
    };
    let (running, _) = sized(|size| {
        short(&mut size.public);
        short(&mut size.operator);
    })
    .await;
    for address in [running.service.public, running.service.operator] {
        let mut connection = Connection::open(address).await;
        let many = Request::get("/docs/swagger-ui.css").bytes().repeat(100);
        let began = Instant::now();
        while timeout(SOON * 2, connection.wrote(&many))
            .await
            .expect("an end")
        {
            assert!(began.elapsed() < SOON * 4, "it takes all that comes");
        }
    }
}

#[tokio::test]
async fn pipelined_requests_longer_than_what_is_read_ahead_are_all_answered() {
    let (running, _) = sized(|_| {}).await;
    for address in [running.service.public, running.service.operator] {
        let mut connection = Connection::open(address).await;
        let short = Request::get("/nowhere");
        let long = short.clone().header("X-Fill", &"x".repeat(5_000));
        let both = [short.bytes(), long.bytes(), short.bytes()].concat();
        connection.write(&both.repeat(20)).await;
        for _ in 0..60 {
            let answer = timeout(SOON, connection.answer()).await;
            assert_eq!(answer.expect("an answer in time").status, 404);
        }
    }
}

#[tokio::test]
async fn a_request_for_an_upgrade_is_answered_as_if_it_asked_for_none() {
    let (running, store) = sized(|_| {}).await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let mut number = 0;
    for upgrade in [None, Some("websocket"), Some("h2c"), Some(" WebSocket ")] {
        for connection in ["upgrade", "keep-alive, Upgrade", "keep-alive"] {
            number += 1;
            let asks = |request: Request| {
                let request = request.header("Connection", connection);
                match upgrade {
                    Some(protocol) => request.header("Upgrade", protocol),
                    None => request,
                }
            };
            let report = asks(channel.report(&format!("SM{number}"), "sent"));
            let began = Instant::now();
            let mut kept = Connection::open(service.public).await;
            kept.write(&report.bytes()).await;
            let answer = kept.answer().await;
            assert_eq!(answer.status, 204, "{upgrade:?}, {connection}");
            assert!(began.elapsed() < SOON);
            assert_eq!(store.logged_reports(), number);
            // It is kept, or it is said that it is not.
            if answer.header("connection") == Some("close") {
                assert!(kept.is_closed().await);
            } else {
                kept.write(&channel.report("SM1", "sent").bytes()).await;
                assert_eq!(kept.answer().await.status, 204);
            }
            let id =
                json!({"id": number.to_string(), "integrator": "twilio", "name": "N", "user": "u"});
            let add =
                asks(Request::post("/api/v1/channels").json(&id)).bearer(&service.admin_token);
            let answer = add.send(service.operator).await;
            let expected = if number == 1 { 409 } else { 201 };
            assert_eq!(answer.status, expected, "{upgrade:?}, {connection}");
        }
    }
}

#[tokio::test]
async fn wrong_tokens_are_answered_slowly_and_the_right_one_meanwhile_is_not() {
    let delay = Duration::from_secs(2);
    let (running, _) = sized(|size| size.operator.refusal_delay = delay).await;
    let service = &running.service;
    let began = Instant::now();
    let guess = Request::get("/api/v1/channels").bearer("a guess");
    let guesses = (0..9).map(|_| guess.send(service.operator));
    let right = async {
        assert_eq!(service.get("/api/v1/channels").await.status, 200);
        let none = Request::get("/api/v1/channels")
            .send(service.operator)
            .await;
        assert_eq!(none.status, 401);
        assert!(began.elapsed() < delay);
    };
    let (guesses, ()) = tokio::join!(futures_util::future::join_all(guesses), right);
    assert!(guesses.iter().all(|answer| answer.status == 401));
    assert!(began.elapsed() >= delay * 3, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_page_of_another_host_name_is_answered_nothing() {
    let (running, _) = sized(|_| {}).await;
    let service = &running.service;
    let as_host = |path: &str, host: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
        format!(
            "{head}Authorization: Bearer {}\r\n\r\n",
            service.admin_token
        )
    };
    for (path, known, unknown) in [
        ("/api/v1/channels", 200, 421),
        ("/openapi.json", 200, 421),
        ("/docs/", 200, 421),
        ("/", 307, 421),
        ("/nowhere", 404, 421),
        ("/metrics", 200, 200),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
    ] {
        for (host, status) in [
            ("rebind.example.net", unknown),
            ("127.0.0.1.example.net:8081", unknown),
            ("localhost:8081", known),
            ("[::1]:8081", known),
            ("test", known),
        ] {
            let mut connection = Connection::open(service.operator).await;
            connection.write(as_host(path, host).as_bytes()).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, status, "{path} of {host}");
            if status == 421 {
                assert_eq!(answer.problem(), "unknown_host");
            }
        }
    }
}
