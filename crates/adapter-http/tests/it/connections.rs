//! Connections after an answer that did not need the body. Half of all valid requests are
//! challenged first; a new connection for every second request would cost more than the report.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Connection, Request};
use crate::fixture::{on_memory, sized};

#[tokio::test]
async fn challenged_request_is_repeated_on_the_same_connection() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.public).await;
    for round in 0..10 {
        let sid = format!("SM{round}");
        let unauthenticated = channel.unauthenticated(&sid, "sent");
        let challenge = connection.exchange(&unauthenticated).await;
        challenge.assert("401");
        assert_eq!(challenge.header("connection"), None);
        let answer = connection.exchange(&channel.report(&sid, "sent")).await;
        answer.assert("204");
    }
    assert_eq!(store.logged_reports(), 10);
}

#[tokio::test]
async fn head_answer_has_no_body() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.public).await;
    for _ in 0..2 {
        let head = Request::new("HEAD", &channel.path());
        connection.write(&head.bytes()).await;
        connection.head_of_answer().await.assert("405");
        let answer = connection.exchange(&channel.report("SM1", "sent")).await;
        answer.assert("204");
    }
}

#[tokio::test]
async fn only_answers_to_wrong_credentials_are_delayed() {
    let delay = Duration::from_secs(2);
    let (running, _) = sized(|size| size.public.refusal_delay = delay).await;
    let channel = running.add_channel("1", json!({})).await;
    let unauthenticated = channel.unauthenticated("SM1", "sent");
    let mut connection = Connection::open(running.public).await;
    for (request, status, waits) in [
        (unauthenticated.clone(), 401, false),
        (channel.report("SM1", "sent"), 204, false),
        (unauthenticated.basic("twilio", "a guess"), 401, true),
        (channel.report("SM1", "sent"), 204, false),
    ] {
        let start = Instant::now();
        assert_eq!(connection.exchange(&request).await.status, status);
        assert_eq!(start.elapsed() >= delay, waits, "{status}");
    }
}

#[tokio::test]
async fn late_body_does_not_close_the_connection() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.public).await;
    for pause in [0, 1, 20, 100] {
        let unauthenticated = channel.unauthenticated("SM1", "sent");
        connection.write(&unauthenticated.head()).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        connection.write(unauthenticated.body_bytes()).await;
        assert_eq!(connection.answer().await.status, 401, "after {pause} ms");
        let answer = connection.exchange(&channel.report("SM1", "sent")).await;
        assert_eq!(answer.status, 204, "after {pause} ms");
    }
}

#[tokio::test]
async fn expect_continue_keeps_the_connection() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.public).await;
    for (request, status) in [
        (channel.unauthenticated("SM1", "sent"), 401),
        (channel.report("SM1", "sent"), 204),
    ] {
        let request = request.header("Expect", "100-continue");
        connection.write(&request.head()).await;
        assert_eq!(connection.answer().await.status, 100);
        connection.write(request.body_bytes()).await;
        assert_eq!(connection.answer().await.status, status);
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.public).await;
    let both = [
        channel.unauthenticated("SM1", "sent").bytes(),
        channel.report("SM1", "sent").bytes(),
    ];
    connection.write(&both.concat().repeat(2)).await;
    for status in [401, 204, 401, 204] {
        assert_eq!(connection.answer().await.status, status);
    }
}

