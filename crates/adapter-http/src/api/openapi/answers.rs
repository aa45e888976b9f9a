//! Completes the answers of each operation: every status, and the codes of its problems.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::Response;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder};

use crate::api::route_access;

/// The problems of single operations: on each line the operation, then statuses and codes.
pub(super) const OF_OPERATIONS: &str = "\
    add_channel: 409 channel_exists, 422 unknown_integrator, 422 expiry_in_the_past
    show_channel: 404 no_such_channel
    change_channel: 404 no_such_channel, 409 outdated
    remove_channel: 404 no_such_channel
    test_channel: 404 no_such_channel, 409 channel_disabled, 409 test_running, \
        409 unreadable_token, 422 unknown_integrator, 422 invalid_public_url
    add_credential: 404 no_such_channel, 409 too_many_credentials, 422 unknown_integrator, \
        422 expiry_in_the_past
    remove_credential: 404 no_such_channel, 404 no_such_credential
    show_message: 404 no_such_message
    pull_events: 404 no_such_cursor, 410 pruned, 422 beyond_the_end
    stream_events: 422 beyond_the_end, 503 too_many_streams
    show_reconciliation: 404 no_such_channel, 404 no_account
    put_reconciliation: 404 no_such_channel, 422 no_records
    remove_reconciliation: 404 no_such_channel, 404 no_account
    show_cursor: 404 no_such_cursor
    put_cursor: 409 outdated, 422 beyond_the_end
    remove_cursor: 404 no_such_cursor
    add_subscription: 422 private_target, 422 beyond_the_end
    show_subscription: 404 no_such_subscription
    change_subscription: 404 no_such_subscription, 409 outdated, 422 private_target
    remove_subscription: 404 no_such_subscription
    pause_subscription: 404 no_such_subscription, 409 outdated
    resume_subscription: 404 no_such_subscription, 409 outdated
    rotate_secret: 404 no_such_subscription, 409 outdated
    test_subscription: 404 no_such_subscription, 409 unsealable_secret
    replay_events: 404 no_such_subscription, 404 no_such_message, 422 nothing_to_replay, \
        422 beyond_the_end
    list_deliveries: 404 no_such_subscription
    retry_deliveries: 404 no_such_subscription
    show_delivery: 404 no_such_delivery
    retry_delivery: 404 no_such_delivery, 409 not_retriable
    show_erasure: 404 no_such_erasure
    add_token: 409 token_exists, 422 expiry_in_the_past
    revoke_token: 404 no_such_token
    snooze_trouble: 404 no_such_trouble, 409 trouble_resolved, 422 invalid_snooze
    end_snooze: 404 no_such_trouble, 409 trouble_resolved
    show_channel_trouble_settings: 404 no_such_channel
    put_channel_trouble_settings: 404 no_such_channel
    remove_channel_trouble_settings: 404 no_such_channel";

/// The problems of every operation of the API.
const OF_API: &str = "403 forbidden, 500 corrupt_store, 503 store_unavailable";
/// The problems of operations that change something.
const OF_CHANGES: &str = "422 refused_by_store";
/// The problems of operations that require a token, which is looked up in the store.
const OF_TOKEN: &str = "401 unauthorized, 500 corrupt_store, 503 store_unavailable";
/// The problems of operations with query parameters.
const OF_PARAMETERS: &str = "400 invalid_value, 400 unknown_field, 400 duplicate_field";
/// The problems of operations of the API that read a body.
const OF_BODY: &str = "400 invalid_value, 400 unknown_field, 400 missing_field, \
    400 duplicate_field, 400 wrong_type, 400 invalid_json, 400 broken_body, 408 timeout, \
    413 too_large, 415 unsupported_media_type";

/// Completes the operations of the operator's listener.
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
            for (method, operation) in [
                ("GET", get),
                ("PUT", put),
                ("POST", post),
                ("DELETE", delete),
                ("PATCH", patch),
            ] {
                if let Some(operation) = operation {
                    complete(operation, path, method);
                }
            }
        }
    }
}

fn complete(operation: &mut Operation, path: &str, method: &str) {
    let changes = method != "GET";
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            success_description(status).clone_into(&mut answer.description);
        }
    }
    let of_api = path.starts_with("/api/");
    let with_token = of_api || path == "/metrics";
    let with_parameters = has_query_parameters(operation);
    let with_body = of_api && operation.request_body.is_some();
    if with_token {
        let admin = SecurityRequirement::new("admin", [""; 0]);
        operation.security = Some(vec![admin]);
    }
    if of_api {
        describe_permission(operation, path, method);
    }
    let id = operation.operation_id.clone().unwrap_or_default();
    let mut own = OF_OPERATIONS
        .lines()
        .filter_map(|line| line.split_once(": "));
    let own = own.find_map(|(known, problems)| (known.trim() == id).then_some(problems));
    for (applies, problems) in [
        (of_api, OF_API),
        (of_api && changes, OF_CHANGES),
        (with_token, OF_TOKEN),
        (with_parameters, OF_PARAMETERS),
        (with_body, OF_BODY),
        (own.is_some(), own.unwrap_or_default()),
    ] {
        let problems = problems.split(", ").filter_map(|each| each.split_once(' '));
        for (status, code) in problems.filter(|_| applies) {
            add(operation, status, code);
        }
    }
}

/// Adds to the description of an operation what its token must have.
fn describe_permission(operation: &mut Operation, path: &str, method: &str) {
    let permission = route_access::of_route(method, path).permission;
    let needs = format!("Needs {}.", permission.requirement());
    let described = operation.description.take();
    let described = described.filter(|description| !description.is_empty());
    operation.description = Some(match described {
        Some(description) => format!("{description}\n\n{needs}"),
        None => needs,
    });
}

fn success_description(status: &str) -> &'static str {
    match status {
        "201" => "Created",
        "202" => "Accepted",
        "204" => "Done",
        _ => "Success",
    }
}

fn has_query_parameters(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    })
}

/// Adds a code to the answer of a status, unless it is there.
fn add(operation: &mut Operation, status: &str, code: &str) {
    let answers = &mut operation.responses.responses;
    let answer = answers
        .entry(status.to_owned())
        .or_insert_with(|| RefOr::T(problem()));
    let RefOr::T(answer) = answer else {
        return;
    };
    let code = format!("`{code}`");
    if !answer.description.contains(&code) {
        if !answer.description.is_empty() {
            answer.description.push_str(", ");
        }
        answer.description.push_str(&code);
    }
}

fn problem() -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .content("application/problem+json", content)
        .build()
}
