//! Meta: the callback URL is verified with GET, and a signature of the body authenticates callers.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Answer, Connection, Request};
use crate::fixture::{Running, on_memory};
use crate::service::MadeChannel;

const PATH: &str = "/social/on/whatsapp/meta/report/1";
const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
const METRIC: &str = "receiptd_requests_total{outcome=\"url_verified\"}";

async fn channel(running: &Running) -> MadeChannel {
    let fields = json!({
        "integrator": "meta", "signing_token": APP_SECRET, "password": "example-verify-token",
    });
    running.add_channel("1", fields).await
}

fn fixture(file: &str) -> Vec<u8> {
    let folder = "../adapter-integrators/tests/fixtures/meta";
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::read(folder.join(file)).unwrap()
}

/// A sample with its signature by [`APP_SECRET`].
fn sample(file: &str) -> Request {
    let signatures: Value = serde_json::from_slice(&fixture("signatures.json")).unwrap();
    let signature = signatures["files"][file].as_str().unwrap();
    Request::post(PATH)
        .header("Content-Type", "application/json")
        .header("X-Hub-Signature-256", signature)
        .body(fixture(file))
}

/// What an answer tells.
fn told(answer: Answer) -> (u16, Vec<u8>, Vec<(String, String)>) {
    let headers = answer
        .headers
        .into_iter()
        .filter(|(name, _)| name != "date");
    (answer.status, answer.body, headers.collect())
}

#[tokio::test]
async fn handshake_is_answered_with_the_challenge_as_text() {
    let (running, _) = on_memory().await;
    channel(&running).await;
    let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=example-verify-token";
    let handshake = Request::get(&format!("{PATH}?{query}"));
    let answer = handshake.send(running.public).await;
    assert_eq!((answer.status, answer.text()), (200, "1158201444"));
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(running.metric(METRIC).await, Some(1.0));
    let wrong = "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=guess";
    let wrong = Request::get(&format!("{PATH}?{wrong}"));
    let refused = wrong.send(running.public).await;
    assert_eq!(refused.status, 401);
    assert!(!refused.text().contains("script"));
    // The answer does not tell whether there is a channel.
    let nowhere = wrong.path("/social/on/whatsapp/meta/report/2?hub.mode=subscribe");
    let nowhere = nowhere.send(running.public).await;
    assert_eq!(told(nowhere), told(refused));
    for method in ["PUT", "DELETE"] {
        let answer = handshake.clone().method(method).send(running.public).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, POST"))
        );
    }
}

#[tokio::test]
async fn head_is_answered_like_the_handshake_without_its_body() {
    let (running, _) = on_memory().await;
    channel(&running).await;
    let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=example-verify-token";
    let handshake = Request::new("HEAD", &format!("{PATH}?{query}"));
    let answer = handshake.send(running.public).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    let refused = Request::new("HEAD", PATH).send(running.public).await;
    assert_eq!((refused.status, refused.text()), (401, ""));
}