#[tokio::test]
async fn missing_body_closes_the_connection_soon() {
    let timeout = Duration::from_millis(100);
    let (running, _) = sized(|size| size.public.drain_timeout = timeout).await;
    let channel = running.add_channel("1", json!({})).await;
    let unauthenticated = channel.unauthenticated("SM1", "sent");
    for request in [
        unauthenticated.clone(),
        unauthenticated
            .clone()
            .header("Transfer-Encoding", "chunked"),
    ] {
        let start = Instant::now();
        let mut connection = Connection::open(running.public).await;
        connection.write(&request.head()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(start.elapsed() < Duration::from_millis(900));
        assert!(connection.is_closed().await);
    }
}

#[tokio::test]
async fn long_body_of_an_unauthenticated_request_is_not_read() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let start = Instant::now();
    let mut connection = Connection::open(running.public).await;
    let request = channel
        .unauthenticated("SM1", "sent")
        .body(vec![b'x'; 65_537]);
    connection.write(&request.head()).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(start.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn stalled_second_request_closes_the_connection() {
    let (running, store) = sized(|size| {
        size.public.request_timeout = Duration::from_millis(500);
        size.public.keep_alive = Duration::from_secs(1);
    })
    .await;
    let channel = running.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.public).await;
    let answer = connection.exchange(&channel.report("SM1", "sent")).await;
    answer.assert("204");
    connection.write(b"POST /so").await;
    assert!(connection.is_closed().await);
    // A request that is being answered is not timed out.
    store.set_paused(true);
    let mut connection = Connection::open(running.public).await;
    let report = channel.report("SM1", "read");
    connection.write(&report.bytes()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.set_paused(false);
    assert_eq!(connection.answer().await.status, 204);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let (running, _) = sized(|size| size.public.max_connections = 20).await;
    let channel = running.add_channel("1", json!({})).await;
    let gauge = async |name: &str| running.metric(name).await;
    // All are authenticated and in a request, so none is evicted.
    let report = channel.report("SM1", "sent");
    let mut all = Vec::new();
    for number in 1..=20 {
        let mut connection = Connection::open(running.public).await;
        // The interim answer shows that the credentials were checked.
        let report = report.clone().header("Expect", "100-continue");
        connection.write(&report.head()).await;
        assert_eq!(connection.answer().await.status, 100);
        all.push(connection);
        let open = gauge("receiptd_connections").await;
        assert_eq!(open, Some(f64::from(number)));
    }
    assert_eq!(gauge("receiptd_connections_allowed").await, Some(20.0));
    for _ in 0..2 {
        let mut connection = Connection::open(running.public).await;
        connection.write(&report.head()).await;
        all.push(connection);
    }
    for connection in &mut all[20..] {
        connection.write(report.body_bytes()).await;
    }
    let answered = tokio::time::timeout(Duration::from_millis(300), all[20].answer()).await;
    assert!(answered.is_err(), "accepted beyond the limit");
    for connection in &mut all[..20] {
        connection.write(report.body_bytes()).await;
    }
    // Connections are closed after their answer, so that waiting ones are accepted.
    let mut closed = 0;
    for connection in &mut all {
        let answer = connection.answer().await;
        assert_eq!(answer.status, 204);
        closed += usize::from(answer.header("connection") == Some("close"));
    }
    assert!(
        closed >= 2,
        "{closed} connections were closed for the waiting ones"
    );
}

#[tokio::test]
async fn draining_answers_sent_requests_and_accepts_no_connections() {
    let (running, store) = on_memory().await;
    let address = running.public;
    let channel = running.add_channel("1", json!({})).await;
    let mut idle = Connection::open(address).await;
    let report = channel.report("SM1", "sent");
    idle.exchange(&report).await.assert("204");
    store.set_paused(true);
    let mut waiting = Connection::open(address).await;
    waiting.write(&channel.report("SM2", "sent").bytes()).await;

    let start = Instant::now();
    let drained = running.shutdown.drain(Duration::from_secs(20));
    let meanwhile = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            assert!(start.elapsed() < Duration::from_secs(5), "still accepting");
            tokio::task::yield_now().await;
        }
        store.set_paused(false);
        let answer = waiting.answer().await;
        assert_eq!(answer.status, 204);
        // A challenge does not close the connection.
        let answer = idle.exchange(&channel.unauthenticated("SM1", "read")).await;
        assert_eq!((answer.status, answer.header("connection")), (401, None));
        let answer = idle.exchange(&channel.report("SM1", "read")).await;
        answer.assert("204");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(idle.is_closed().await);
        // The request in progress has been answered.
        drop(waiting);
    };
    tokio::join!(drained, meanwhile);
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(store.logged_reports(), 3);
}
