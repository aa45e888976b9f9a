//! The list of messages as CSV, masked, written page by page while the browser reads it.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use domain::error_code::explain;
use domain::page::{MessageCursor, MessageFilter, PageSize};
use domain::{DeliveryStatus, Message};
use futures_util::stream;
use ports::{ChannelWithCredentials, StoreError};

use super::filter::Filter;
use super::list::integrator;
use crate::console::Console;
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::visit::Visit;

const HEAD: [&str; 11] = [
    "first_reported_at",
    "last_reported_at",
    "channel_id",
    "message_sid",
    "to",
    "from",
    "status",
    "contradicted",
    "error_code",
    "error_title",
    "reports",
];

/// What is left of an export.
struct Export {
    console: Data<Console>,
    filter: MessageFilter,
    channels: Vec<ChannelWithCredentials>,
    next: Position,
}

enum Position {
    Start,
    After(MessageCursor),
    End,
}

/// Exports the messages that the filter in the query passes.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let filter = Filter::parse(&visit.query, &console.state.recipients, &visit.times)?;
    let channels = console.channels().await?;
    csv::audit(&console, &visit, "messages").await?;
    let export = Export {
        console,
        filter: filter.messages,
        channels,
        next: Position::Start,
    };
    let rows = stream::try_unfold(export, next_rows);
    Ok(csv::head("messages.csv").streaming(rows))
}

/// Returns the rows of the next page; the first with the names of the columns.
async fn next_rows(mut export: Export) -> Result<Option<(Bytes, Export)>, StoreError> {
    let mut rows = CsvRows::new();
    let after = match &export.next {
        Position::Start => {
            rows.row(HEAD);
            None
        }
        Position::After(cursor) => Some(cursor),
        Position::End => return Ok(None),
    };
    let list = &export.console.state.list;
    let page = list.run(&export.filter, after, PageSize::MAX);
    let page = export.console.run(page).await?;
    for message in &page.items {
        rows.row(cells(message, &export.channels));
    }
    export.next = page.next.map_or(Position::End, Position::After);
    Ok(Some((rows.into_bytes(), export)))
}

fn cells(message: &Message, channels: &[ChannelWithCredentials]) -> [String; 11] {
    let error = message.state.error().map(|error| &error.error.code);
    let title = error.zip(integrator(channels, message));
    let title = title.map_or("", |(code, integrator)| explain(integrator, code).title);
    let sender = message.parties.sender.as_ref();
    [
        message.parties.first_reported_at.to_string(),
        message.last_reported_at.to_string(),
        message.key.channel.to_string(),
        message.key.sid.to_string(),
        message.parties.recipient.to_string(),
        sender.map(ToString::to_string).unwrap_or_default(),
        message
            .state
            .status()
            .map_or("", DeliveryStatus::as_str)
            .to_owned(),
        message.state.contradicted().to_string(),
        error.map(ToString::to_string).unwrap_or_default(),
        title.to_owned(),
        message.revision().to_string(),
    ]
}
