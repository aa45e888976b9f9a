//! The public listener, on the memory store.

use std::sync::Arc;
use std::time::Duration;

use adapter_http::ListenerSettings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testkit::memory::MemoryStore;
use usecases::ingest::group_commit::IngestSettings;

use crate::answers::every_request_gets_its_answer;
use crate::client::{Connection, Request};
use crate::fixture::{Size, Stores, on_memory, start, start_with};
use crate::service::fields;

#[tokio::test]
async fn every_request_gets_its_answer_on_the_memory_store() {
    let (running, store) = on_memory().await;
    every_request_gets_its_answer(&running.service, "table").await;
    assert!(store.logged_reports() > 0);
}

#[tokio::test]
async fn the_vendors_example_works_as_it_stands() {
    let (running, store) = on_memory().await;
    let id = "202105102694809992";
    let channel = running.service.add_channel(id, json!({})).await;
    let pair = STANDARD.encode(format!("{}:{}", channel.user, channel.password));
    let body = "From=whatsapp:+15550109999&To=whatsapp:+15550100001\
                &MessageStatus=delivered&MessageSid=SM0123456789abcdef0123456789abcdef";
    let request = format!(
        "POST /social/on/whatsapp/twilio/report/{id} HTTP/1.1\r\n\
         Host: test\r\n\
         Authorization: basic {pair}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(running.service.public).await;
    connection.write(request.as_bytes()).await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(store.logged_reports(), 1);
    let path = format!("/api/v1/messages/{id}/SM0123456789abcdef0123456789abcdef?reveal=true");
    let shown = running.service.shown(&path).await;
    assert_eq!(shown["status"], "delivered");
    assert_eq!(shown["to"], "whatsapp:+15550100001");
}

#[tokio::test]
async fn a_right_signature_is_taken_over_the_configured_url() {
    let (running, _) = on_memory().await;
    let address = running.service.public;
    let channel = json!({
        "signing_token": "12345678901234567890123456789012",
        "public_url": "https://other.example.com:8443",
    });
    let channel = running.service.add_channel("signed", channel).await;
    let signed = |signature: &str| {
        let report = channel.report("SM1", "sent");
        report.header("X-Twilio-Signature", signature)
    };
    // HMAC-SHA1 over https://other.example.com:8443/social/… and the fields, made with openssl.
    let signature = "7lx/FK4FsLTo1PJNpB4xqW1AWFU=";
    assert_eq!(signed(signature).send(address).await.status, 204);
    // The query is signed too.
    let with_query = format!("{}?tenant=7", channel.path());
    let signature = "4UAEm8pKw958O8gwYc46lRdykT8=";
    let report = signed(signature).path(&with_query);
    assert_eq!(report.send(address).await.status, 204);
    let answer = signed(signature).send(address).await;
    assert_eq!(answer.problem(), "signature_mismatch");
}

#[tokio::test]
async fn a_store_that_is_away_is_no_fault_of_the_caller() {
    let (running, store) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    store.set_unavailable(true);
    let answer = channel
        .report("SM1", "sent")
        .send(running.service.public)
        .await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "store_unavailable")
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    store.set_unavailable(false);
    let answer = channel
        .report("SM1", "sent")
        .send(running.service.public)
        .await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn a_report_the_store_will_never_take_is_refused_and_kept_as_a_rejection() {
    let (running, store) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    store.refuse("SM1");
    let answer = channel
        .report("SM1", "sent")
        .send(running.service.public)
        .await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (422, "report_refused")
    );
    let rejections = running.service.shown("/api/v1/rejections").await;
    assert_eq!(rejections["items"][0]["reason"], "refused_by_store");
}

#[tokio::test]
async fn fields_that_no_store_keeps_are_refused_while_the_store_is_away_too() {
    let (running, store) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    store.set_unavailable(true);
    // Each of them takes six bytes in JSON.
    let mut body = b"MessageSid=SM1&MessageStatus=sent&To=1&From=2&Note=".to_vec();
    body.resize(50_000, 1);
    let request = channel.report("SM1", "sent").body(body);
    let answer = request.send(running.service.public).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (422, "report_refused")
    );
    assert_eq!(answer.json()["field"], "fields");
}

