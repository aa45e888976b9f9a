//! Health, metrics, who is let in, and the document of the API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Connection, Request};
use crate::fixture::{PUBLIC_URL, on_memory};
use crate::service::DOCUMENT;

#[tokio::test]
async fn only_the_admin_token_opens_what_holds_data() {
    let (running, _) = on_memory().await;
    let address = running.service.operator;
    for path in [
        "/api/v1/channels",
        "/api/v1/channels/1",
        "/api/v1/messages",
        "/api/v1/messages/1/SM1",
        "/api/v1/rejections",
        "/api/v1/nowhere",
        "/metrics",
    ] {
        let plain = || Request::get(path);
        let mut first = None;
        for request in [
            plain(),
            plain().header("Authorization", ""),
            plain().header("Authorization", "Bearer"),
            plain().basic("admin", &running.service.admin_token),
            plain().method("POST"),
        ] {
            let answer = request.send(address).await.undated();
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (401, "unauthorized")
            );
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, Some("Bearer realm=\"receiptd\""));
            let first = first.get_or_insert_with(|| answer.clone());
            assert_eq!(*first, answer);
        }
    }
    let wrong = Request::get("/metrics").bearer("wrong");
    let wrong = wrong.send(address).await;
    assert_eq!(
        (wrong.status, wrong.problem().as_str()),
        (401, "unauthorized")
    );
    let challenge = "Bearer realm=\"receiptd\", error=\"invalid_token\"";
    assert_eq!(wrong.header("www-authenticate"), Some(challenge));
    assert_eq!(wrong.json()["detail"], "this is not the admin token");
    let lower = format!("bearer {}", running.service.admin_token);
    let request = Request::get("/api/v1/channels").header("authorization", &lower);
    assert_eq!(request.send(address).await.status, 200);
}

#[tokio::test]
async fn what_is_nowhere_and_what_a_path_does_not_know_are_problems() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    for path in [
        "/api",
        "/%FF",
        "/api/v2/channels",
        "/social/on/whatsapp/twilio/report/1",
    ] {
        let answer = Request::get(path).send(service.operator).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
    for path in [
        "nowhere",
        "channels/",
        "channels/1/",
        "messages/1",
        "messages/1/2/3",
        "channels/%FF",
        "messages/%FF/SM1",
        "messages/1/%FF",
    ] {
        let answer = service.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        answer.problem();
    }
    let answer = service
        .operator(Request::new("PUT", "/api/v1/channels"))
        .await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
}

