//! What becomes of a connection after an answer that did not need the body.
//! Half of all good requests are asked for credentials first; a new connection
//! for each second request would cost more than the report.

use std::time::{Duration, Instant};

use adapter_http::ListenerSettings;
use serde_json::json;
use testkit::memory::MemoryStore;

use crate::client::{Connection, Request};
use crate::fixture::{Size, Stores, on_memory, start};

#[tokio::test]
async fn a_challenged_request_is_repeated_on_the_same_connection() {
    let (running, store) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.service.public).await;
    for round in 0..10 {
        let sid = format!("SM{round}");
        connection
            .write(&channel.unproven(&sid, "sent").bytes())
            .await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("connection"), None);
        connection
            .write(&channel.report(&sid, "sent").bytes())
            .await;
        assert_eq!(connection.answer().await.status, 204);
    }
    assert_eq!(store.logged_reports(), 10);
}

#[tokio::test]
async fn an_answer_without_a_body_leaves_nothing_behind() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.service.public).await;
    for _ in 0..2 {
        connection
            .write(&Request::new("HEAD", &channel.path()).bytes())
            .await;
        assert_eq!(connection.head_of_answer().await.status, 405);
        connection
            .write(&channel.report("SM1", "sent").bytes())
            .await;
        assert_eq!(connection.answer().await.status, 204);
    }
}

#[tokio::test]
async fn who_guesses_waits_for_the_answer_and_who_is_asked_for_credentials_does_not() {
    let store = MemoryStore::new();
    let delay = Duration::from_secs(2);
    let size = Size {
        public: ListenerSettings {
            refusal_delay: delay,
            ..ListenerSettings::default()
        },
        ..Size::default()
    };
    let running = start(Stores::from(&store), &size).await;
    let channel = running.service.add_channel("1", json!({})).await;
    let unproven = channel.unproven("SM1", "sent");
    let mut connection = Connection::open(running.service.public).await;
    for (request, status, waits) in [
        (unproven.clone(), 401, false),
        (channel.report("SM1", "sent"), 204, false),
        (unproven.basic("twilio", "a guess"), 401, true),
        (channel.report("SM1", "sent"), 204, false),
    ] {
        let began = Instant::now();
        connection.write(&request.bytes()).await;
        assert_eq!(connection.answer().await.status, status);
        assert_eq!(began.elapsed() >= delay, waits, "{status}");
    }
}

#[tokio::test]
async fn a_body_that_comes_a_little_later_does_not_cost_the_connection() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.service.public).await;
    for pause in [0, 1, 20, 100] {
        let unproven = channel.unproven("SM1", "sent");
        connection.write(&unproven.head()).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        connection.write(unproven.body_bytes()).await;
        assert_eq!(connection.answer().await.status, 401, "after {pause} ms");
        connection
            .write(&channel.report("SM1", "sent").bytes())
            .await;
        assert_eq!(connection.answer().await.status, 204, "after {pause} ms");
    }
}

