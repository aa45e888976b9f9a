//! Snoozing a trouble.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use domain::Timestamp;
use domain::access::{AuditAction, Permission};
use domain::trouble::SnoozeReason;

use super::list::{SNOOZES, show_with};
use super::{PATH, trouble_id};
use crate::console::Console;
use crate::error::PageError;
use crate::fields::Form;
use crate::form::FormView;
use crate::page;
use crate::visit::Visit;

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// Snoozes a trouble.
pub(crate) async fn snooze(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = trouble_id(&path)?;
    let mut form = FormView::with(form.0);
    let Some((until, reason)) = parse(&mut form, visit.times.now()) else {
        let refused = Some((id, form));
        return show_with(&console, &visit, StatusCode::BAD_REQUEST, refused).await;
    };
    let by = visit.viewer.actor().name;
    let details = format!("until {until}: {}", reason.as_str());
    let snoozing = console.state.troubles.snooze(id, until, reason, by);
    console.run(snoozing).await?;
    let object = id.to_string();
    console
        .audit(&visit, AuditAction::TroubleSnooze, &object, &details)
        .await;
    Ok(page::redirect(&format!("{PATH}?done=trouble-snoozed")))
}

fn parse(form: &mut FormView, now: Timestamp) -> Option<(Timestamp, SnoozeReason)> {
    let FormView { fields, errors } = form;
    let reason = errors.check("reason", SnoozeReason::parse(fields.text("reason").trim()));
    let hours = fields.text("hours").parse::<u16>().ok();
    let hours = hours.filter(|hours| SNOOZES.iter().any(|(known, _)| known == hours));
    let hours = errors.check("hours", hours.ok_or("choose how long to snooze it"));
    let until = now.plus_micros(i64::from(hours?) * HOUR_MICROS);
    Some((until, reason?))
}

/// Ends the snooze of a trouble.
pub(crate) async fn end(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = trouble_id(&path)?;
    console.run(console.state.troubles.end_snooze(id)).await?;
    let object = id.to_string();
    console
        .audit(&visit, AuditAction::TroubleEndSnooze, &object, "")
        .await;
    Ok(page::redirect(&format!("{PATH}?done=snooze-ended")))
}
