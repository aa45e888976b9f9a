//! Checks what the operator of a request may do, and records what is changed and revealed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::{Data, Query, ReqData};
use actix_web::{Error, HttpMessage as _, HttpRequest, ResponseError as _};
use domain::access::{self, AuditAction, OperatorTokenId, Permission};
use tracing::Instrument as _;
use usecases::access::Actor;
use usecases::access::audit::Action;

use super::auth::invalid_token;
use super::error::ApiError;
use super::operator::Operator;
use super::route_access;
use crate::problem::Problem;

/// The operator of a request, from its token.
pub(crate) type Requester = ReqData<access::Operator>;

/// More about a change for its audit entry, set by the handler as an extension of the request.
struct AuditNote(String);

/// Adds to the audit entry of a request which fields it changed: their names, never their values.
pub(crate) fn note_changed(request: &HttpRequest, fields: &[(&str, bool)]) {
    let changed = fields.iter().filter(|(_, is_changed)| *is_changed);
    let names: Vec<_> = changed.map(|(name, _)| *name).collect();
    note(request, format!("changed: {}", names.join(", ")));
}

/// Adds a text to the audit entry of a request. Never pass secrets or personal data of recipients.
pub(crate) fn note(request: &HttpRequest, text: String) {
    request.extensions_mut().insert(AuditNote(text));
}

/// The change that a request makes, as an extension of the request until it is recorded.
struct UnrecordedChange {
    actor: Actor,
    action: AuditAction,
}

/// Records the change that a request has made. Called by handlers that read something for the
/// answer afterwards, which may fail; other changes are recorded when the handler has succeeded.
pub(crate) async fn record_change(operator: &Operator, request: &HttpRequest) {
    record(operator, request, None).await;
}

/// Records the change of a request unless that was done. `created` is the id of what was created.
async fn record(operator: &Operator, request: &HttpRequest, created: Option<&str>) {
    let change = request.extensions_mut().remove::<UnrecordedChange>();
    if let Some(UnrecordedChange { actor, action }) = change {
        let action = change_of(request, created, action);
        let audit = &operator.state.access.audit;
        operator.run(audit.after(&actor, action)).await;
    }
}

/// Fails with 403 unless the operator has a permission.
pub(crate) fn require(operator: &access::Operator, permission: Permission) -> Result<(), ApiError> {
    if operator.may(permission) {
        return Ok(());
    }
    let detail = format!("this needs {}", permission.requirement());
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into())
}

