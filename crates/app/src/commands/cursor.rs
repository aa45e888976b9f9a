//! Manages cursors.

use std::sync::Arc;

use adapter_http::wire::{CursorDetailView, CursorList, CursorView, position};
use anyhow::{Context as _, Result};
use domain::CursorName;
use usecases::events::cursors::ExpectedPosition;
use usecases::{LogTailCache, ManageCursors};

use super::event_options;
use super::installation::with_stores;
use crate::cli::CursorCommand;
use crate::composition;
use crate::config::Settings;
use crate::{output, view};

pub async fn run(settings: &Settings, json: bool, command: CursorCommand) -> Result<()> {
    with_stores(settings, async |stores| {
        let log = Arc::new(LogTailCache::new(stores.store()));
        let cursors = composition::manage_cursors(stores, Arc::clone(&log));
        match command {
            CursorCommand::List => list(&cursors, json).await,
            CursorCommand::Show { name } => show(&cursors, json, &name).await,
            CursorCommand::Set {
                name,
                position,
                from,
                new,
            } => {
                let from = match (from.as_deref(), new) {
                    (Some(text), _) => moved_from(text)?,
                    (None, true) => ExpectedPosition::Absent,
                    (None, false) => ExpectedPosition::Any,
                };
                let to = event_options::position(&log, "POSITION", &position).await?;
                let name = parse(&name)?;
                let created = cursors.put(&name, from, to).await?;
                let view = CursorView::new(name.as_str(), to);
                if json {
                    return output::json(&view);
                }
                let done = if created { "created" } else { "moved" };
                output::line(format!("Cursor {name} {done}: {}", view.position));
                Ok(())
            }
            CursorCommand::Remove { name } => {
                cursors.remove(&parse(&name)?).await?;
                output::line(format!("Cursor {name} removed."));
                Ok(())
            }
        }
    })
    .await
}

fn parse(name: &str) -> Result<CursorName> {
    CursorName::parse(name).with_context(|| format!("{name:?} is not a valid cursor name"))
}

fn moved_from(text: &str) -> Result<ExpectedPosition> {
    let expected = || format!("--from is {text:?}; expected a position as the API shows it");
    Ok(ExpectedPosition::At(position(text).with_context(expected)?))
}

async fn list(cursors: &ManageCursors, json: bool) -> Result<()> {
    view::list(
        json,
        &CursorList::new(&cursors.list().await?),
        &[("NAME", "name"), ("POSITION", "position")],
        "no cursors; `receiptd cursor set NAME latest` creates one",
    )
}

async fn show(cursors: &ManageCursors, json: bool, name: &str) -> Result<()> {
    let name = parse(name)?;
    let position = cursors.find(&name).await?;
    let lag = cursors.lag(position).await?;
    let view = CursorDetailView::new(name.as_str(), position, &lag);
    if json {
        return output::json(&view);
    }
    output::fields(
        &format!("Cursor {name}"),
        [
            ("position", view.cursor.position),
            ("lag", output::lag(&view.lag)),
        ],
    );
    Ok(())
}
