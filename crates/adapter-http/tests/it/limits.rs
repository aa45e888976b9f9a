//! Limits on clients that are unauthenticated, send slowly or do not read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use adapter_http::ListenerSettings;
use serde_json::json;
use tokio::time::timeout;

use crate::client::{Connection, Request};
use crate::fixture::{Running, Size, on_memory, sized};
use crate::service::MadeChannel;

/// Few connections, so that a test can exhaust them.
const MAX_CONNECTIONS: usize = 40;

/// Shorter than any timeout except those under test.
const SOON: Duration = Duration::from_secs(5);

fn few_connections(size: &mut Size) {
    size.public.max_connections = MAX_CONNECTIONS;
    size.operator.max_connections = MAX_CONNECTIONS;
}

/// Opens twice as many connections as are allowed and sends something on each.
async fn crowd(address: SocketAddr, bytes: &[u8]) -> Vec<Connection> {
    let mut crowd = Vec::new();
    for _ in 0..2 * MAX_CONNECTIONS {
        let mut connection = Connection::open(address).await;
        connection.try_write(bytes).await;
        crowd.push(connection);
    }
    crowd
}

async fn assert_accepted_soon(channel: &MadeChannel, running: &Running, sid: &str) {
    let report = channel.report(sid, "sent");
    let answer = timeout(SOON, report.send(running.public)).await;
    assert_eq!(answer.expect("an answer in time").status, 204);
}

#[tokio::test]
async fn unauthenticated_connections_do_not_lock_out_reports() {
    let (running, _) = sized(few_connections).await;
    let channel = running.add_channel("1", json!({})).await;
    let unauthenticated = channel.unauthenticated("SM1", "sent");
    let half = unauthenticated.head()[..20].to_vec();
    let without_body = unauthenticated.head();
    let guess = unauthenticated.clone().basic("twilio", "a guess").bytes();
    for (number, bytes) in [
        unauthenticated.bytes(),
        Vec::new(),
        half,
        without_body,
        guess,
    ]
    .into_iter()
    .enumerate()
    {
        let crowd = crowd(running.public, &bytes).await;
        assert_accepted_soon(&channel, &running, &format!("SM{number}")).await;
        drop(crowd);
    }
}

#[tokio::test]
async fn authenticated_connection_is_evicted_last() {
    let (running, _) = sized(few_connections).await;
    let channel = running.add_channel("1", json!({})).await;
    let mut authenticated = Connection::open(running.public).await;
    let report = channel.report("SM1", "sent");
    authenticated.exchange(&report).await.assert("204");
    let challenge = channel.unauthenticated("SM1", "sent").bytes();
    let _crowd = crowd(running.public, &challenge).await;
    assert_accepted_soon(&channel, &running, "SM2").await;
    let answer = authenticated.exchange(&report).await;
    assert_eq!((answer.status, answer.header("connection")), (204, None));
}

#[tokio::test]
async fn connections_without_the_token_do_not_lock_out_probes() {
    let (running, _) = sized(few_connections).await;
    let address = running.operator;
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
async fn too_long_head_is_refused_before_it_ends() {
    let (running, _) = sized(|size| {
        size.public.max_head = 4_096;
        size.operator.max_head = 4_096;
    })
    .await;
    let channel = running.add_channel("1", json!({})).await;
    // Exactly the limit.
    let report = channel.report("SM1", "sent");
    let rest = 4_096 - report.clone().header("X-Fill", "").head().len();
    let longest = report.clone().header("X-Fill", &"x".repeat(rest));
    assert_eq!(longest.head().len(), 4_096);
    let answer = longest.send(running.public).await;
    assert_eq!(answer.status, 204);
    for address in [running.public, running.operator] {
        for before in [Vec::new(), Request::get("/healthz").bytes()] {
            let mut connection = Connection::open(address).await;
            if !before.is_empty() {
                connection.write(&before).await;
                connection.answer().await;
            }
            let start = Instant::now();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: test\r\nX-Fill: {}",
                "x".repeat(4_060)
            );
            connection.write(&head.as_bytes()[..4_096]).await;
            assert_eq!(connection.answer().await.status, 431);
            assert!(connection.is_closed().await);
            assert!(start.elapsed() < SOON);
        }
    }
}