/// Passes a request on if its operator may do what its route does, and answers 403 otherwise. A
/// reveal is recorded before the request is passed on, a change after it succeeded: both in a task
/// that goes on if the client disconnects, so that no change is made without its entry.
pub(crate) async fn authorize(
    operator: Data<Operator>,
    requester: Requester,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(pattern) = request.match_pattern() else {
        // There is no such path.
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let route = route_access::of_route(request.method().as_str(), &pattern);
    let actor = Actor {
        name: requester.name.clone(),
        source: request.peer_addr().map(|peer| peer.ip().to_canonical()),
    };
    if let Err(error) = admit(&operator, &requester, &actor, route.permission, &request).await {
        return Ok(request.error_response(error).map_into_boxed_body());
    }
    if let Some(action) = route.audit {
        request
            .extensions_mut()
            .insert(UnrecordedChange { actor, action });
        let changing = async move {
            let response = next.call(request).await?.map_into_boxed_body();
            if response.status().is_success() {
                let created = response.headers().get(header::LOCATION);
                let created = created.and_then(|url| url.to_str().ok()?.rsplit('/').next());
                record(&operator, response.request(), created).await;
            }
            Ok(response)
        };
        let ended = actix_web::rt::spawn(changing.in_current_span()).await;
        return ended.map_err(ErrorInternalServerError)?;
    }
    let (started, is_read) = (Instant::now(), request.method().is_safe());
    let response = next.call(request).await?.map_into_boxed_body();
    if is_read && started.elapsed() >= operator.state.streams.token_check {
        // It waited for events, and the token may have been revoked meanwhile.
        let authenticate = &operator.state.access.authenticate;
        match operator.run(authenticate.is_valid(&requester)).await {
            Ok(true) => {}
            Ok(false) => return Ok(response.into_response(invalid_token())),
            Err(error) => {
                let answer = ApiError::Store(error).error_response();
                return Ok(response.into_response(answer));
            }
        }
    }
    Ok(response)
}

/// Checks the permissions of a request, and records that it reveals data.
async fn admit(
    operator: &Operator,
    requester: &access::Operator,
    actor: &Actor,
    permission: Permission,
    request: &ServiceRequest,
) -> Result<(), ApiError> {
    require(requester, permission)?;
    if !asks_to_reveal(request.query_string()) {
        return Ok(());
    }
    require(requester, Permission::Reveal)?;
    let path = request.path();
    let object = path.strip_prefix("/api/v1/").unwrap_or(path);
    // Clients poll for events; one entry a minute says as much as one for each poll.
    let is_polled = object == "events";
    if is_polled
        && !operator
            .reveals
            .is_due(requester.token, actor.source, Instant::now())
    {
        return Ok(());
    }
    let action = Action::new(AuditAction::DataReveal).on(object);
    let audit = &operator.state.access.audit;
    Ok(operator.run(audit.before(actor, action)).await?)
}

/// Returns whether a query has the parameter `reveal` with any value but `false`. Handlers refuse
/// values other than `true` and `false`, and queries that cannot be read.
fn asks_to_reveal(query: &str) -> bool {
    let pairs = Query::<Vec<(String, String)>>::from_query(query);
    pairs.is_ok_and(|pairs| {
        let mut pairs = pairs.iter();
        pairs.any(|(name, value)| name == "reveal" && value != "false")
    })
}

/// Returns the audited action of a request. Its object consists of the ids in the path, and of that
/// of what was created.
fn change_of(request: &HttpRequest, created: Option<&str>, action: AuditAction) -> Action {
    let ids: Vec<_> = request
        .match_info()
        .iter()
        .map(|(_, id)| id)
        .chain(created)
        .collect();
    let mut action = Action::new(action);
    if !ids.is_empty() {
        action = action.on(&ids.join("/"));
    }
    match request.extensions().get::<AuditNote>() {
        Some(AuditNote(text)) => action.saying(text),
        None => action,
    }
}

/// How often repeated reveals of one client are recorded.
const REVEAL_INTERVAL: Duration = Duration::from_mins(1);

/// When clients that poll for events last left an audit entry.
#[derive(Debug, Default)]
pub(crate) struct RepeatedReveals(Mutex<HashMap<(OperatorTokenId, Option<IpAddr>), Instant>>);

impl RepeatedReveals {
    /// Returns whether a reveal should be recorded: `true` once a minute for each token and
    /// address.
    fn is_due(&self, token: OperatorTokenId, source: Option<IpAddr>, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, recorded| now.duration_since(*recorded) < REVEAL_INTERVAL);
        let is_due = !last.contains_key(&(token, source));
        if is_due {
            last.insert((token, source), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reveal_is_found_however_it_is_written() {
        for query in [
            "reveal=true",
            "limit=5&reveal=true",
            "reve%61l=tru%65",
            "reveal=TRUE",
            "reveal",
            "reveal=false&reveal=true",
        ] {
            assert!(asks_to_reveal(query), "{query}");
        }
        for query in [
            "",
            "reveal=false",
            "Reveal=true",
            "to=reveal",
            "a=reveal=true",
        ] {
            assert!(!asks_to_reveal(query), "{query}");
        }
    }

    #[test]
    fn repeated_reveals_are_recorded_once_a_minute() {
        let reveals = RepeatedReveals::default();
        let token = |number: u8| -> OperatorTokenId {
            let id = format!("00000000-0000-0000-0000-00000000000{number}");
            id.parse().unwrap()
        };
        let (one, other) = (token(1), token(2));
        let now = Instant::now();
        assert!(reveals.is_due(one, None, now));
        assert!(!reveals.is_due(one, None, now));
        assert!(reveals.is_due(other, None, now));
        assert!(reveals.is_due(one, Some([127, 0, 0, 1].into()), now));
        assert!(reveals.is_due(one, None, now + REVEAL_INTERVAL));
    }
}
