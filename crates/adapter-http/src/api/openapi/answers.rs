//! What each operation may answer: every status, and the codes that its problems
//! have.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::Response;
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder};

/// A status, and codes of problems that have it.
type Refusal = (u16, &'static [&'static str]);

/// What an operation refuses for reasons of its own.
const REFUSALS: [(&str, &[Refusal]); 26] = [
    (
        "add_channel",
        &[
            (409, &["channel_exists"]),
            (422, &["unknown_integrator", "expiry_in_the_past"]),
        ],
    ),
    ("show_channel", &[NO_SUCH_CHANNEL]),
    ("change_channel", &[NO_SUCH_CHANNEL, OUTDATED]),
    ("remove_channel", &[NO_SUCH_CHANNEL]),
    (
        "add_credential",
        &[
            NO_SUCH_CHANNEL,
            (409, &["too_many_credentials"]),
            (422, &["unknown_integrator", "expiry_in_the_past"]),
        ],
    ),
    (
        "remove_credential",
        &[(404, &["no_such_channel", "no_such_credential"])],
    ),
    ("show_message", &[(404, &["no_such_message"])]),
    (
        "pull_events",
        &[NO_SUCH_CURSOR, (410, &["pruned"]), BEYOND_THE_END],
    ),
    (
        "stream_events",
        &[BEYOND_THE_END, (503, &["too_many_streams"])],
    ),
    ("show_cursor", &[NO_SUCH_CURSOR]),
    ("put_cursor", &[OUTDATED, BEYOND_THE_END]),
    ("remove_cursor", &[NO_SUCH_CURSOR]),
    (
        "add_subscription",
        &[(422, &["private_target"]), BEYOND_THE_END],
    ),
    ("show_subscription", &[NO_SUCH_SUBSCRIPTION]),
    (
        "change_subscription",
        &[NO_SUCH_SUBSCRIPTION, OUTDATED, (422, &["private_target"])],
    ),
    ("remove_subscription", &[NO_SUCH_SUBSCRIPTION]),
    ("pause_subscription", &[NO_SUCH_SUBSCRIPTION, OUTDATED]),
    ("resume_subscription", &[NO_SUCH_SUBSCRIPTION, OUTDATED]),
    ("rotate_secret", &[NO_SUCH_SUBSCRIPTION, OUTDATED]),
    (
        "test_subscription",
        &[NO_SUCH_SUBSCRIPTION, (409, &["unsealable_secret"])],
    ),
    (
        "replay_events",
        &[
            (404, &["no_such_subscription", "no_such_message"]),
            (422, &["nothing_to_replay"]),
            BEYOND_THE_END,
        ],
    ),
    ("list_deliveries", &[NO_SUCH_SUBSCRIPTION]),
    ("retry_deliveries", &[NO_SUCH_SUBSCRIPTION]),
    ("show_delivery", &[NO_SUCH_DELIVERY]),
    (
        "retry_delivery",
        &[NO_SUCH_DELIVERY, (409, &["not_retriable"])],
    ),
    ("show_erasure", &[(404, &["no_such_erasure"])]),
];

const NO_SUCH_CHANNEL: Refusal = (404, &["no_such_channel"]);
const NO_SUCH_CURSOR: Refusal = (404, &["no_such_cursor"]);
const NO_SUCH_SUBSCRIPTION: Refusal = (404, &["no_such_subscription"]);
const NO_SUCH_DELIVERY: Refusal = (404, &["no_such_delivery"]);
const OUTDATED: Refusal = (409, &["outdated"]);
const BEYOND_THE_END: Refusal = (422, &["beyond_the_end"]);

/// What is refused whatever the operation, if it has an admin token, parameters, a
/// body, is one of the API, and if it changes something.
const UNPROVEN: Refusal = (401, &["unauthorized"]);
const PARAMETERS: Refusal = (400, &["invalid_value", "unknown_field", "duplicate_field"]);
const BODY: [Refusal; 4] = [
    (
        400,
        &[
            "invalid_value",
            "unknown_field",
            "missing_field",
            "duplicate_field",
            "wrong_type",
            "invalid_json",
            "broken_body",
        ],
    ),
    (408, &["timeout"]),
    (413, &["too_large"]),
    (415, &["unsupported_media_type"]),
];
const STORE: [Refusal; 2] = [(500, &["corrupt_store"]), (503, &["store_unavailable"])];
const REFUSED_BY_STORE: Refusal = (422, &["refused_by_store"]);