#[tokio::test]
async fn health_says_which_part_is_down() {
    let (running, store) = on_memory().await;
    let address = running.service.operator;
    assert_eq!(Request::get("/healthz").send(address).await.status, 200);
    let ready = Request::get("/readyz").send(address).await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    let ready = ready.json();
    assert_eq!(ready["ready"], true);
    let part = json!({"name": "store", "condition": "ready", "detail": null});
    assert_eq!(ready["parts"][0], part);
    store.set_unavailable(true);
    let began = Instant::now();
    let ready = loop {
        let ready = Request::get("/readyz").send(address).await;
        if ready.status == 503 {
            break ready.json();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it is not seen");
    };
    assert_eq!(ready["ready"], false);
    assert_eq!(ready["parts"][0]["condition"], "down");
    assert!(ready["parts"][0]["detail"].is_string());
    assert_eq!(Request::get("/healthz").send(address).await.status, 200);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let (running, store) = on_memory().await;
    let service = &running.service;
    let metric = async |name: &str| service.metric(name).await;
    assert_eq!(metric("receiptd_channels").await, Some(0.0));
    let channel = service.add_channel("1", json!({})).await;
    let accepted = "receiptd_requests_total{outcome=\"accepted\"}";
    assert_eq!(metric(accepted).await, Some(0.0));
    for request in [
        channel.unproven("SM1", "sent"),
        channel.report("SM1", "sent"),
        channel.report("SM1", "sent"),
        channel.report("SM1", "made-up-1"),
        channel.report("SM1", "made-up-2"),
        channel.report("", "sent"),
        channel.unproven("SM1", "sent").basic("webhook", "wrong"),
        channel.report("SM1", "sent").path("/"),
        channel.report("SM1", "sent").method("PUT"),
    ] {
        request.send(service.public).await;
    }
    store.set_unavailable(true);
    channel.report("SM1", "read").send(service.public).await;
    store.set_unavailable(false);

    for (name, value) in [
        (accepted, 4.0),
        ("receiptd_requests_total{outcome=\"challenge\"}", 1.0),
        ("receiptd_requests_total{outcome=\"refused\"}", 1.0),
        ("receiptd_requests_total{outcome=\"invalid\"}", 1.0),
        ("receiptd_requests_total{outcome=\"not_found\"}", 1.0),
        (
            "receiptd_requests_total{outcome=\"method_not_allowed\"}",
            1.0,
        ),
        ("receiptd_requests_total{outcome=\"unavailable\"}", 1.0),
        ("receiptd_requests_total{outcome=\"timeout\"}", 0.0),
        (
            "receiptd_reports_total{integrator=\"twilio\",status=\"sent\",effect=\"advanced\"}",
            1.0,
        ),
        (
            "receiptd_reports_total{integrator=\"twilio\",status=\"sent\",effect=\"duplicate\"}",
            1.0,
        ),
        (
            "receiptd_reports_total{integrator=\"twilio\",status=\"unknown\",effect=\"unknown_status\"}",
            2.0,
        ),
        ("receiptd_rejections_total{reason=\"invalid_report\"}", 1.0),
        ("receiptd_commit_failures_total", 1.0),
        ("receiptd_journaled_reports_total", 0.0),
        ("receiptd_channels", 1.0),
        ("receiptd_connections", 0.0),
        ("receiptd_queue_reports", 0.0),
        ("receiptd_queue_allowed_reports", 4096.0),
        ("receiptd_request_duration_seconds_count", 10.0),
        (
            "receiptd_request_duration_seconds_bucket{le=\"+Inf\"}",
            10.0,
        ),
        ("receiptd_commit_duration_seconds_count", 4.0),
        ("receiptd_commit_batch_size_bucket{le=\"1.0\"}", 4.0),
        ("receiptd_commit_batch_size_sum", 4.0),
        ("receiptd_build_info{version=\"1.2.3\"}", 1.0),
    ] {
        assert_eq!(metric(name).await, Some(value), "{name}");
    }
    let text = service.get("/metrics").await;
    assert!(!text.text().contains("made-up"));
}

#[tokio::test]
async fn metrics_are_openmetrics_when_asked_for_and_classic_text_else() {
    let (running, _) = on_memory().await;
    let classic = running.service.get("/metrics").await;
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(classic.header("content-type"), Some(media_type));
    let classic = classic.text();
    assert!(classic.contains("# TYPE receiptd_requests_total counter\n"));
    assert!(classic.contains("# TYPE receiptd_build_info gauge\n"));
    assert!(!classic.contains("# EOF"));

    let request = Request::get("/metrics").header("Accept", "application/openmetrics-text");
    let open = running.service.operator(request).await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(media_type));
    let open = open.text();
    assert!(open.contains("# TYPE receiptd_requests counter\n"));
    assert!(open.ends_with("# EOF\n"));
    let samples = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(samples(classic), samples(open));
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    service.add_channel("1", json!({})).await;
    let cursor = json!({"position": "oldest"});
    let cursor = Request::new("PUT", "/api/v1/cursors/1").json(&cursor);
    assert_eq!(service.operator(cursor).await.status, 201);
    let subscription = json!({"url": "https://subscriber.example.com/"});
    let subscription = Request::post("/api/v1/subscriptions").json(&subscription);
    let subscription = service.operator(subscription).await.json();
    let id = subscription["id"].as_str().unwrap();
    let subscription = format!("/api/v1/subscriptions/{id}");
    let recipient = json!({"recipient": "+15550100001"});
    let erasure = Request::post("/api/v1/erasures").json(&recipient);
    let erasure = service.operator(erasure).await;
    let erasure = erasure.header("location").unwrap();
    let mut seen = 0;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/api/v1/channels",
        "/api/v1/channels/1",
        "/api/v1/messages",
        "/api/v1/messages/1/SM1",
        "/api/v1/events",
        "/api/v1/cursors",
        "/api/v1/cursors/1",
        "/api/v1/subscriptions",
        &subscription,
        &format!("{subscription}/deliveries"),
        "/api/v1/deliveries/1",
        "/api/v1/erasures",
        erasure,
        "/api/v1/rejections",
    ] {
        let get = service.get(path).await.undated();
        let request = Request::new("HEAD", path).bearer(&service.admin_token);
        let head = request.send(service.operator).await.undated();
        assert_eq!(
            (head.status, &head.headers),
            (get.status, &get.headers),
            "{path}"
        );
        seen += 1;
    }
    // The stream never ends by itself, so its head comes alone.
    let request = Request::new("HEAD", "/api/v1/events/stream").bearer(&service.admin_token);
    let mut connection = Connection::open(service.operator).await;
    connection.write(&request.bytes()).await;
    let head = connection.head_of_answer().await;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
    assert!(connection.is_closed().await);
    let gets = DOCUMENT["paths"].as_object().unwrap().values();
    let gets = gets.filter(|item| item["get"].is_object()).count();
    // The document itself is not in it.
    assert_eq!(seen, gets);
}

