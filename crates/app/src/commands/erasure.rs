//! Shows erasures.

use adapter_http::wire::{self, ErasureList, ErasureView};
use anyhow::{Context as _, Result};
use domain::ErasureId;
use usecases::ListErasures;

use super::installation::with_stores;
use super::page;
use crate::cli::{ErasureCommand, PageArgs};
use crate::config::Settings;
use crate::view::{self, Column};

pub async fn run(settings: &Settings, json: bool, command: ErasureCommand) -> Result<()> {
    with_stores(settings, async |stores| {
        let erasures = ListErasures::new(stores.store());
        match command {
            ErasureCommand::List(args) => list(&erasures, json, &args).await,
            ErasureCommand::Show { id } => show(&erasures, json, &id).await,
        }
    })
    .await
}

const COLUMNS: [Column; 9] = [
    ("ID", "id"),
    ("REQUESTED", "asked_at"),
    ("FINISHED", "finished_at|in progress"),
    ("THROUGH", "asked_through"),
    ("RECIPIENT", "recipient"),
    ("MESSAGES", "messages"),
    ("REPORTS", "reports"),
    ("DELIVERIES", "deliveries"),
    ("REASON", "reason"),
];

async fn list(erasures: &ListErasures, json: bool, args: &PageArgs) -> Result<()> {
    let (size, after) = page::parse(args, wire::next)?;
    let list = ErasureList::new(&erasures.run(after, size).await?);
    let empty = "no erasures; `receiptd erase --recipient NUMBER` erases a recipient";
    view::list(json, &list, &COLUMNS, empty)
}

async fn show(erasures: &ListErasures, json: bool, id: &str) -> Result<()> {
    let none = || format!("there is no erasure {id}; `receiptd erasure list` shows them");
    let parsed: ErasureId = id.parse().ok().with_context(none)?;
    let erasure = ErasureView::new(&erasures.find(parsed).await?.with_context(none)?);
    view::show(json, "Erasure", &erasure, &COLUMNS)
}
