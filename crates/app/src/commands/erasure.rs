//! What was erased, and not of whom.

use adapter_http::wire::{self, ErasureList, ErasureView};
use anyhow::{Context as _, Result};
use domain::ErasureId;
use usecases::ListErasures;

use crate::cli::{ErasureCommand, PageArgs};
use crate::composition::Stores;
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: ErasureCommand) -> Result<()> {
    let stores = Stores::open(settings).await?;
    let erasures = ListErasures::new(stores.store());
    let outcome = match command {
        ErasureCommand::List(args) => list(&erasures, json, &args).await,
        ErasureCommand::Show { id } => show(&erasures, json, &id).await,
    };
    stores.close().await;
    outcome
}

async fn list(erasures: &ListErasures, json: bool, args: &PageArgs) -> Result<()> {
    let (size, after) = super::page(args, wire::next)?;
    let list = ErasureList::new(&erasures.run(after, size).await?);
    if json {
        return output::json(&list);
    }
    table(list.items);
    super::hint_of(list.next.as_deref());
    Ok(())
}

async fn show(erasures: &ListErasures, json: bool, id: &str) -> Result<()> {
    let none = || format!("there is no erasure {id}; `receiptd erasure list` shows them");
    let parsed: ErasureId = id.parse().ok().with_context(none)?;
    let view = ErasureView::new(&erasures.find(parsed).await?.with_context(none)?);
    if json {
        return output::json(&view);
    }
    table([view]);
    Ok(())
}

fn table(erasures: impl IntoIterator<Item = ErasureView>) {
    let row = |view: ErasureView| {
        [
            view.id,
            view.asked_at,
            view.finished_at.unwrap_or("goes on".to_owned()),
            view.asked_through.to_owned(),
            view.recipient,
            view.messages.to_string(),
            view.reports.to_string(),
            view.deliveries.to_string(),
            view.reason.unwrap_or_default(),
        ]
    };
    output::table(
        [
            "ID",
            "ASKED",
            "DONE",
            "THROUGH",
            "RECIPIENT",
            "MESSAGES",
            "REPORTS",
            "DELIVERIES",
            "REASON",
        ],
        erasures.into_iter().map(row),
    );
}