#[tokio::test]
async fn a_caller_that_waits_to_be_asked_for_the_body_keeps_its_connection() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.service.public).await;
    for (request, status) in [
        (channel.unproven("SM1", "sent"), 401),
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
async fn requests_that_do_not_wait_for_answers_are_answered_in_order() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.service.public).await;
    let both = [
        channel.unproven("SM1", "sent").bytes(),
        channel.report("SM1", "sent").bytes(),
    ];
    connection
        .write(&[both.concat(), both.concat()].concat())
        .await;
    for status in [401, 204, 401, 204] {
        assert_eq!(connection.answer().await.status, status);
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for_long() {
    let store = MemoryStore::new();
    let size = Size {
        public: ListenerSettings {
            drain_timeout: Duration::from_millis(100),
            ..ListenerSettings::default()
        },
        ..Size::default()
    };
    let running = start(Stores::from(&store), &size).await;
    let channel = running.service.add_channel("1", json!({})).await;
    let unproven = channel.unproven("SM1", "sent");
    for request in [
        unproven.clone(),
        unproven.clone().header("Transfer-Encoding", "chunked"),
    ] {
        let began = Instant::now();
        let mut connection = Connection::open(running.service.public).await;
        connection.write(&request.head()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(began.elapsed() < Duration::from_millis(900));
        assert!(connection.is_closed().await);
    }
}

#[tokio::test]
async fn a_long_body_of_an_unproven_caller_is_not_read() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let began = Instant::now();
    let mut connection = Connection::open(running.service.public).await;
    let request = channel.unproven("SM1", "sent").body(vec![b'x'; 65_537]);
    connection.write(&request.head()).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(began.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn a_second_request_that_does_not_go_on_is_given_up() {
    let store = MemoryStore::new();
    let size = Size {
        public: ListenerSettings {
            request_timeout: Duration::from_millis(500),
            keep_alive: Duration::from_secs(1),
            ..ListenerSettings::default()
        },
        ..Size::default()
    };
    let running = start(Stores::from(&store), &size).await;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut connection = Connection::open(running.service.public).await;
    connection
        .write(&channel.report("SM1", "sent").bytes())
        .await;
    assert_eq!(connection.answer().await.status, 204);
    connection.write(b"POST /so").await;
    assert!(connection.is_closed().await);
    // What is being answered is not given up.
    store.set_paused(true);
    let mut connection = Connection::open(running.service.public).await;
    connection
        .write(&channel.report("SM1", "read").bytes())
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.set_paused(false);
    assert_eq!(connection.answer().await.status, 204);
}

#[tokio::test]
async fn no_more_connections_are_taken_than_are_allowed() {
    let store = MemoryStore::new();
    let size = Size {
        public: ListenerSettings {
            max_connections: 20,
            ..ListenerSettings::default()
        },
        ..Size::default()
    };
    let running = start(Stores::from(&store), &size).await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let gauge = async |name: &str| service.metric(name).await;
    // All of them have shown credentials and are in a request, so none is closed to make room.
    let report = channel.report("SM1", "sent");
    let mut all = Vec::new();
    for number in 1..=20 {
        let mut connection = Connection::open(service.public).await;
        // That the body is waited for shows that the credentials were seen.
        let report = report.clone().header("Expect", "100-continue");
        connection.write(&report.head()).await;
        assert_eq!(connection.answer().await.status, 100);
        all.push(connection);
        let held = gauge("receiptd_connections").await;
        assert_eq!(held, Some(f64::from(number)));
    }
    assert_eq!(gauge("receiptd_connections_allowed").await, Some(20.0));
    for _ in 0..2 {
        let mut connection = Connection::open(service.public).await;
        connection.write(&report.head()).await;
        all.push(connection);
    }
    for connection in &mut all[20..] {
        connection.write(report.body_bytes()).await;
    }
    let answered = tokio::time::timeout(Duration::from_millis(300), all[20].answer()).await;
    assert!(
        answered.is_err(),
        "it has its turn when another one is gone"
    );
    for connection in &mut all[..20] {
        connection.write(report.body_bytes()).await;
    }
    // Whoever waits does not wait for one that is idle.
    for (number, connection) in all.iter_mut().enumerate() {
        let answer = connection.answer().await;
        assert_eq!(answer.status, 204);
        if number == 0 {
            assert_eq!(answer.header("connection"), Some("close"));
        }
    }
}

#[tokio::test]
async fn after_the_farewell_everything_that_was_sent_is_answered_and_nothing_is_taken() {
    let (running, store) = on_memory().await;
    let address = running.service.public;
    let channel = running.service.add_channel("1", json!({})).await;
    let mut idle = Connection::open(address).await;
    idle.write(&channel.report("SM1", "sent").bytes()).await;
    assert_eq!(idle.answer().await.status, 204);
    store.set_paused(true);
    let mut waiting = Connection::open(address).await;
    waiting.write(&channel.report("SM2", "sent").bytes()).await;

    let began = Instant::now();
    let farewell = running.farewell.say(Duration::from_secs(20));
    let meanwhile = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(5), "it is taken");
            tokio::task::yield_now().await;
        }
        store.set_paused(false);
        let answer = waiting.answer().await;
        assert_eq!(answer.status, 204);
        // Who is asked for credentials may show them.
        idle.write(&channel.unproven("SM1", "read").bytes()).await;
        let answer = idle.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (401, None));
        idle.write(&channel.report("SM1", "read").bytes()).await;
        let answer = idle.answer().await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (204, Some("close"))
        );
        assert!(idle.is_closed().await);
        // It was on its way when the farewell was said, and has had its answer.
        drop(waiting);
    };
    tokio::join!(farewell, meanwhile);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(store.logged_reports(), 3);
}
