//! Shows retention, and releases what it holds back.

use std::sync::Arc;

use anyhow::Result;
use ports::maintenance::RetentionKind;
use ports::metrics::NoMetrics;
use serde::Serialize;
use usecases::Prune;

use super::installation::with_stores;
use crate::cli::RetentionCommand;
use crate::composition;
use crate::config::Settings;
use crate::{output, view};

pub async fn run(settings: &Settings, json: bool, command: RetentionCommand) -> Result<()> {
    with_stores(settings, async |stores| {
        let prune = composition::prune(stores, settings, Arc::default(), Arc::new(NoMetrics));
        if let RetentionCommand::Release = command {
            let now = output::time(prune.release().await?);
            output::hint(format!(
                "Released: the clock says {now}. Within a minute a server or `receiptd worker` \
                 removes what has expired."
            ));
        }
        show(&prune, json).await
    })
    .await
}

/// The retention of one kind of data.
#[derive(Serialize)]
struct RetentionView {
    kind: &'static str,
    clock: String,
    last_run: Option<String>,
    /// Data dated before this is removed.
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
    view::list(
        json,
        &views,
        &[
            ("KIND", "kind"),
            ("CLOCK", "clock"),
            ("LAST RUN", "last_run|never"),
            ("REMOVES BEFORE", "removes_before"),
            ("HELD BACK", "held_back|no"),
        ],
        "",
    )
}
