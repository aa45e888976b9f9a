//! Cursors: places in the log that pullers keep on the server.

use std::sync::Arc;

use adapter_http::wire::{CursorDetailView, CursorList, CursorView, position};
use anyhow::{Context as _, Result};
use domain::CursorName;
use usecases::events::cursors::ExpectedPosition;
use usecases::{LogTailCache, ManageCursors};

use super::event;
use crate::cli::CursorCommand;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: CursorCommand) -> Result<()> {
    let stores = Stores::open(settings).await?;
    let log = Arc::new(LogTailCache::new(stores.store()));
    let cursors = composition::manage_cursors(&stores, Arc::clone(&log));
    let outcome = match command {
        CursorCommand::List => list(&cursors, json).await,
        CursorCommand::Show { name } => show(&cursors, json, &name).await,
        CursorCommand::Set {
            name,
            position,
            from,
            new,
        } => {
            let from = match (from.as_deref(), new) {
                (Some(text), _) => moved_from(text),
                (None, true) => Ok(ExpectedPosition::Absent),
                (None, false) => Ok(ExpectedPosition::Any),
            };
            set(&cursors, &log, json, &name, from, &position).await
        }
        CursorCommand::Remove { name } => remove(&cursors, &name).await,
    };
    stores.close().await;
    outcome
}

fn parse(name: &str) -> Result<CursorName> {
    CursorName::parse(name).with_context(|| format!("{name:?} is no name of a cursor"))
}

fn moved_from(text: &str) -> Result<ExpectedPosition> {
    let position = position(text);
    let expected = || format!("--from is {text:?}; it is a position as the API shows it");
    Ok(ExpectedPosition::At(position.with_context(expected)?))
}

async fn list(cursors: &ManageCursors, json: bool) -> Result<()> {
    let list = CursorList::new(&cursors.list().await?);
    if json {
        return output::json(&list);
    }
    let rows = list.items.into_iter();
    output::table(
        ["NAME", "POSITION"],
        rows.map(|cursor| [cursor.name, cursor.position]),
    );
    Ok(())
}

async fn show(cursors: &ManageCursors, json: bool, name: &str) -> Result<()> {
    let name = parse(name)?;
    let position = cursors.find(&name).await?;
    let lag = cursors.lag(position).await?;
    let view = CursorDetailView::new(name.as_str(), position, &lag);
    if json {
        return output::json(&view);
    }
    output::line(format!("Cursor {name}"));
    output::line(format!("  position   {}", view.cursor.position));
    output::line(format!("  behind     {}", output::lag(&view.lag)));
    Ok(())
}

async fn set(
    cursors: &ManageCursors,
    log: &LogTailCache,
    json: bool,
    name: &str,
    from: Result<ExpectedPosition>,
    to: &str,
) -> Result<()> {
    let name = parse(name)?;
    let to = event::place(log, "POSITION", to).await?;
    let made = cursors.put(&name, from?, to).await?;
    let view = CursorView::new(name.as_str(), to);
    if json {
        return output::json(&view);
    }
    let done = if made { "is made" } else { "is moved" };
    output::line(format!("Cursor {name} {done}: {}", view.position));
    Ok(())
}

async fn remove(cursors: &ManageCursors, name: &str) -> Result<()> {
    cursors.remove(&parse(name)?).await?;
    output::line(format!("Cursor {name} is removed."));
    Ok(())
}
