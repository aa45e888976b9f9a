//! Targets inside.

use adapter_webhook::WebhookSettings;
use domain::webhook::SpecialNetwork;
use ports::webhook_sender::SendError;
use rstest::rstest;

use crate::server::Server;
use crate::support::{deliver, settings};

fn public_only() -> WebhookSettings {
    WebhookSettings {
        private_targets: false,
        ..settings()
    }
}

async fn refusal(url: &str) -> (String, SpecialNetwork) {
    match deliver(public_only(), url).await {
        Err(SendError::Refused { host, network, .. }) => (host, network),
        other => panic!("{url} is not refused: {other:?}"),
    }
}

#[rstest]
#[case("http://127.0.0.1:PORT/", SpecialNetwork::Loopback)]
#[case("http://127.1:PORT/", SpecialNetwork::Loopback)]
#[case("http://2130706433:PORT/", SpecialNetwork::Loopback)]
#[case("http://0x7f000001:PORT/", SpecialNetwork::Loopback)]
#[case("http://0x7f.0.0x0.1:PORT/", SpecialNetwork::Loopback)]
#[case("http://0177.0.0.01:PORT/", SpecialNetwork::Loopback)]
#[case("http://127.0.0.1.:PORT/", SpecialNetwork::Loopback)]
#[case("http://%3127.0.0.1:PORT/", SpecialNetwork::Loopback)]
#[case("http://0.0.0.0:PORT/", SpecialNetwork::Unspecified)]
#[case("http://0:PORT/", SpecialNetwork::Unspecified)]
#[case("http://[::ffff:127.0.0.1]:PORT/", SpecialNetwork::Loopback)]
#[case("http://[::ffff:7f00:1]:PORT/", SpecialNetwork::Loopback)]
#[case("http://[::1]:PORT/", SpecialNetwork::Loopback)]
#[case("http://[::]:PORT/", SpecialNetwork::Unspecified)]
#[case("https://127.0.0.1:PORT/", SpecialNetwork::Loopback)]
#[case("http://10.1.2.3/", SpecialNetwork::Private)]
#[case("http://100.100.100.200/", SpecialNetwork::Private)]
#[case("http://169.254.169.254/latest/meta-data/", SpecialNetwork::LinkLocal)]
#[case("http://[fd00:ec2::254]/", SpecialNetwork::Private)]
#[case("http://[64:ff9b::a9fe:a9fe]/", SpecialNetwork::LinkLocal)]
#[tokio::test]
async fn an_address_inside_is_refused(#[case] url: &str, #[case] network: SpecialNetwork) {
    let server = Server::answering_once("HTTP/1.1 204 No Content\r\n\r\n");
    let url = url.replace("PORT", &server.port().to_string());
    assert_eq!(refusal(&url).await.1, network);
    assert_eq!(server.connections(), 0);
}

#[rstest]
#[case("localhost")]
#[case("LOCALHOST")]
#[tokio::test]
async fn a_name_for_an_address_inside_is_refused(#[case] name: &str) {
    let server = Server::answering_once("HTTP/1.1 204 No Content\r\n\r\n");
    let url = format!("http://{name}:{}/", server.port());
    let (host, network) = refusal(&url).await;
    assert_eq!(host, name.to_ascii_lowercase());
    assert_eq!(network, SpecialNetwork::Loopback);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_refusal_says_which_address() {
    let error = deliver(public_only(), "http://127.1/").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "events may not go to 127.0.0.1: 127.0.0.1 is a loopback address; to allow it set \
         RECEIPTD_PUSH_PRIVATE_TARGETS=true"
    );
}

#[tokio::test]
async fn with_the_setting_a_name_inside_is_connected() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let url = format!("http://localhost:{}/", server.port());
    assert_eq!(deliver(settings(), &url).await.unwrap().answer.status, 204);
}
