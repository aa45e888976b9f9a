//! Integrators that send a key and batches, and repeat what is not answered with success.

use ports::integrator::MAX_INVALID_ELEMENTS;
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};
use crate::service::MadeChannel;

async fn channel(running: &Running, integrator: &str, more: Value) -> MadeChannel {
    let mut fields = json!({ "integrator": integrator });
    let more = more.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(more);
    running.add_channel("1", fields).await
}

async fn send(running: &Running, channel: &MadeChannel, body: &Value) -> Answer {
    let request = Request::post("/social/on/whatsapp/infobip/report/1")
        .json(body)
        .header("AccountKey", &channel.password);
    request.send(running.public).await
}

fn element(id: &str, from: Option<&str>) -> Value {
    json!({
        "messageId": id, "to": "15550100001", "from": from,
        "status": { "groupName": "DELIVERED" }, "doneAt": "2026-11-20T09:15:42.318+0000",
    })
}

#[tokio::test]
async fn elements_of_a_batch_are_judged_alone() {
    let (running, _) = on_memory().await;
    let senders = json!({ "senders": ["+15550100900"] });
    let channel = channel(&running, "infobip", senders).await;
    let batch = json!({ "results": [
        element("good", None), element("foreign", Some("15550109999")), 7,
        element("listed", Some("15550100900")),
        { "messageId": "inbound", "message": { "text": "private" }, "receivedAt": "now" },
    ]});
    let answer = send(&running, &channel, &batch).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    let messages = running.shown("/api/v1/messages").await;
    let mut ids: Vec<_> = messages["items"].as_array().unwrap().iter().collect();
    ids.sort_by_key(|message| message["message_sid"].to_string());
    let shown: Vec<_> = ids
        .iter()
        .map(|message| (&message["message_sid"], &message["from"]))
        .collect();
    let expected = [
        (&json!("good"), &Value::Null),
        (&json!("listed"), &json!("***0900")),
    ];
    assert_eq!(shown, expected);
    let good = running.shown("/api/v1/messages/1/good").await;
    assert_eq!(
        good["reports"][0]["happened_at"],
        "2026-11-20T09:15:42.318000Z"
    );
    let rejections = running.shown("/api/v1/rejections").await;
    let mut details: Vec<_> = rejections["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["detail"].as_str().unwrap())
        .collect();
    details.sort_unstable();
    let expected = [
        "element 1: the sender is not on the channel's list",
        "element 2: results: a JSON object in UTF-8",
    ];
    assert_eq!(details, expected);
    let name = r#"receiptd_ignored_elements_total{integrator="infobip",kind="message"}"#;
    assert_eq!(running.metric(name).await, Some(1.0));
}

#[tokio::test]
async fn integrator_that_redelivers_gets_success_for_what_is_never_valid() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    for body in [
        json!({}),
        json!({ "results": "x" }),
        json!([]),
        json!({ "results": [{}] }),
    ] {
        assert_eq!(send(&running, &channel, &body).await.status, 200, "{body}");
    }
    let rejections = running.shown("/api/v1/rejections").await;
    assert_eq!(rejections["items"].as_array().unwrap().len(), 4);
    let disabled = running
        .api("PATCH /channels/1", json!({ "enabled": false }))
        .await;
    disabled.assert("200");
    // An operator can change this, so the report is wanted later.
    let body = json!({ "results": [element("a", None)] });
    assert_eq!(send(&running, &channel, &body).await.status, 403);
}

#[tokio::test]
async fn elements_beyond_those_described_become_one_rejection() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    let mut elements = vec![json!(1); MAX_INVALID_ELEMENTS + 3];
    elements.push(element("good", None));
    let body = json!({ "results": elements });
    assert_eq!(send(&running, &channel, &body).await.status, 200);
    let messages = running.shown("/api/v1/messages").await;
    assert_eq!(messages["items"][0]["message_sid"], "good");
    let rejections = running.shown("/api/v1/rejections").await;
    let rejections = rejections["items"].as_array().unwrap();
    let details: Vec<_> = rejections.iter().map(|each| &each["detail"]).collect();
    let summary = "body: at most 10000 elements that are not reports; there are at least 3 more";
    assert!(details.contains(&&json!(summary)), "{details:?}");
    assert!(
        details.contains(&&json!("element 0: results: a JSON object in UTF-8")),
        "{details:?}"
    );
}

