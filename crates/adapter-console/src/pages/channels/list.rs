//! The list of channels.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::access::Permission;

use super::last_day::LastDay;
use super::state::{Activity, ChannelState};
use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::number::grouped;
use crate::page::{self, Page, Section};
use crate::visit::Visit;

struct Row {
    path: String,
    name: String,
    id: String,
    integrator: String,
    state: Html,
    evidence: Html,
    rejected: String,
    /// Reports of the last 24 hours; `None` if there were none or they could not be read.
    trend: Option<Html>,
    /// The share of the messages of the last 24 hours that failed.
    failed: Option<String>,
    last: Option<Html>,
    messages: String,
}

#[derive(Template)]
#[template(path = "channels/list.html")]
struct ChannelsPage {
    page: Page,
    rows: Vec<Row>,
    may_change: bool,
}

/// Shows all channels with their states.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let channels = console.channels().await?;
    let day = LastDay::read(&console, &visit).await;
    let silences = console.run(console.state.troubles.silences()).await?;
    let mut rows = Vec::with_capacity(channels.len());
    for found in &channels {
        let channel = &found.channel;
        let calls = console
            .run(console.state.channels.calls(&channel.id))
            .await?;
        let activity = Activity::new(found, calls, day.last_report(&channel.id))
            .with_challenges(day.challenges(&channel.id))
            .with_silence(&channel.id, &silences);
        let state = ChannelState::of(found, &activity, visit.times.now());
        rows.push(Row {
            path: super::path(&channel.id),
            trend: day.trend(&channel.id, rows.len()),
            failed: day.failed(&channel.id),
            name: channel.name.to_string(),
            id: channel.id.to_string(),
            integrator: channel.integrator.title().to_owned(),
            state: state.look().chip(),
            evidence: state.evidence(found, &activity, &visit.times),
            rejected: grouped(calls.rejected),
            last: activity.last.map(|last| visit.times.relative(last)),
            messages: format!("/console/messages?channel={}", channel.id),
        });
    }
    page::show(&ChannelsPage {
        page: visit.page("Channels", Section::Channels),
        rows,
        may_change: visit.viewer.may(Permission::Change),
    })
}
