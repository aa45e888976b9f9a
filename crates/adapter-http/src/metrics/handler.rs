//! The route that shows the metrics.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::registry::StoredFigures;
use super::text::{self, Format};
use crate::monitoring::Monitoring;

/// Show metrics to Prometheus
///
/// As OpenMetrics if `Accept` names it, else in the classic text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_metrics",
    tag = "operating",
    responses(
        (status = 200, content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        )),
    ),
)]
pub(crate) async fn show(monitoring: Data<Monitoring>, request: HttpRequest) -> HttpResponse {
    let state = &monitoring.state;
    let stored = StoredFigures {
        subscriptions: monitoring.run(state.statistics.run()).await,
        troubles: monitoring.run(state.troubles.run()).await,
        forwarding: monitoring.run(state.forwarding.all()).await,
    };
    let format = Format::requested(request.headers());
    let metrics = state.metrics.encode(&stored);
    let text = match format {
        Format::OpenMetrics => metrics,
        Format::Classic => text::classic(&metrics),
    };
    HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::VARY, "Accept"))
        .body(text)
}