/// Completes the answers of all operations of the operator's listener.
pub(super) struct Answers;

impl Modify for Answers {
    fn modify(&self, document: &mut Document) {
        for (path, item) in &mut document.paths.paths {
            let PathItem {
                get,
                put,
                post,
                delete,
                patch,
                ..
            } = item;
            if let Some(operation) = get {
                complete(operation, path, false);
            }
            for operation in [put, post, delete, patch].into_iter().flatten() {
                complete(operation, path, true);
            }
        }
    }
}

fn complete(operation: &mut Operation, path: &str, changes: bool) {
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            succeeded(status).clone_into(&mut answer.description);
        }
    }
    if path.starts_with("/api/") {
        for refusal in STORE {
            add(operation, refusal);
        }
        if changes {
            add(operation, REFUSED_BY_STORE);
        }
    }
    if path.starts_with("/api/") || path == "/metrics" {
        add(operation, UNPROVEN);
    }
    if has_parameters(operation) {
        add(operation, PARAMETERS);
    }
    if path.starts_with("/api/") && operation.request_body.is_some() {
        for refusal in BODY {
            add(operation, refusal);
        }
    }
    let own = REFUSALS
        .iter()
        .find(|(id, _)| operation.operation_id.as_deref() == Some(id));
    for refusal in own.into_iter().flat_map(|(_, refusals)| *refusals) {
        add(operation, *refusal);
    }
}

fn succeeded(status: &str) -> &'static str {
    match status {
        "201" => "It was made",
        "202" => "It is being done",
        "204" => "It is done",
        _ => "What was asked for",
    }
}

fn has_parameters(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    })
}

/// Adds codes to the answer of a status; one is named once.
fn add(operation: &mut Operation, (status, codes): Refusal) {
    let answers = &mut operation.responses.responses;
    let answer = answers
        .entry(status.to_string())
        .or_insert_with(|| RefOr::T(problem()));
    let RefOr::T(answer) = answer else {
        return;
    };
    for code in codes {
        let code = format!("`{code}`");
        if !answer.description.contains(&code) {
            if !answer.description.is_empty() {
                answer.description.push_str(", ");
            }
            answer.description.push_str(&code);
        }
    }
}

fn problem() -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .content("application/problem+json", content)
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn operations() -> Vec<Value> {
        let public_url = domain::PublicUrl::parse("https://reports.example.com").unwrap();
        let document = super::super::document(&public_url, &["twilio"]);
        let items = ["paths", "webhooks"].map(|name| document[name].as_object().unwrap().clone());
        let items = items.into_iter().flatten();
        let operations = items.flat_map(|(_, item)| item.as_object().unwrap().clone());
        operations.map(|(_, operation)| operation).collect()
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_every_refusal_its_operation() {
        let all = operations();
        let ids: BTreeSet<_> = all
            .iter()
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), all.len());
        for (id, _) in REFUSALS {
            assert!(ids.contains(id), "there is no {id}");
        }
    }

    #[test]
    fn every_answer_is_described_and_has_a_status() {
        for operation in operations() {
            let id = &operation["operationId"];
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let described = answer["description"].as_str().unwrap_or_default();
                assert!(!described.is_empty(), "{id} {status}");
                let exact = status.parse::<u16>().is_ok() || id == "push_event";
                assert!(exact, "{id} {status}");
                let refused = status.starts_with(['4', '5']) && id != "push_event";
                let says_why =
                    described.contains('`') || answer["content"]["application/json"].is_object();
                let of_ours = operation["tags"][0] != "webhook";
                assert!(
                    !refused || !of_ours || says_why,
                    "{id} {status}: {described}"
                );
            }
        }
    }
}