#[tokio::test]
async fn too_many_waiting_reports_are_told_to_come_again() {
    let store = MemoryStore::new();
    let size = Size {
        intake: IngestSettings {
            queue: 1,
            batch: 1,
            ..IngestSettings::default()
        },
        ..Size::default()
    };
    let running = start(Stores::from(&store), &size).await;
    let channel = running.service.add_channel("1", json!({})).await;
    store.set_paused(true);
    // One is with the writer, one waits in the queue, and then it is full.
    let mut waiting = Vec::new();
    let refused = loop {
        let mut connection = Connection::open(running.service.public).await;
        connection
            .write(&channel.report("SM1", "sent").bytes())
            .await;
        let answer = tokio::time::timeout(Duration::from_millis(200), connection.answer()).await;
        match answer {
            Ok(answer) => break answer,
            Err(_still_waiting) => waiting.push(connection),
        }
        assert!(waiting.len() < 5, "none was refused");
    };
    assert_eq!(
        (refused.status, refused.problem().as_str()),
        (503, "overloaded")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    store.set_paused(false);
    for mut connection in waiting {
        assert_eq!(connection.answer().await.status, 204);
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let store = MemoryStore::new();
    let size = Size {
        public: ListenerSettings {
            request_timeout: Duration::from_millis(300),
            ..ListenerSettings::default()
        },
        ..Size::default()
    };
    let running = start(Stores::from(&store), &size).await;
    let channel = running.service.add_channel("1", json!({})).await;
    let report = channel.report("SM1", "sent");
    for request in [
        report.clone(),
        report.clone().header("Transfer-Encoding", "chunked"),
    ] {
        let mut connection = Connection::open(running.service.public).await;
        connection.write(&request.head()).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.problem().as_str()), (408, "timeout"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(connection.is_closed().await);
    }
    // A head that does not come is given up by the server itself.
    let mut connection = Connection::open(running.service.public).await;
    connection.write(b"POST /social/on/wha").await;
    assert_eq!(connection.answer().await.status, 408);
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_head_that_makes_no_sense_is_the_callers_fault() {
    let (running, _) = on_memory().await;
    let many = Request::post("/");
    let many = (0..200).fold(many, |request, _| request.header("X-Extra", "1"));
    let long = Request::post("/").header("X-Long", &"x".repeat(200_000));
    for (bytes, status) in [
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_vec(),
            400,
        ),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_vec(),
            400,
        ),
        (b"POST /\0 HTTP/1.1\r\n\r\n".to_vec(), 400),
        (
            b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            404,
        ),
        (b"POST * HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 404),
        (b"POST http://x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 404),
        (many.bytes(), 431),
        (long.bytes(), 431),
    ] {
        let mut connection = Connection::open(running.service.public).await;
        connection.try_write(&bytes).await;
        let answer = connection.answer().await;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert_eq!(answer.status, status, "{start:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_word_in_the_path_is_the_integrators_own() {
    let store = MemoryStore::new();
    let mut integrators = adapter_integrators::all();
    integrators.push(Arc::new(crate::parrot::Parrot::new()));
    let running = start_with(Stores::from(&store), &Size::default(), integrators).await;
    let channel = running
        .service
        .add_channel("1", json!({"integrator": "parrot"}))
        .await;
    let send = |path: &str| {
        let request = Request::post(path)
            .header("Content-Type", "text/parrot")
            .header("Authorization", &channel.password);
        let address = running.service.public;
        async move { request.body("SM1 sent").send(address).await.status }
    };
    assert_eq!(send("/social/on/whatsapp/parrot/squawk/1").await, 204);
    assert_eq!(send("/social/on/whatsapp/parrot/report/1").await, 404);
    // The same channel is not Twilio's, whatever is shown.
    assert_eq!(send("/social/on/whatsapp/twilio/report/1").await, 401);
    let twilio = Request::post("/social/on/whatsapp/twilio/report/1")
        .form(&fields("SM1", "sent"))
        .basic(&channel.user, &channel.password);
    assert_eq!(twilio.send(running.service.public).await.status, 401);
}

#[tokio::test]
async fn a_change_of_a_channel_works_at_once() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let report = channel.report("SM1", "sent");
    assert_eq!(report.send(service.public).await.status, 204);
    let shown = service.shown("/api/v1/channels/1").await;
    let first = shown["credentials"][0]["id"].as_str().unwrap();
    let request = Request::post("/api/v1/channels/1/credentials");
    let second = request.json(&json!({"user": "second", "password": "päss:wörd 2"}));
    assert_eq!(service.operator(second).await.status, 201);
    let rotated = channel
        .unproven("SM1", "sent")
        .basic("second", "päss:wörd 2");
    assert_eq!(rotated.send(service.public).await.status, 204);
    assert_eq!(report.send(service.public).await.status, 204);
    let path = format!("/api/v1/channels/1/credentials/{first}");
    assert_eq!(
        service.operator(Request::new("DELETE", &path)).await.status,
        204
    );
    assert_eq!(report.send(service.public).await.status, 401);
    assert_eq!(rotated.send(service.public).await.status, 204);
    let request = Request::new("DELETE", "/api/v1/channels/1");
    assert_eq!(service.operator(request).await.status, 204);
    assert_eq!(rotated.send(service.public).await.status, 401);
}
