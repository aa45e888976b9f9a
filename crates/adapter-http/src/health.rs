//! Whether the process lives, and whether it can take reports.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use usecases::check_health::{Condition, Part};
use utoipa::ToSchema;

use crate::watch::Watch;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// Whether reports can be taken.
    pub ready: bool,
    /// How each part is.
    pub parts: Vec<PartView>,
}

/// How one part is.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartView {
    /// Its name.
    #[schema(example = "store")]
    pub name: &'static str,
    /// `ready`, `degraded` (reports are taken all the same) or `down`.
    #[schema(example = "ready")]
    pub condition: &'static str,
    /// What is wrong; `null` if nothing is.
    pub detail: Option<String>,
}

impl HealthView {
    fn new(parts: Vec<Part>) -> Self {
        let view = |part: Part| PartView {
            name: part.name,
            condition: part.condition.as_str(),
            detail: part.detail,
        };
        Self {
            ready: parts.iter().all(|part| part.condition != Condition::Down),
            parts: parts.into_iter().map(view).collect(),
        }
    }
}

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "show_health",
    tag = "operating",
    responses((status = 200, description = "It is")),
)]
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain")
        .body("alive\n")
}

/// Can reports be taken?
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "show_readiness",
    tag = "operating",
    responses(
        (status = 200, body = HealthView, description = "They can"),
        (status = 503, body = HealthView, description = "They cannot"),
    ),
)]
pub(crate) async fn ready(watch: web::Data<Watch>) -> HttpResponse {
    let health = HealthView::new(watch.run(watch.state.health.run()).await);
    let mut answer = if health.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(health)
}
