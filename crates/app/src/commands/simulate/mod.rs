//! Sends reports as Twilio does, then compares what the server shows with what was sent.
//!
//! [`Plan`] contains the reports, [`caller`] sends them, [`expectation`] computes the resulting
//! messages by the domain's rules, [`operator_api`] reads them from the server, and [`compare`]
//! finds the differences. Start reading at [`run`].

mod callback;
mod caller;
mod compare;
mod expectation;
mod operator_api;
mod retries;
mod summary;
mod tally;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ports::Environment as _;
use traffic::plan::{Plan, RunId};

use super::credential::password_from_stdin;
use crate::config::Settings;
use crate::output;
use crate::system::System;
use callback::CallbackTarget;
use caller::{SendRate, TwilioCaller};
use operator_api::OperatorApi;
use summary::Summary;

#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// The callback URL of a channel. Credentials in it are used, and the part after # is parsed
    /// as Twilio does
    #[arg(long)]
    pub url: String,
    /// The webhook user, if it is not in the URL
    #[arg(long)]
    pub user: Option<String>,
    /// Read the webhook password from standard input
    #[arg(long, requires = "user")]
    pub password_stdin: bool,
    /// The number of messages; each has about three reports
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub messages: u32,
    /// Reports per second; each takes two requests
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Selects the reports and their order: the same seed sends the same traffic
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Selects the message ids, as hex digits; without it new ones are generated
    #[arg(long, value_name = "HEX")]
    pub run: Option<RunId>,
    /// The largest number of requests in flight
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: u16,
    /// Send credentials with the first request instead of waiting for the challenge
    #[arg(long)]
    pub credentials_at_once: bool,
    /// How many seconds to wait for messages to be shown as reported
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub settle: u16,
    /// The URL of the operator's API [default: the operator's listener of these settings]
    #[arg(long, value_name = "URL")]
    pub admin_url: Option<String>,
}

/// Sends the reports and compares. Fails if a report was not accepted or a message differs.
pub async fn run(settings: &Settings, json: bool, args: SimulateArgs) -> Result<()> {
    let callback = CallbackTarget::parse(&args.url)?;
    let credentials = match (args.user, args.password_stdin) {
        (Some(user), true) => (user, password_from_stdin()?.reveal().to_owned()),
        (Some(_), false) => anyhow::bail!("--user needs --password-stdin"),
        (None, _) => callback.credentials().context(
            "the webhook user and password are missing: give --user and --password-stdin, or \
             write them into the URL",
        )?,
    };
    let run = args
        .run
        .unwrap_or_else(|| RunId::from_random(&System.secret_bytes()));
    let api = OperatorApi {
        client: super::http_client::create(Duration::from_secs(15))?,
        url: args
            .admin_url
            .unwrap_or_else(|| settings.listeners.admin_url()),
        token: settings.stored_admin_token()?,
        channel: callback.channel()?,
    };

    let plan = Arc::new(Plan::new(args.seed, run, args.messages));
    let expected = expectation::of(&plan, &api.channel)?;
    api.check(&expected).await?;
    let caller = TwilioCaller {
        client: super::http_client::create(retries::REPORT_TIMEOUT)?,
        url: callback.target().clone(),
        retries: callback.retries(),
        credentials,
        at_once: args.credentials_at_once,
    };
    caller.check().await?;
    if !json {
        output::line(format!(
            "Run {run} of seed {}: {} reports on {} messages to {}",
            args.seed,
            plan.reports.len(),
            plan.messages.len(),
            callback.target(),
        ));
    }

    let send = SendRate {
        rate: args.rate,
        connections: usize::from(args.connections),
    };
    let bar = progress_bar(json, plan.reports.len(), "reports");
    let tally = caller.send(&plan, send, &bar).await?;
    bar.finish_and_clear();

    // Reports that were not accepted will not be shown either.
    let settle = if tally.reports_failed() == 0 {
        args.settle
    } else {
        0
    };
    let settle = Duration::from_secs(settle.into());
    let bar = progress_bar(json, expected.len(), "messages compared");
    let comparison = api
        .compare(expected, &tally, send.connections, settle, &bar)
        .await?;
    bar.finish_and_clear();

    let summary = Summary::new(&plan, args.seed, run, &tally, &comparison);
    if json {
        output::json(&summary)?;
    } else {
        summary.print();
    }
    let failed = tally.reports_failed();
    ensure!(failed == 0, "{failed} reports were not answered 204");
    let differing = comparison.differing;
    ensure!(
        differing == 0,
        "{differing} messages are not shown as they were reported"
    );
    Ok(())
}

fn progress_bar(json: bool, length: usize, what: &'static str) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {eta} left");
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX)).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
