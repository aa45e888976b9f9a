//! The OpenAPI document and its page.

use serde_json::{Value, json};

use crate::client::Request;
use crate::fixture::{PUBLIC_URL, Running, on_memory};

async fn document(running: &Running) -> Value {
    let answer = Request::get("/openapi.json").send(running.operator).await;
    answer.assert("200");
    answer.json()
}

#[tokio::test]
async fn document_lists_exactly_the_methods_of_each_path() {
    let (running, _) = on_memory().await;
    let document = document(&running).await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 39);
    for (path, operations) in paths {
        let operations = operations.as_object().unwrap();
        let address = if path.starts_with("/social") {
            running.public
        } else {
            running.operator
        };
        let concrete = path.replace(['{', '}'], "");
        // The answer to a valid request for a stream never ends.
        let concrete = concrete.replace("/stream", "/stream?since=invalid");
        let send = async |method: &str| {
            let request = Request::new(method, &concrete).bearer(&running.admin_token);
            request.send(address).await
        };
        let mut allowed = Vec::new();
        for method in ["DELETE", "GET", "PATCH", "POST", "PUT"] {
            let answer = send(method).await;
            if operations.contains_key(&method.to_ascii_lowercase()) {
                assert_ne!(answer.status, 405, "{method} {path}");
                let no_route = answer.status == 404 && answer.problem() == "not_found";
                assert!(!no_route, "{method} {path}");
                allowed.push(method);
                if method == "GET" {
                    allowed.push("HEAD");
                }
            } else {
                assert_eq!(answer.status, 405, "{method} {path}");
            }
        }
        let answer = send("OPTIONS").await;
        let allowed = allowed.join(", ");
        assert_eq!(answer.header("allow"), Some(allowed.as_str()), "{path}");
    }
}

#[tokio::test]
async fn document_is_complete_and_consistent() {
    let (running, _) = on_memory().await;
    let document = document(&running).await;
    assert_references_resolve(&document, &document);
    let paths = document["paths"].as_object().unwrap();
    let webhook = &paths["/social/on/whatsapp/twilio/report/{channel}"]["post"];
    assert_eq!(webhook["servers"][0]["url"], PUBLIC_URL);
    assert_eq!(document["servers"][0]["url"], "/");
    let tags = document["tags"].as_array().unwrap();
    let operations = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values());
    for operation in operations {
        assert!(operation["security"].is_array(), "{operation}");
        let known = tags.iter().any(|tag| tag["name"] == operation["tags"][0]);
        assert!(known, "{operation}");
        let parameters = operation["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            let schema = &parameter["schema"];
            assert!(schema["type"].is_string(), "{parameter}");
            if parameter["name"] == "limit" {
                let range = (&schema["minimum"], &schema["maximum"]);
                assert_eq!(range, (&json!(1), &json!(500)));
            }
        }
    }
    let message = &document["components"]["schemas"]["MessageView"]["properties"];
    assert_eq!(message["first_reported_at"]["format"], "date-time");
    assert_eq!(message["status"]["enum"].as_array().unwrap().len(), 12);
    let scheme = &document["components"]["securitySchemes"]["admin"]["scheme"];
    assert_eq!(scheme, "bearer");
    let messages = &paths["/api/v1/messages"]["get"];
    assert_eq!(messages["parameters"].as_array().unwrap().len(), 10);
    assert_eq!(messages["security"], json!([{"admin": []}]));
}

fn assert_references_resolve(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get("$ref") {
                let found = document.pointer(to.trim_start_matches('#'));
                assert!(found.is_some(), "{to}");
            }
            for field in fields.values() {
                assert_references_resolve(document, field);
            }
        }
        Value::Array(items) => {
            for item in items {
                assert_references_resolve(document, item);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn documentation_page_is_served_with_its_files() {
    let (running, _) = on_memory().await;
    let get = async |path: &str| Request::get(path).send(running.operator).await;
    for (path, page) in [
        ("/", "/console/"),
        ("/console", "/console/"),
        ("/docs", "/docs/"),
    ] {
        assert_eq!(get(path).await.header("location"), Some(page));
    }
    let page = get("/docs/").await;
    page.assert("200");
    assert!(!page.text().contains("https://"), "{}", page.text());
    for file in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-initializer.js",
    ] {
        let found = get(&format!("/docs/{file}")).await;
        assert_eq!(found.status, 200, "{file}");
        assert!(!found.body.is_empty());
        let policy = found.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(found.header("x-frame-options"), Some("DENY"));
    }
}