#[tokio::test]
async fn unavailable_store_makes_the_whole_batch_come_again() {
    let (running, store) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    store.set_unavailable(true);
    let body = json!({ "results": [element("a", None), {}, element("b", None)] });
    assert_eq!(send(&running, &channel, &body).await.status, 503);
    store.set_unavailable(false);
    assert_eq!(send(&running, &channel, &body).await.status, 200);
    let messages = running.shown("/api/v1/messages").await;
    assert_eq!(messages["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn batch_of_two_megabytes_is_received() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    let mut elements: Vec<_> = (0..2_000)
        .map(|number| element(&format!("{number:0>200}"), None))
        .collect();
    elements[7]["callbackData"] = "x".repeat(1_400_000).into();
    let body = json!({ "results": elements });
    assert!(body.to_string().len() > 2_000_000);
    assert_eq!(send(&running, &channel, &body).await.status, 200);
    let (messages, _) = running.all_pages("/api/v1/messages?limit=500").await;
    assert_eq!(messages.len(), 2_000);
}

#[tokio::test]
async fn missing_key_is_refused_without_a_challenge_and_shown() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    let path = "/social/on/whatsapp/infobip/report/1";
    let body = json!({ "results": [element("a", None)] });
    let missing = Request::post(path).json(&body).send(running.public).await;
    assert_eq!(missing.status, 401);
    assert_eq!(
        missing.header("www-authenticate"),
        Some("Key realm=\"receiptd\"")
    );
    let twice = Request::post(path)
        .json(&body)
        .header("AccountKey", &channel.password)
        .header("AccountKey", &channel.password);
    assert_eq!(twice.send(running.public).await.status, 401);
    let ready = running.operator(Request::get("/readyz")).await;
    assert!(
        ready.text().contains("without the header"),
        "{}",
        ready.text()
    );
}

#[tokio::test]
async fn integrators_without_signatures_refuse_a_signing_token() {
    let (running, _) = on_memory().await;
    let channel = json!({
        "id": "1", "integrator": "infobip", "name": "a", "user": "a",
        "signing_token": "0123456789abcdef",
    });
    let answer = running.api("POST /channels", channel).await;
    answer.assert("400 invalid_value signing_token");
}

#[tokio::test]
async fn gupshup_and_koomessage_send_their_key_in_authorization() {
    for (integrator, word, body, success) in [
        (
            "koomessage",
            "report",
            json!({ "message_id": "a", "user_number": "1", "status": "read" }),
            204,
        ),
        (
            "gupshup",
            "message",
            json!({ "type": "message-event", "payload": { "id": "a", "destination": "1", "type": "read" } }),
            200,
        ),
    ] {
        let (running, _) = on_memory().await;
        let password = json!({ "password": "Bearer of two  words" });
        let channel = channel(&running, integrator, password).await;
        let path = format!("/social/on/whatsapp/{integrator}/{word}/1");
        let request = Request::post(&path).json(&body);
        let wrong = request
            .clone()
            .header("Authorization", "Bearer of two words");
        assert_eq!(wrong.send(running.public).await.status, 401);
        let right = request.header("Authorization", &channel.password);
        let answer = right.send(running.public).await;
        assert_eq!(
            (answer.status, answer.text()),
            (success, ""),
            "{integrator}"
        );
        let message = running.shown("/api/v1/messages/1/a").await;
        assert_eq!(message["status"], "read");
    }
}

#[tokio::test]
async fn any_media_type_of_json_is_accepted() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    for (media_type, status) in [
        ("text/json", 200),
        ("application/vnd.api+json", 200),
        ("Application/CloudEvents-Batch+JSON; charset=utf-8", 200),
        ("application/jsonp", 415),
        ("json", 415),
        ("text/plain", 415),
    ] {
        let request = Request::post("/social/on/whatsapp/infobip/report/1")
            .header("Content-Type", media_type)
            .header("AccountKey", &channel.password)
            .body(json!({ "results": [element("a", None)] }).to_string());
        let answer = request.send(running.public).await;
        assert_eq!(answer.status, status, "{media_type}");
    }
}

#[tokio::test]
async fn element_that_is_not_valid_json_is_one_rejection_with_its_own_fields() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, "infobip", json!({})).await;
    let batch = r#"{"results":[
        {"messageId":"a","to":"15550100001","status":{"groupName":"DELIVERED"}},
        {"messageId":"b c","to":"15550100002","contact":{"name":"A \ud83d"},"price":1e400},
        {"messageId":"d","to":"15550100003","status":{"groupName":"DELIVERED"}}]}"#;
    let request = Request::post("/social/on/whatsapp/infobip/report/1")
        .header("Content-Type", "application/json")
        .header("AccountKey", &channel.password)
        .body(batch);
    assert_eq!(request.send(running.public).await.status, 200);
    for id in ["a", "d"] {
        let message = running.shown(&format!("/api/v1/messages/1/{id}")).await;
        assert_eq!(message["status"], "delivered");
    }
    let rejections = running.shown("/api/v1/rejections").await;
    assert_eq!(rejections["items"].as_array().unwrap().len(), 1);
    let rejection = rejections["items"][0].to_string();
    assert!(rejection.contains("element 1: messageId"), "{rejection}");
    assert!(rejection.contains("***0002"), "{rejection}");
}
