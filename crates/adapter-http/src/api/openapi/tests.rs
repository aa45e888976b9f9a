//! Every operation of the OpenAPI document has an id, descriptions, statuses and problem codes.

use std::collections::BTreeSet;

use domain::PublicUrl;
use serde_json::Value;

use super::answers::OF_OPERATIONS;

fn operations() -> Vec<Value> {
    let public_url = PublicUrl::parse("https://reports.example.com").unwrap();
    let document = super::document(&public_url, &["twilio"]);
    let items = ["paths", "webhooks"].map(|name| document[name].as_object().unwrap().clone());
    let operations = items
        .into_iter()
        .flatten()
        .flat_map(|(_, item)| item.as_object().unwrap().clone());
    operations.map(|(_, operation)| operation).collect()
}

#[test]
fn every_operation_has_its_own_id_and_every_problem_its_operation() {
    let all = operations();
    let ids = all.iter().map(|each| each["operationId"].as_str().unwrap());
    let ids: BTreeSet<_> = ids.collect();
    assert_eq!(ids.len(), all.len());
    for line in OF_OPERATIONS.lines() {
        let (id, problems) = line.trim().split_once(": ").unwrap();
        assert!(ids.contains(id), "there is no {id}");
        for problem in problems.split(", ") {
            let (status, code) = problem.split_once(' ').unwrap();
            assert!(status.parse::<u16>().is_ok(), "{line}");
            assert!(!code.contains(' '), "{line}");
        }
    }
}

#[test]
fn every_answer_has_a_description_and_a_status() {
    for operation in operations() {
        let id = &operation["operationId"];
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let description = answer["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{id} {status}");
            let exact = status.parse::<u16>().is_ok() || id == "push_event";
            assert!(exact, "{id} {status}");
            let error = status.starts_with(['4', '5']) && id != "push_event";
            let names_code =
                description.contains('`') || answer["content"]["application/json"].is_object();
            let of_operator = operation["tags"][0] != "webhook";
            assert!(
                !error || !of_operator || names_code,
                "{id} {status}: {description}"
            );
        }
    }
}
