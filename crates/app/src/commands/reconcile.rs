//! Compares messages with the integrator's records.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use domain::{ChannelId, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use ports::metrics::NoMetrics;
use serde::Serialize;
use usecases::reconciliation::{ReconcileRun, ReconcileScope, Reconciled};

use super::installation::{ensure_exists, with_stores};
use crate::cli::ReconcileArgs;
use crate::config::Settings;
use crate::{output, reconciliation};

/// How many positions the progress bar has.
const POSITIONS: u64 = 1_000;

/// The result of a run.
#[derive(Serialize)]
struct ReconciledView {
    channel_id: String,
    /// Whether nothing was recorded.
    dry_run: bool,
    /// Messages compared.
    checked: u64,
    /// Reports that had not arrived.
    recovered: u64,
    /// Messages that Twilio does not know, or has deleted.
    unknown: u64,
    /// Reports that another session kept from being recorded.
    left: u64,
}

pub async fn run(settings: &Settings, json: bool, args: ReconcileArgs) -> Result<()> {
    let since = args.since.as_deref().map(Timestamp::parse).transpose();
    let scope = match since.context("--since")? {
        Some(since) => ReconcileScope::Since(since),
        None if args.listed => ReconcileScope::Listed,
        None => ReconcileScope::Due,
    };
    let run = ReconcileRun {
        channel: ChannelId::parse(&args.channel)?,
        scope,
        dry_run: args.dry_run,
    };
    let bar = progress_bar(json);
    let done = with_stores(settings, async |stores| {
        ensure_exists(stores, &run.channel).await?;
        let (store, secret) = (stores.store(), settings.server_secret()?);
        let reconcile = reconciliation::reconcile(&store, settings, secret, Arc::new(NoMetrics))?;
        let done = reconcile.run(&run, |share, done| show_progress(&bar, share, done));
        Ok(done.await?)
    })
    .await;
    bar.finish_and_clear();
    print(json, &run, done?)
}

fn progress_bar(json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(POSITIONS);
    match ProgressStyle::with_template("{bar:40} {percent} % {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is from 0 to 1"
)]
fn show_progress(bar: &ProgressBar, share: f64, done: Reconciled) {
    bar.set_position((share * POSITIONS as f64) as u64);
    bar.set_message(format!(
        "{} messages, {} reports recovered",
        done.checked, done.recovered
    ));
}

fn print(json: bool, run: &ReconcileRun, done: Reconciled) -> Result<()> {
    if json {
        return output::json(&ReconciledView {
            channel_id: run.channel.to_string(),
            dry_run: run.dry_run,
            checked: done.checked,
            recovered: done.recovered,
            unknown: done.unknown,
            left: done.left,
        });
    }
    let verb = if run.dry_run {
        "Missing reports, not recorded"
    } else {
        "Recovered reports"
    };
    output::line(format!("Compared messages: {}", done.checked));
    output::line(format!("{verb}: {}", done.recovered));
    if done.unknown > 0 {
        output::line(format!(
            "Messages that Twilio does not know: {}",
            done.unknown
        ));
    }
    if done.left > 0 {
        output::line(format!(
            "Reports left for the next run, because their messages are locked: {}",
            done.left
        ));
    }
    Ok(())
}