#[tokio::test]
async fn signed_batch_is_received_and_what_is_no_report_is_ignored() {
    let (running, _) = on_memory().await;
    channel(&running).await;
    for file in [
        "batch_one_defective.json",
        "failed.json",
        "messages_only.json",
        "other_object.json",
    ] {
        let answer = sample(file).send(running.public).await;
        assert_eq!((answer.status, answer.text()), (200, ""), "{file}");
    }
    let messages = running.shown("/api/v1/messages").await;
    assert_eq!(messages["items"].as_array().unwrap().len(), 3);
    let id = "wamid.HBgLMTU1NTAxMDAwMDEVAgARGBIwMDAwMDAwMDAwMDAwMDAx03AA==";
    let failed = running.shown(&format!("/api/v1/messages/1/{id}")).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error"]["code"], "131047");
    assert_eq!(failed["error"]["title"], "Outside the 24-hour window");
    let shown = running.shown("/api/v1/channels/1").await;
    let credential = &shown["credentials"][0]["id"];
    assert_eq!(&failed["reports"][0]["credential_id"], credential);
    let rejections = running.shown("/api/v1/rejections").await;
    let details: Vec<_> = rejections["items"].as_array().unwrap().iter().collect();
    assert_eq!(details.len(), 1);
    assert_eq!(details[0]["detail"], "element 1: id: id is missing");
    for kind in ["messages", "page"] {
        let name = format!(r#"receiptd_ignored_elements_total{{integrator="meta",kind="{kind}"}}"#);
        assert_eq!(running.metric(&name).await, Some(1.0), "{kind}");
    }
}

#[tokio::test]
async fn wrong_signature_is_refused_before_the_body_is_parsed() {
    let (running, store) = on_memory().await;
    channel(&running).await;
    let wrong = sample("delivered.json").replaced(
        "X-Hub-Signature-256",
        "sha256=3ecbcfefb9cb316f155bf51b9dec55ce6263e1c153202a481713eaa23b859280",
    );
    let refused = wrong.send(running.public).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate");
    assert_eq!(challenge, Some("Key realm=\"receiptd\""));
    let detail = "the credentials or the signature of the request are missing or not valid";
    assert_eq!(refused.json()["detail"], detail);
    let path = "/social/on/whatsapp/meta/report/2";
    let nowhere = wrong.clone().path(path).send(running.public).await;
    let malformed = wrong.clone().replaced("X-Hub-Signature-256", "sha1=00");
    let malformed = malformed.send(running.public).await;
    let unsigned = wrong.clone().without("X-Hub-Signature-256");
    let unsigned = unsigned.send(running.public).await;
    let not_json = wrong.clone().body("{").send(running.public).await;
    let refused = told(refused);
    for other in [nowhere, malformed, unsigned, not_json] {
        assert_eq!(told(other), refused);
    }
    assert_eq!(store.logged_reports(), 0);
    let rejections = running.shown("/api/v1/rejections").await;
    assert_eq!(rejections["items"], json!([]));
    let ready = running.operator(Request::get("/readyz")).await;
    let shown = ready.text();
    assert!(shown.contains("the signature does not fit"), "{shown}");
    let right = sample("delivered.json").send(running.public).await;
    assert_eq!(right.status, 200);
    assert_eq!(store.logged_reports(), 1);
}

#[tokio::test]
async fn large_body_is_read_up_to_the_limit_before_it_is_verified() {
    let (running, _) = on_memory().await;
    channel(&running).await;
    let signed = |bytes| sample("delivered.json").body(vec![b' '; bytes]);
    let verified = signed(3_000_000).send(running.public).await;
    assert_eq!(verified.status, 401);
    let beyond = signed(4 * 1_048_576 + 1).send(running.public).await;
    assert_eq!(beyond.status, 413);
}

/// Sends the heads of five requests with large bodies that do not arrive, and returns the first
/// answer. The requests that are not answered go on in `waiting`.
async fn first_of_five(running: &Running, path: &str, waiting: &mut JoinSet<Answer>) -> Answer {
    let head = sample("delivered.json").path(path).body(vec![b' '; 65_537]);
    let mut five = JoinSet::new();
    for _ in 0..5 {
        let (head, public) = (head.head(), running.public);
        five.spawn(async move {
            let mut connection = Connection::open(public).await;
            connection.write(&head).await;
            connection.answer().await
        });
    }
    let first = five.join_next().await.unwrap().unwrap();
    waiting.spawn(async move { five.join_next().await.unwrap().unwrap() });
    first
}

#[tokio::test]
async fn large_bodies_of_one_url_do_not_block_other_channels() {
    let (running, _) = on_memory().await;
    channel(&running).await;
    let mut waiting = JoinSet::new();
    let refused = first_of_five(&running, PATH, &mut waiting).await;
    assert_eq!(refused.status, 503);
    let refused = told(refused);
    // Of channels that do not exist as many are read, and they take no place from the others.
    for number in 2..8 {
        let path = format!("/social/on/whatsapp/meta/report/{number}");
        let nowhere = first_of_five(&running, &path, &mut waiting).await;
        assert_eq!(told(nowhere), refused);
    }
    let fields = json!({ "integrator": "meta", "signing_token": APP_SECRET });
    running.add_channel("9", fields).await;
    let path = "/social/on/whatsapp/meta/report/9";
    let large = sample("delivered.json").path(path);
    let large = large.body(vec![b' '; 3_000_000]);
    assert_eq!(large.send(running.public).await.status, 401);
    let unknown = large.clone().path("/social/on/whatsapp/meta/report/10");
    assert_eq!(unknown.send(running.public).await.status, 401);
    assert!(
        waiting.try_join_next().is_none(),
        "they were read all the time"
    );
}

#[tokio::test]
async fn app_secret_is_required_and_replaced_without_a_gap() {
    let (running, _) = on_memory().await;
    let fields = json!({ "id": "1", "integrator": "meta", "name": "a", "user": "a" });
    let missing = running.api("POST /channels", fields).await;
    missing.assert("400 invalid_value signing_token");
    channel(&running).await;
    let change = async |token: Value| {
        let body = json!({ "signing_token": token });
        running.api("PATCH /channels/1", body).await
    };
    change(Value::Null)
        .await
        .assert("400 invalid_value signing_token");
    let status = async || sample("read.json").send(running.public).await.status;
    change(json!(format!("the-next-secret {APP_SECRET}")))
        .await
        .assert("200");
    assert_eq!(status().await, 200);
    change(json!("the-next-secret")).await.assert("200");
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn disabled_channel_and_unavailable_store_make_a_signed_request_come_again() {
    let (running, store) = on_memory().await;
    channel(&running).await;
    store.set_unavailable(true);
    assert_eq!(sample("sent.json").send(running.public).await.status, 503);
    store.set_unavailable(false);
    let enable = async |enabled: bool| {
        let body = json!({ "enabled": enabled });
        running.api("PATCH /channels/1", body).await.assert("200");
    };
    enable(false).await;
    assert_eq!(sample("sent.json").send(running.public).await.status, 403);
    enable(true).await;
    assert_eq!(sample("sent.json").send(running.public).await.status, 200);
}
