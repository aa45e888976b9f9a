//! Whether the process is alive, and whether it can receive reports.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use usecases::health::{ComponentHealth, Condition};
use utoipa::ToSchema;

use crate::api::auth::{PresentedToken, check_token};
use crate::monitoring::Monitoring;

/// The health of the service.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// Whether reports can be received.
    pub ready: bool,
    /// The parts that the service depends on.
    pub parts: Vec<PartView>,
}

/// The health of one part.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartView {
    /// Its name.
    #[schema(example = "store")]
    pub name: &'static str,
    /// `ready`, `degraded` (reports are still received) or `down`.
    #[schema(example = "ready")]
    pub condition: &'static str,
    /// What is wrong; `null` if nothing is.
    pub detail: Option<String>,
}

impl HealthView {
    fn new(parts: &[ComponentHealth], with_ids: bool) -> Self {
        let view = |part: &ComponentHealth| PartView {
            name: part.name,
            condition: part.condition.as_str(),
            detail: if with_ids {
                part.detail.clone()
            } else {
                part.summary.clone()
            },
        };
        Self {
            ready: parts.iter().all(|part| part.condition != Condition::Down),
            parts: parts.iter().map(view).collect(),
        }
    }
}

/// Check whether the process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "show_health",
    tag = "operating",
    responses((status = 200, body = String, content_type = "text/plain", description = "It is alive")),
    security(()),
)]
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain")
        .body("alive\n")
}

/// Check whether reports can be received
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "show_readiness",
    tag = "operating",
    responses(
        (status = 200, body = HealthView, description = "Reports can be received"),
        (status = 503, body = HealthView, description = "Reports cannot be received"),
    ),
    security((), ("admin" = [])),
)]
pub(crate) async fn ready(monitoring: Data<Monitoring>, request: HttpRequest) -> HttpResponse {
    let check = monitoring.run(monitoring.state.health.run());
    let parts = monitoring.health_cache.get_or_check(check).await;
    let presented = check_token(&monitoring, request.headers()).await;
    let with_ids = matches!(presented, Ok(PresentedToken::Valid(_)));
    let health = HealthView::new(&parts, with_ids);
    let mut answer = if health.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(health)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_only_with_the_token() {
        let part = ComponentHealth {
            name: "subscriptions",
            condition: Condition::Degraded,
            detail: Some("0193 was paused".to_owned()),
            summary: Some("1 need attention".to_owned()),
        };
        let detail = |with_ids| {
            let view = HealthView::new(std::slice::from_ref(&part), with_ids);
            view.parts[0].detail.clone()
        };
        assert_eq!(detail(true).unwrap(), "0193 was paused");
        assert_eq!(detail(false).unwrap(), "1 need attention");
    }
}
