//! Shows how retention is, and releases what it holds back.

use std::sync::Arc;

use anyhow::Result;
use ports::maintenance::RetentionKind;
use serde::Serialize;
use usecases::Prune;

use crate::cli::RetentionCommand;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: RetentionCommand) -> Result<()> {
    let stores = Stores::open(settings).await?;
    let prune = composition::prune(&stores, settings, Arc::default());
    let outcome = match command {
        RetentionCommand::Show => show(&prune, json).await,
        RetentionCommand::Release => release(&prune, json).await,
    };
    stores.close().await;
    outcome
}

/// How retention of one kind is.
#[derive(Serialize)]
struct RetentionView {
    kind: &'static str,
    clock: String,
    last_run: Option<String>,
    /// What is dated before this is removed.
    removes_before: String,
    held_back: Option<String>,
}

async fn show(prune: &Prune, json: bool) -> Result<()> {
    let mut views = Vec::new();
    for kind in RetentionKind::ALL {
        let status = prune.status(kind).await?;
        views.push(RetentionView {
            kind: kind.as_str(),
            clock: status.clock.now.to_string(),
            last_run: status.clock.last_run.map(|run| run.at.to_string()),
            removes_before: status.before.to_string(),
            held_back: status.hold.map(|hold| hold.to_string()),
        });
    }
    if json {
        return output::json(&views);
    }
    let row = |view: RetentionView| {
        [
            view.kind.to_owned(),
            view.clock,
            view.last_run.unwrap_or("never".to_owned()),
            view.removes_before,
            view.held_back.unwrap_or("no".to_owned()),
        ]
    };
    output::table(
        ["KIND", "CLOCK", "LAST RUN", "REMOVES BEFORE", "HELD BACK"],
        views.into_iter().map(row),
    );
    Ok(())
}

async fn release(prune: &Prune, json: bool) -> Result<()> {
    let now = prune.release().await?;
    output::hint(format!(
        "Released: the clock says {now}. Within a minute a server or `receiptd worker` removes \
         what is too old by it."
    ));
    show(prune, json).await
}
