//! Whether the process lives, and whether it can take reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tokio::sync::Mutex;
use usecases::health::{Condition, EventIndex};
use utoipa::ToSchema;

use crate::api::auth::{TokenShown, token_shown};
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
    fn new(parts: &[EventIndex], with_ids: bool) -> Self {
        let view = |part: &EventIndex| PartView {
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

/// How long a result is shown again: any number of probes costs the store one check a second.
const VALID_FOR: Duration = Duration::from_secs(1);

/// The last result of the health checks.
#[derive(Default)]
pub(crate) struct LastCheck(Mutex<Option<(Instant, Arc<[EventIndex]>)>>);

impl LastCheck {
    /// The last result if it is recent, and that of a new check otherwise. Of callers at the
    /// same time one checks and the others wait for its result.
    async fn or_check(&self, check: impl Future<Output = Vec<EventIndex>>) -> Arc<[EventIndex]> {
        let mut last = self.0.lock().await;
        if let Some((at, parts)) = &*last
            && at.elapsed() < VALID_FOR
        {
            return Arc::clone(parts);
        }
        let parts: Arc<[EventIndex]> = check.await.into();
        *last = Some((Instant::now(), Arc::clone(&parts)));
        parts
    }
}

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "show_health",
    tag = "operating",
    responses((status = 200, body = String, content_type = "text/plain", description = "It is")),
    security(()),
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
    security((), ("admin" = [])),
)]
pub(crate) async fn ready(watch: web::Data<Watch>, request: HttpRequest) -> HttpResponse {
    let check = watch.run(watch.state.health.run());
    let parts = watch.last_check.or_check(check).await;
    let shown = token_shown(&watch, request.headers()).await;
    let health = HealthView::new(&parts, shown == TokenShown::Right);
    let mut answer = if health.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(health)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn part() -> EventIndex {
        EventIndex {
            name: "subscriptions",
            condition: Condition::Degraded,
            detail: Some("0193 was paused".to_owned()),
            summary: Some("1 need attention".to_owned()),
        }
    }

    #[tokio::test]
    async fn many_probes_share_one_check() {
        let (last, checks) = (LastCheck::default(), Cell::new(0));
        let check = || async {
            checks.set(checks.get() + 1);
            tokio::task::yield_now().await;
            vec![part()]
        };
        let probes = (0..64).map(|_| last.or_check(check()));
        futures_util::future::join_all(probes).await;
        assert_eq!(checks.get(), 1);
    }

    #[test]
    fn ids_are_for_those_who_show_the_token() {
        let detail = |with_ids| HealthView::new(&[part()], with_ids).parts[0].detail.clone();
        assert_eq!(detail(true).unwrap(), "0193 was paused");
        assert_eq!(detail(false).unwrap(), "1 need attention");
    }
}
