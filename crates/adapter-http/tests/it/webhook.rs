//! The public listener, on the memory store.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use usecases::ingest::queue::IngestSettings;

use crate::answers::every_request_gets_its_answer;
use crate::client::{Connection, Request};
use crate::fixture::{Size, on_memory, sized, start};
use crate::other_integrator::OtherIntegrator;
use crate::service::fields;

#[tokio::test]
async fn every_request_gets_its_answer_on_the_memory_store() {
    let (running, store) = on_memory().await;
    every_request_gets_its_answer(&running.service, "table").await;
    assert!(store.logged_reports() > 0);
}

#[tokio::test]
async fn vendors_example_request_is_accepted() {
    let (running, store) = on_memory().await;
    let id = "202105102694809992";
    let channel = running.add_channel(id, json!({})).await;
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
    let mut connection = Connection::open(running.public).await;
    connection.write(request.as_bytes()).await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(store.logged_reports(), 1);
    let path = format!("/api/v1/messages/{id}/SM0123456789abcdef0123456789abcdef?reveal=true");
    let shown = running.shown(&path).await;
    assert_eq!(shown["status"], "delivered");
    assert_eq!(shown["to"], "whatsapp:+15550100001");
}

#[tokio::test]
async fn signature_over_the_configured_url_is_accepted() {
    let (running, _) = on_memory().await;
    let address = running.public;
    let channel = json!({
        "signing_token": "12345678901234567890123456789012",
        "public_url": "https://other.example.com:8443",
    });
    let channel = running.add_channel("signed", channel).await;
    let signed = |signature: &str| {
        let report = channel.report("SM1", "sent");
        report.header("X-Twilio-Signature", signature)
    };
    // HMAC-SHA1 over https://other.example.com:8443/social/… and the fields, made with openssl.
    let signature = "7lx/FK4FsLTo1PJNpB4xqW1AWFU=";
    assert_eq!(signed(signature).send(address).await.status, 204);
    // The signature includes the query.
    let with_query = format!("{}?tenant=7", channel.path());
    let signature = "4UAEm8pKw958O8gwYc46lRdykT8=";
    let report = signed(signature).path(&with_query);
    assert_eq!(report.send(address).await.status, 204);
    let answer = signed(signature).send(address).await;
    assert_eq!(answer.problem(), "signature_mismatch");
}

#[tokio::test]
async fn unavailable_store_is_answered_503() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    store.set_unavailable(true);
    let report = channel.report("SM1", "sent");
    let answer = report.send(running.public).await;
    answer.assert("503 store_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    store.set_unavailable(false);
    report.send(running.public).await.assert("204");
}

#[tokio::test]
async fn report_the_store_refuses_is_stored_as_a_rejection() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    store.refuse("SM1");
    let answer = channel.report("SM1", "sent").send(running.public).await;
    answer.assert("422 report_refused");
    let rejections = running.shown("/api/v1/rejections").await;
    assert_eq!(rejections["items"][0]["reason"], "refused_by_store");
}

#[tokio::test]
async fn too_long_fields_are_refused_even_without_the_store() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    store.set_unavailable(true);
    // Each of these characters takes six bytes in JSON.
    let mut body = b"MessageSid=SM1&MessageStatus=sent&To=1&From=2&Note=".to_vec();
    body.resize(50_000, 1);
    let request = channel.report("SM1", "sent").body(body);
    let answer = request.send(running.public).await;
    answer.assert("422 report_refused fields");
}

#[tokio::test]
async fn full_ingest_queue_is_answered_503() {
    let (running, store) = sized(|size| {
        size.ingest = IngestSettings {
            queue: 1,
            batch: 1,
            ..IngestSettings::default()
        };
    })
    .await;
    let channel = running.add_channel("1", json!({})).await;
    store.set_paused(true);
    // One report is being written, one waits in the queue, and then it is full.
    let mut waiting = Vec::new();
    let refused = loop {
        let mut connection = Connection::open(running.public).await;
        let report = channel.report("SM1", "sent");
        let exchange = connection.exchange(&report);
        let answer = tokio::time::timeout(Duration::from_millis(200), exchange).await;
        match answer {
            Ok(answer) => break answer,
            Err(_still_waiting) => waiting.push(connection),
        }
        assert!(waiting.len() < 5, "none was refused");
    };
    refused.assert("503 overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    store.set_paused(false);
    for mut connection in waiting {
        assert_eq!(connection.answer().await.status, 204);
    }
}

#[tokio::test]
async fn request_that_does_not_arrive_in_time_is_answered_408() {
    let timeout = Duration::from_millis(300);
    let (running, _) = sized(|size| size.public.request_timeout = timeout).await;
    let channel = running.add_channel("1", json!({})).await;
    let report = channel.report("SM1", "sent");
    for request in [
        report.clone(),
        report.clone().header("Transfer-Encoding", "chunked"),
    ] {
        let mut connection = Connection::open(running.public).await;
        connection.write(&request.head()).await;
        let answer = connection.answer().await;
        answer.assert("408 timeout");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(connection.is_closed().await);
    }
    // The server itself answers for an incomplete head.
    let mut connection = Connection::open(running.public).await;
    connection.write(b"POST /social/on/wha").await;
    assert_eq!(connection.answer().await.status, 408);
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn malformed_heads_are_answered_4xx() {
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
        let mut connection = Connection::open(running.public).await;
        connection.try_write(&bytes).await;
        let answer = connection.answer().await;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert_eq!(answer.status, status, "{start:?}: {answer:?}");
    }
}

#[tokio::test]
async fn path_word_belongs_to_the_integrator() {
    let mut integrators = adapter_integrators::all();
    integrators.push(Arc::new(OtherIntegrator::new()));
    let (running, _) = start(&Size::default(), integrators).await;
    let other = json!({"integrator": "other"});
    let channel = running.add_channel("1", other).await;
    let send = |path: &str| {
        let request = Request::post(path)
            .header("Content-Type", "text/plain")
            .header("Authorization", &channel.password);
        let address = running.public;
        async move { request.body("SM1 sent").send(address).await.status }
    };
    assert_eq!(send("/social/on/whatsapp/other/status/1").await, 202);
    assert_eq!(send("/social/on/whatsapp/other/report/1").await, 404);
    // The channel does not belong to Twilio.
    assert_eq!(send("/social/on/whatsapp/twilio/report/1").await, 401);
    let twilio = Request::post("/social/on/whatsapp/twilio/report/1")
        .form(&fields("SM1", "sent"))
        .basic(&channel.user, &channel.password);
    assert_eq!(twilio.send(running.public).await.status, 401);
}

#[tokio::test]
async fn change_of_a_channel_is_applied_at_once() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let report = channel.report("SM1", "sent");
    report.send(running.public).await.assert("204");
    let shown = running.shown("/api/v1/channels/1").await;
    let first = shown["credentials"][0]["id"].as_str().unwrap();
    let second = json!({"user": "second", "password": "päss:wörd 2"});
    let added = running.api("POST /channels/1/credentials", second).await;
    added.assert("201");
    let rotated = report.clone().basic("second", "päss:wörd 2");
    rotated.send(running.public).await.assert("204");
    report.send(running.public).await.assert("204");
    let remove = format!("DELETE /channels/1/credentials/{first}");
    running.api(&remove, Value::Null).await.assert("204");
    report.send(running.public).await.assert("401");
    rotated.send(running.public).await.assert("204");
    let removed = running.api("DELETE /channels/1", Value::Null).await;
    removed.assert("204");
    rotated.send(running.public).await.assert("401");
}