/// Every body that an operation reads, as its method, its path and its schema.
fn bodies() -> Vec<(String, String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (method, path, operation))
    });
    let read = |(method, path, operation): (&String, &String, &'static Value)| {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let named = schema["$ref"].as_str()?.trim_start_matches('#');
        let path = path.replace(['{', '}'], "");
        Some((method.to_uppercase(), path, DOCUMENT.pointer(named)?))
    };
    operations.filter_map(read).collect()
}

#[tokio::test]
async fn only_objects_are_accepted_where_objects_are_expected() {
    let (running, store) = on_memory().await;
    let service = &running.service;
    let bodies = bodies();
    assert!(bodies.len() >= 8, "{bodies:?}");
    for (method, path, schema) in &bodies {
        let fields = schema["properties"].as_object().unwrap();
        let by_position: Vec<_> = fields.iter().map(|_| json!("+15550100001")).collect();
        let nulls = vec![Value::Null; fields.len()];
        for body in [
            json!([]),
            json!(by_position),
            json!(nulls),
            json!("x"),
            json!(1),
            json!(null),
        ] {
            let answer = service
                .operator(Request::new(method, path).json(&body))
                .await;
            assert_eq!(answer.problem(), "wrong_type", "{method} {path} {body}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("expected an object"), "{detail}");
        }
    }
    let message = json!({"message": ["1", "SM1"]});
    let replay = Request::post("/api/v1/subscriptions/x/replay").json(&message);
    assert_eq!(service.operator(replay).await.problem(), "wrong_type");
    let erased = ports::Erasures::list(&store, None, domain::page::PageSize::default()).await;
    assert!(erased.unwrap().items.is_empty());
}

#[tokio::test]
async fn errors_name_types_of_json_and_not_of_rust() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    for (method, path, schema) in bodies() {
        for name in schema["properties"].as_object().unwrap().keys() {
            for value in [
                json!({"x": 1}),
                json!([1]),
                json!("x"),
                json!(1.5),
                json!(true),
            ] {
                let body = json!({name: value});
                let answer = service
                    .operator(Request::new(&method, &path).json(&body))
                    .await;
                let detail = answer.json()["detail"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let words = detail.split(|c: char| !c.is_ascii_alphanumeric());
                for word in words {
                    let of_rust = [
                        "struct", "enum", "map", "sequence", "option", "tuple", "i64",
                    ];
                    assert!(!of_rust.contains(&word), "{body}: {detail}");
                    assert!(!schemas.contains_key(word), "{body}: {detail}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_document_of_the_api_says_what_there_is() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let document = Request::get("/openapi.json").send(service.operator).await;
    assert_eq!(document.status, 200);
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 28);
    for (path, operations) in paths {
        let known: Vec<_> = operations.as_object().unwrap().keys().collect();
        let address = if path.starts_with("/social") {
            service.public
        } else {
            service.operator
        };
        let concrete = path.replace(['{', '}'], "");
        // A good request for a stream is answered for ever.
        let concrete = concrete.replace("/stream", "/stream?since=ever");
        let mut allowed = Vec::new();
        for method in ["DELETE", "GET", "PATCH", "POST", "PUT"] {
            let request = Request::new(method, &concrete).bearer(&service.admin_token);
            let answer = request.send(address).await;
            let documented = known.iter().any(|known| known.eq_ignore_ascii_case(method));
            if documented {
                assert_ne!(answer.status, 405, "{method} {path}");
                let nothing = answer.status == 404 && answer.problem() == "not_found";
                assert!(!nothing, "{method} {path}");
                allowed.push(method);
                if method == "GET" {
                    allowed.push("HEAD");
                }
            } else {
                assert_eq!(answer.status, 405, "{method} {path}");
            }
        }
        let request = Request::new("OPTIONS", &concrete).bearer(&service.admin_token);
        let answer = request.send(address).await;
        assert_eq!(
            answer.header("allow"),
            Some(allowed.join(", ").as_str()),
            "{path}"
        );
    }
    everything_referred_to_is_there(&document, &document);
    let webhook = &document["paths"]["/social/on/whatsapp/twilio/report/{channel}"]["post"];
    assert_eq!(webhook["servers"][0]["url"], PUBLIC_URL);
    assert_eq!(document["servers"][0]["url"], "/");
    let tags = document["tags"].as_array().unwrap();
    for operations in paths.values() {
        for operation in operations.as_object().unwrap().values() {
            assert!(operation["security"].is_array(), "{operation}");
            let known = tags.iter().any(|tag| tag["name"] == operation["tags"][0]);
            assert!(known, "{operation}");
            let parameters = operation["parameters"].as_array();
            for parameter in parameters.into_iter().flatten() {
                let schema = &parameter["schema"];
                assert!(schema["type"].is_string(), "{parameter}");
                if parameter["name"] == "limit" {
                    assert_eq!(
                        (&schema["minimum"], &schema["maximum"]),
                        (&json!(1), &json!(500))
                    );
                }
            }
        }
    }
    let message = &document["components"]["schemas"]["MessageView"]["properties"];
    assert_eq!(message["first_reported_at"]["format"], "date-time");
    assert_eq!(message["status"]["enum"].as_array().unwrap().len(), 12);
    let scheme = &document["components"]["securitySchemes"]["admin"]["scheme"];
    assert_eq!(scheme, "bearer");
    let listing = &document["paths"]["/api/v1/messages"]["get"];
    assert_eq!(listing["parameters"].as_array().unwrap().len(), 10);
    assert_eq!(listing["security"], json!([{"admin": []}]));
}

fn everything_referred_to_is_there(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get("$ref") {
                let found = document.pointer(to.trim_start_matches('#'));
                assert!(found.is_some(), "{to}");
            }
            for field in fields.values() {
                everything_referred_to_is_there(document, field);
            }
        }
        Value::Array(items) => {
            for item in items {
                everything_referred_to_is_there(document, item);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_page_of_the_api_comes_with_all_it_needs() {
    let (running, _) = on_memory().await;
    let address = running.service.operator;
    for path in ["/", "/docs"] {
        let there = Request::get(path).send(address).await;
        assert_eq!(there.header("location"), Some("/docs/"));
    }
    let page = Request::get("/docs/").send(address).await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("https://"), "{}", page.text());
    for asset in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-initializer.js",
    ] {
        let found = Request::get(&format!("/docs/{asset}")).send(address).await;
        assert_eq!(found.status, 200, "{asset}");
        assert!(!found.body.is_empty());
        let policy = found.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(found.header("x-frame-options"), Some("DENY"));
    }
}

#[tokio::test]
async fn metrics_show_how_each_subscription_is_getting_on() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let request = Request::post("/api/v1/subscriptions")
        .json(&json!({"url": "https://subscriber.example.com/", "after": "oldest"}));
    let made = service.operator(request).await.json();
    let id = made["id"].as_str().unwrap();
    let request = channel.report("SM1", "sent");
    assert_eq!(request.send(service.public).await.status, 204);
    running.clock.advance(Duration::from_secs(70));
    let state =
        |state| format!("receiptd_subscription_state{{subscription=\"{id}\",state=\"{state}\"}}");
    let gauge = |name| format!("receiptd_subscription_{name}{{subscription=\"{id}\"}}");
    for (name, value) in [
        (state("active"), 1.0),
        (state("failing"), 0.0),
        (state("paused"), 0.0),
        (state("paused_failing"), 0.0),
        (state("paused_pruned"), 0.0),
        (state("ended"), 0.0),
        (gauge("open_deliveries"), 0.0),
        (gauge("dead_deliveries"), 0.0),
        (gauge("lag_reports"), 1.0),
        (gauge("lag_seconds"), 70.0),
        (
            "receiptd_subscriptions_stopped_total{reason=\"failing\"}".to_owned(),
            0.0,
        ),
        (
            "receiptd_subscriptions_stopped_total{reason=\"unreadable_secret\"}".to_owned(),
            0.0,
        ),
    ] {
        assert_eq!(service.metric(&name).await, Some(value), "{name}");
    }
}
