//! Events that go through an HTTP proxy.

use std::io::Write as _;
use std::sync::mpsc;

use adapter_webhook::{ProxyUrl, WebhookSettings};
use ports::webhook_sender::{SendError, WebhookSender as _};

use crate::server::{LIMIT, Server};
use crate::support::{deliver, event, retry, settings, sink, target};

fn through(server: &Server) -> WebhookSettings {
    let url = format!("http://user:secret@127.0.0.1:{}", server.port());
    WebhookSettings {
        proxy: Some(ProxyUrl::parse(&url).expect("a proxy")),
        private_targets: false,
        ..settings()
    }
}

#[tokio::test]
async fn proxy_may_be_on_a_private_network() {
    let (proxy, requests) = Server::recording();
    let settings = through(&proxy);
    // The proxy looks the name up, not this process.
    deliver(settings, "http://nobody.invalid/events")
        .await
        .unwrap();
    let request = requests.recv_timeout(LIMIT).unwrap();
    assert!(
        request
            .head
            .starts_with("POST http://nobody.invalid/events HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert_eq!(
        request.header("proxy-authorization"),
        Some("Basic dXNlcjpzZWNyZXQ=")
    );
}

#[tokio::test]
async fn private_address_in_a_url_is_refused_with_a_proxy_too() {
    let (proxy, _requests) = Server::recording();
    let refused = sink(through(&proxy))
        .deliver(&target("http://10.0.0.1/events"), &event())
        .await;
    assert!(
        matches!(refused, Err(SendError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_uses_a_tunnel_through_the_proxy() {
    let (sender, receiver) = mpsc::channel();
    let proxy = Server::start(move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if std::io::Read::read_exact(&mut stream, &mut byte).is_err() {
                break;
            }
            head.extend(byte);
        }
        let _ = sender.send(String::from_utf8(head).unwrap());
        let _ = stream.write_all(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n");
    });
    let retry = retry(through(&proxy), "https://nobody.invalid/events").await;
    let head = receiver.recv_timeout(LIMIT).unwrap();
    assert!(
        head.starts_with("CONNECT nobody.invalid:443 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        retry.said.starts_with("no connection to the target"),
        "{}",
        retry.said
    );
}
