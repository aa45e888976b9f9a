//! The JSON bodies of all operations.

use domain::page::PageSize;
use ports::Maintenance as _;
use serde_json::{Value, json};

use crate::client::Request;
use crate::fixture::on_memory;
use crate::service::DOCUMENT;

/// Returns method, path and schema of every operation with a body.
fn bodies() -> Vec<(String, String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (method, path, operation))
    });
    let with_body = |(method, path, operation): (&String, &String, &'static Value)| {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let reference = schema["$ref"].as_str()?.trim_start_matches('#');
        let path = path.replace(['{', '}'], "");
        Some((method.to_uppercase(), path, DOCUMENT.pointer(reference)?))
    };
    operations.filter_map(with_body).collect()
}

#[tokio::test]
async fn only_objects_are_accepted_where_objects_are_expected() {
    let (running, store) = on_memory().await;
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
            let request = Request::new(method, path).json(&body);
            let answer = running.operator(request).await;
            assert_eq!(answer.problem(), "wrong_type", "{method} {path} {body}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("expected an object"), "{detail}");
        }
    }
    let message = json!({"message": ["1", "SM1"]});
    let replay = running.api("POST /subscriptions/x/replay", message).await;
    assert_eq!(replay.problem(), "wrong_type");
    let erased = store.erasures(None, PageSize::default()).await;
    assert!(erased.unwrap().items.is_empty());
}

#[tokio::test]
async fn errors_name_types_of_json_and_not_of_rust() {
    let (running, _) = on_memory().await;
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
                let request = Request::new(&method, &path).json(&body);
                let answer = running.operator(request).await.json();
                let detail = answer["detail"].as_str().unwrap_or_default();
                for word in detail.split(|c: char| !c.is_ascii_alphanumeric()) {
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
