//! The route that shows the metrics.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

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
    let statistics = monitoring.run(monitoring.state.statistics.run()).await;
    let troubles = monitoring.run(monitoring.state.troubles.run()).await;
    let format = Format::requested(request.headers());
    let metrics = monitoring
        .state
        .metrics
        .encode(statistics.as_deref(), troubles.as_ref());
    let text = match format {
        Format::OpenMetrics => metrics,
        Format::Classic => text::classic(&metrics),
    };
    HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::VARY, "Accept"))
        .body(text)
}