#[tokio::test]
async fn stalled_second_head_is_closed_before_an_idle_connection() {
    let short = |settings: &mut ListenerSettings| {
        settings.request_timeout = Duration::from_millis(500);
        settings.keep_alive = Duration::from_mins(10);
    };
    let (running, _) = sized(|size| {
        short(&mut size.public);
        short(&mut size.operator);
    })
    .await;
    for address in [running.public, running.operator] {
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
async fn api_body_that_does_not_arrive_in_time_is_answered_408() {
    let (running, _) = sized(|size| {
        size.operator.request_timeout = Duration::from_millis(300);
        size.operator.disconnect_timeout = Duration::from_secs(1);
    })
    .await;
    let request = Request::post("/api/v1/channels").json(&json!({"id": "1"}));
    let chunked = Request::post("/api/v1/channels").header("Transfer-Encoding", "chunked");
    for request in [request, chunked] {
        for (request, expected) in [
            (request.clone(), "401 unauthorized"),
            (request.clone().bearer(&running.admin_token), "408 timeout"),
            (request.clone().path("/nowhere"), "404 not_found"),
        ] {
            let mut connection = Connection::open(running.operator).await;
            connection.write(&request.head()).await;
            let answer = connection.answer().await;
            answer.assert(expected);
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(connection.is_closed().await);
        }
    }
    let long = Request::post("/api/v1/channels").body(vec![b'x'; 1_048_577]);
    let mut connection = Connection::open(running.operator).await;
    let long = long.bearer(&running.admin_token);
    connection.write(&long.head()).await;
    let answer = connection.answer().await;
    answer.assert("413 too_large");
}

#[tokio::test]
async fn client_that_reads_no_answers_is_disconnected() {
    let short = |settings: &mut ListenerSettings| {
        settings.send_timeout = Duration::from_millis(500);
    };
    let (running, _) = sized(|size| {
        short(&mut size.public);
        short(&mut size.operator);
    })
    .await;
    for address in [running.public, running.operator] {
        let mut connection = Connection::open(address).await;
        let many = Request::get("/docs/swagger-ui.css").bytes().repeat(100);
        let start = Instant::now();
        while timeout(SOON * 2, connection.is_writable(&many))
            .await
            .expect("a closed connection")
        {
            assert!(start.elapsed() < SOON * 4, "the server keeps reading");
        }
    }
}

#[tokio::test]
async fn pipelined_requests_longer_than_the_read_ahead_are_answered() {
    let (running, _) = on_memory().await;
    for address in [running.public, running.operator] {
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
async fn upgrade_header_is_ignored() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let mut number = 0;
    for upgrade in [None, Some("websocket"), Some("h2c"), Some(" WebSocket ")] {
        for connection in ["upgrade", "keep-alive, Upgrade", "keep-alive"] {
            number += 1;
            let with_upgrade = |request: Request| {
                let request = request.header("Connection", connection);
                match upgrade {
                    Some(protocol) => request.header("Upgrade", protocol),
                    None => request,
                }
            };
            let report = with_upgrade(channel.report(&format!("SM{number}"), "sent"));
            let start = Instant::now();
            let mut kept = Connection::open(running.public).await;
            let answer = kept.exchange(&report).await;
            assert_eq!(answer.status, 204, "{upgrade:?}, {connection}");
            assert!(start.elapsed() < SOON);
            assert_eq!(store.logged_reports(), number);
            // The connection is kept, or its close is announced.
            if answer.header("connection") == Some("close") {
                assert!(kept.is_closed().await);
            } else {
                let answer = kept.exchange(&channel.report("SM1", "sent")).await;
                answer.assert("204");
            }
            let id =
                json!({"id": number.to_string(), "integrator": "twilio", "name": "N", "user": "u"});
            let add = with_upgrade(Request::post("/api/v1/channels").json(&id))
                .bearer(&running.admin_token);
            let answer = add.send(running.operator).await;
            let expected = if number == 1 { 409 } else { 201 };
            assert_eq!(answer.status, expected, "{upgrade:?}, {connection}");
        }
    }
}

#[tokio::test]
async fn answers_to_wrong_tokens_are_delayed_and_others_are_not() {
    let delay = Duration::from_secs(2);
    let (running, _) = sized(|size| size.operator.refusal_delay = delay).await;
    let start = Instant::now();
    let guess = Request::get("/api/v1/channels").bearer("a guess");
    let guesses = (0..9).map(|_| guess.send(running.operator));
    let right = async {
        assert_eq!(running.get("/api/v1/channels").await.status, 200);
        let none = Request::get("/api/v1/channels");
        none.send(running.operator).await.assert("401");
        assert!(start.elapsed() < delay);
    };
    let (guesses, ()) = tokio::join!(futures_util::future::join_all(guesses), right);
    assert!(guesses.iter().all(|answer| answer.status == 401));
    assert!(start.elapsed() >= delay * 3, "{:?}", start.elapsed());
}

#[tokio::test]
async fn other_host_names_are_answered_421() {
    let (running, _) = on_memory().await;
    let as_host = |path: &str, host: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
        format!(
            "{head}Authorization: Bearer {}\r\n\r\n",
            running.admin_token
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
            let mut connection = Connection::open(running.operator).await;
            connection.write(as_host(path, host).as_bytes()).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, status, "{path} of {host}");
            if status == 421 {
                assert_eq!(answer.problem(), "unknown_host");
            }
        }
    }
}
