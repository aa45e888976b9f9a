//! Subscribers that break off, dawdle, babble and are not there.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use adapter_webhook::WebhookSettings;

use ports::webhook_sender::WebhookSender as _;

use crate::server::{LIMIT, NO_CONTENT, Server, read_request, reset, wait_for_end};
use crate::support::{deliver, event, impatient, retry, settings, sink, target};

#[tokio::test]
async fn a_reset_before_the_answer_is_retried() {
    let server = Server::start(reset);
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(server.connections(), 1, "a new connection is tried once");
    assert_eq!(retry.answer, None);
    assert!(
        retry.said.starts_with("no complete answer"),
        "{}",
        retry.said
    );
}

#[tokio::test]
async fn an_end_without_an_answer_is_retried() {
    let server = Server::answering_once("");
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.answer, None);
}

#[tokio::test]
async fn a_reset_within_the_body_does_not_override_the_status() {
    let server = Server::start(|mut stream| {
        let mut head = [0; 20];
        std::io::Read::read_exact(&mut stream, &mut head).expect("a request");
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\nhalf");
        reset(stream);
    });
    // Whether the head overtakes the reset is not ours to say; a delivery it is not.
    retry(settings(), &server.url()).await;
}

#[tokio::test]
async fn half_a_head_is_retried() {
    for half in ["HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let server = Server::answering_once(half);
        let retry = retry(settings(), &server.url()).await;
        assert_eq!(retry.answer, None);
        assert!(
            retry.said.starts_with("no complete answer"),
            "{}",
            retry.said
        );
    }
}

#[tokio::test]
async fn a_truncated_body_does_not_override_the_status() {
    let server = Server::answering_once("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    let delivered = deliver(settings(), &server.url()).await.unwrap();
    assert_eq!(delivered.answer.excerpt.as_str(), "half");

    let server = Server::answering_once("HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\nhalf");
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.answer.unwrap().excerpt.as_str(), "half");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_head_times_out() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 ");
        let _ = sender.send(wait_for_end(&mut stream));
    });
    let retry = retry(impatient(), &server.url()).await;
    assert_eq!(retry.said, "no answer from the target in time");
    assert!(retry.took >= impatient().total_limit && retry.took < LIMIT);
    // The connection was ended as well.
    assert!(receiver.recv_timeout(LIMIT).unwrap());
}

#[tokio::test]
async fn a_slowly_sent_head_times_out() {
    let server = Server::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"a: b\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let retry = retry(impatient(), &server.url()).await;
    assert_eq!(retry.answer, None);
    assert!(retry.took < LIMIT);
}

#[tokio::test]
async fn an_endless_head_is_retried() {
    let server = Server::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\na: ");
        while stream.write_all(&[b'a'; 4096]).is_ok() {}
    });
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.answer, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_drips_holds_its_slot_only_for_the_body_limit() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        while stream.write_all(b"drip ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = sender.send(());
    });
    let settings = WebhookSettings {
        body_limit: Duration::from_millis(300),
        ..settings()
    };
    let delivered = deliver(settings.clone(), &server.url()).await.unwrap();
    assert!(delivered.answer.excerpt.as_str().starts_with("drip"));
    assert!(delivered.took >= settings.body_limit && delivered.took < settings.total_limit);
    receiver.recv_timeout(LIMIT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_beginning_of_an_endless_body_is_read() {
    let (sender, receiver) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n");
        let piece = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
        while stream.write_all(&piece).is_ok() {}
        let _ = sender.send(());
    });
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.answer.unwrap().excerpt.as_str(), "x".repeat(512));
    receiver.recv_timeout(LIMIT).unwrap();
}

#[tokio::test]
async fn a_response_that_is_not_http_is_retried() {
    for garbage in [
        b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(),
        b"\x16\x03\x01\x00\x00",
        b"HTTP/1.1 2000 Too much\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"<html>200 OK</html>\r\n\r\n",
    ] {
        let server = Server::answering_once(garbage);
        let retry = retry(settings(), &server.url()).await;
        assert_eq!(retry.answer, None, "{garbage:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_retried() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let retry = retry(settings(), &format!("http://127.0.0.1:{port}/")).await;
    assert!(
        retry
            .said
            .starts_with("no connection to the target: Connection refused"),
        "{}",
        retry.said
    );
}

/// The name service may say so, or be silent itself.
#[tokio::test]
async fn a_name_that_does_not_resolve_is_retried() {
    let settings = WebhookSettings {
        connect_limit: Duration::from_secs(3),
        ..settings()
    };
    let retry = retry(settings, "http://nobody.invalid/").await;
    assert_eq!(retry.answer, None);
    assert!(
        retry
            .said
            .starts_with("the name of the target does not resolve: ")
            || retry.said == "no connection to the target in time",
        "{}",
        retry.said
    );
}

#[tokio::test]
async fn a_missing_tls_handshake_times_out() {
    let server = Server::start(|mut stream| {
        wait_for_end(&mut stream);
    });
    let settings = WebhookSettings {
        connect_limit: Duration::from_millis(300),
        ..settings()
    };
    let retry = retry(settings, &format!("https://127.0.0.1:{}/", server.port())).await;
    assert_eq!(retry.said, "no connection to the target in time");
}

#[tokio::test]
async fn event_is_resent_immediately_when_an_idle_connection_is_reset() {
    let server = Server::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(NO_CONTENT);
        reset(stream);
    });
    let (sink, target) = (sink(settings()), target(&server.url()));
    for number in 1..5 {
        sink.deliver(&target, &event()).await.unwrap();
        assert_eq!(server.connections(), number);
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let settings = WebhookSettings {
        kept_connections: 1,
        ..settings()
    };
    let sink = sink(settings);
    let (kept, requests) = Server::recording();
    for _ in 0..2 {
        sink.deliver(&target(&kept.url()), &event()).await.unwrap();
        let request = requests.recv_timeout(LIMIT).unwrap();
        assert_eq!(request.header("connection"), None);
    }
    assert_eq!(kept.connections(), 1);
    let (other, requests) = Server::recording();
    for _ in 0..2 {
        sink.deliver(&target(&other.url()), &event()).await.unwrap();
        let request = requests.recv_timeout(LIMIT).unwrap();
        assert_eq!(request.header("connection"), Some("close"));
    }
    assert_eq!(other.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let server = Server::answering_once("HTTP/1.1 204 No Content\r\n\r\n");
    let (sink, target) = (sink(settings()), target(&server.url()));
    sink.deliver(&target, &event()).await.unwrap();
    // The end of the connection arrives before or after the next event is sent; if after, the
    // event is tried again by the caller.
    let mut tries = 0;
    while sink.deliver(&target, &event()).await.is_err() {
        tries += 1;
        assert!(tries < 5, "the dead connection is used again and again");
    }
    assert!(server.connections() >= 2);
}
