//! The list of channels as CSV.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::last_day::LastDay;
use super::state::{Activity, ChannelState};
use crate::console::Console;
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::visit::Visit;

/// Exports all channels with their states.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    csv::audit(&console, &visit, "channels").await?;
    let channels = console.channels().await?;
    let day = LastDay::read(&console, &visit).await;
    let silences = console.run(console.state.troubles.silences()).await?;
    let mut rows = CsvRows::new();
    rows.row([
        "channel_id",
        "name",
        "integrator",
        "state",
        "last_request_at",
        "challenged",
        "refused",
        "rejected",
    ]);
    for found in &channels {
        let channel = &found.channel;
        let calls = console.run(console.state.channels.calls(&channel.id));
        let activity = Activity::new(found, calls.await?, day.last_report(&channel.id))
            .with_challenges(day.challenges(&channel.id))
            .with_silence(&channel.id, &silences);
        let state = ChannelState::of(found, &activity, visit.times.now());
        let last = activity.last.map(|last| last.to_string());
        rows.row([
            channel.id.to_string(),
            channel.name.to_string(),
            channel.integrator.to_string(),
            state.look().word.to_owned(),
            last.unwrap_or_default(),
            activity.calls.challenged.to_string(),
            activity.calls.refused.to_string(),
            activity.calls.rejected.to_string(),
        ]);
    }
    Ok(rows.download("channels.csv"))
}
