//! The load of an integrator that sends many reports in a request: Infobip.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result};
use traffic::history::{ORDERLY, Step};
use traffic::integrator::{Integrator, ReportTime};
use traffic::request::BatchTemplate;

use crate::connection::LoadConnection;
use crate::load::{LoadResult, SharedLoad};
use crate::{PASSWORD, head_of};

/// Reports per request. A multiple of this is no multiple of the steps of a message, so the
/// requests of a connection differ.
pub const BATCH_REPORTS: u32 = 500;

/// Sends one batch after the other until the load is stopped. Latencies are of whole requests.
pub(crate) async fn run_connection(shared: Arc<SharedLoad>) -> Result<LoadResult> {
    let load = &shared.load;
    let connection = LoadConnection::open(load.address).await;
    let mut connection =
        connection.with_context(|| format!("no connection to {}", load.address))?;
    let head = head_of(Integrator::Infobip, load.address, Some(PASSWORD));
    let time = ReportTime {
        unix_seconds: 1_795_166_142,
        text: "2026-11-20T09:15:42.000+0000".to_owned(),
    };
    // A batch begins with any step of a message.
    let mut templates: Vec<_> = (0..ORDERLY.len())
        .map(|first| BatchTemplate::new(&head, &steps_from(first), &time))
        .collect();
    let reports = u64::from(BATCH_REPORTS);
    let mut result = LoadResult::default();
    while !shared.is_stopped() {
        let began = Instant::now();
        let first = shared.next.fetch_add(reports, Ordering::Relaxed);
        let position = load.stream.report(first).position;
        let template = templates.get_mut(position).context("a step too many")?;
        let sids = (first..first + reports).map(|number| load.stream.report(number).sid);
        let response = connection.exchange(template.fill(sids)).await?;
        if response.status != Integrator::Infobip.success() {
            *result.unexpected.entry(response.status).or_default() += 1;
            continue;
        }
        result.accepted += reports;
        if shared.is_measured() {
            result.reports += reports;
            result.requests += 1;
            result.latencies.add(began.elapsed());
        }
    }
    Ok(result)
}

/// Returns the steps of a batch that begins with the step of this position.
fn steps_from(first: usize) -> Vec<Step> {
    let steps = ORDERLY.iter().cycle().skip(first).copied();
    steps
        .take(usize::try_from(BATCH_REPORTS).unwrap_or_default())
        .collect()
}
