//! Calling public URLs step by step.

use adapter_webhook::UrlProber;
use domain::Timestamp;
use domain::webhook::TargetUrl;
use ports::UrlProbe as _;
use ports::error::error_chain;
use ports::url_probe::{ProbeTarget, Timed};
use rcgen::date_time_ymd;

use crate::server::Server;
use crate::tls::{Authority, named, stranger};

fn target(url: &str) -> ProbeTarget {
    ProbeTarget {
        url: TargetUrl::parse(url).expect("a target"),
        private: true,
    }
}

fn on_port(scheme: &str, host: &str, server: &Server) -> ProbeTarget {
    target(&format!("{scheme}://{host}:{}/report", server.port()))
}

fn error<T: std::fmt::Debug>(step: Timed<T>) -> String {
    error_chain(&*step.result.expect_err("the step fails"))
}

#[tokio::test]
async fn connection_shows_addresses_and_certificates() {
    let authority = Authority::new("a friend");
    let mut params = named("localhost");
    params.not_after = date_time_ymd(2090, 2, 1);
    let server = authority.server(&params);
    let caller = UrlProber::new(Some(authority.pem()));
    let probed = caller
        .connect(&on_port("https", "localhost", &server))
        .await;
    let addresses = probed.lookup.result.expect("addresses");
    assert!(addresses.iter().all(std::net::IpAddr::is_loopback) && !addresses.is_empty());
    let address = probed.connect.expect("a connection").result;
    assert_eq!(address.expect("a connection").port(), server.port());
    let version = probed.handshake.expect("a handshake").result;
    assert_eq!(version.expect("a handshake"), "TLS 1.3");
    let [own, ..] = probed.certificates.as_slice() else {
        panic!("no certificate");
    };
    assert_eq!(own.issuer, "a friend");
    assert_eq!(
        own.expires_at,
        Timestamp::parse("2090-02-01T00:00:00Z").expect("a time")
    );
}

#[tokio::test]
async fn invalid_certificate_is_shown_all_the_same() {
    let server = stranger();
    let probed = UrlProber::new(None)
        .connect(&on_port("https", "127.0.0.1", &server))
        .await;
    let failed = error(probed.handshake.expect("a handshake"));
    assert!(failed.contains("UnknownIssuer"), "{failed}");
    let issuers: Vec<_> = probed
        .certificates
        .iter()
        .map(|it| it.issuer.as_str())
        .collect();
    assert_eq!(issuers, ["a stranger"]);
}

#[tokio::test]
async fn steps_end_with_the_first_that_fails() {
    let prober = UrlProber::new(None);
    let nowhere = prober
        .connect(&target("https://no-such-host.invalid/"))
        .await;
    error(nowhere.lookup);
    assert!(nowhere.connect.is_none() && nowhere.handshake.is_none());
    // A port that nothing listens on: that of a server that has ended.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let closed = prober
        .connect(&target(&format!("https://127.0.0.1:{port}/")))
        .await;
    let refused = error(closed.connect.expect("it is tried"));
    assert!(refused.contains("refused"), "{refused}");
    assert!(closed.handshake.is_none());
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let plain = prober.connect(&on_port("http", "127.0.0.1", &server)).await;
    assert!(plain.connect.is_some_and(|step| step.result.is_ok()));
    assert!(plain.handshake.is_none());
}

#[tokio::test]
async fn answer_has_its_status_and_challenge() {
    let (server, requests) = Server::recording();
    let headers = [("X-Twilio-Signature", "signed".to_owned())];
    let prober = UrlProber::new(None);
    let target = on_port("http", "127.0.0.1", &server);
    let answer = prober.post(&target, &headers, b"a=1".to_vec()).await;
    let answer = answer.result.expect("an answer");
    assert_eq!((answer.status, answer.challenge), (204, None));
    let request = requests.recv().expect("a request");
    assert!(
        request.head.starts_with("POST /report HTTP/1.1"),
        "{}",
        request.head
    );
    assert_eq!(request.header("x-twilio-signature"), Some("signed"));
    assert_eq!(request.body, b"a=1");

    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                     Content-Length: 0\r\n\r\n";
    let server = Server::answering(challenge);
    let target = on_port("http", "127.0.0.1", &server);
    let answer = prober.post(&target, &[], b"a=1".to_vec()).await;
    let answer = answer.result.expect("an answer");
    assert_eq!(answer.status, 401);
    assert_eq!(answer.challenge.as_deref(), Some("Basic realm=\"x\""));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let location = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\
                    Content-Length: 0\r\n\r\n";
    let server = Server::answering(location);
    let target = on_port("http", "127.0.0.1", &server);
    let answer = UrlProber::new(None)
        .post(&target, &[], b"a=1".to_vec())
        .await;
    assert_eq!(answer.result.expect("an answer").status, 302);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let prober = UrlProber::new(None);
    for host in ["127.0.0.1", "localhost"] {
        let target = ProbeTarget {
            private: false,
            ..on_port("http", host, &server)
        };
        let refused = error(prober.connect(&target).await.lookup);
        assert!(refused.contains("address"), "{refused}");
        let refused = error(prober.post(&target, &[], b"a=1".to_vec()).await);
        assert!(refused.contains("is a"), "{refused}");
    }
    assert_eq!(server.connections(), 0);
}
