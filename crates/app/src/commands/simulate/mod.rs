//! Plays Twilio: sends reports as it would, then compares what the server
//! shows with what was sent.
//!
//! [`plan`] decides what is sent, [`caller`] sends it, [`expectation`] works
//! out what has to come of it by the domain's rules, [`operator_api`] asks what
//! did come of it, and [`compare`] tells the difference. Start reading at [`run`].

mod callback;
mod caller;
mod compare;
mod expectation;
mod operator_api;
mod summary;
mod tally;
mod tries;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use ports::Ids as _;
use traffic::plan::{Plan, RunId};

use super::credential::password_from_stdin;
use crate::config::Settings;
use crate::output;
use crate::system::SystemIds;
use callback::Callback;
use caller::{Caller, Pace};
use operator_api::OperatorApi;
use summary::Summary;

#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// The callback URL of a channel. Credentials in it are used, and what stands behind # is read
    /// as Twilio reads it
    #[arg(long)]
    pub url: String,
    /// The webhook user, if it does not stand in the URL
    #[arg(long)]
    pub user: Option<String>,
    /// Read the webhook password from standard input
    #[arg(long, requires = "user")]
    pub password_stdin: bool,
    /// How many messages to report on; each has about three reports
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub messages: u32,
    /// How many reports to send a second; each takes two requests
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Decides what is sent and in which order: the same seed, the same traffic
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Decides the message ids, as hex digits; without it new ones are made
    #[arg(long, value_name = "HEX")]
    pub run: Option<RunId>,
    /// How many requests may be under way at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: u16,
    /// Show the credentials with the first request instead of waiting to be asked
    #[arg(long)]
    pub credentials_at_once: bool,
    /// How many seconds to wait for messages to be shown as they were reported
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub settle: u16,
    /// Where the operator's API is [default: the operator's listener of these settings]
    #[arg(long, value_name = "URL")]
    pub admin_url: Option<String>,
}

/// Sends what was asked for and compares. Fails if any report was not taken or
/// anything is shown that was not sent.
pub async fn run(settings: &Settings, json: bool, args: SimulateArgs) -> Result<()> {
    let callback = Callback::parse(&args.url)?;
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
        .unwrap_or_else(|| RunId::from_random(&SystemIds.secret_bytes()));
    let api = OperatorApi {
        client: super::http_client(Duration::from_secs(15))?,
        url: args.admin_url.unwrap_or_else(|| settings.admin_url()),
        token: super::kept_admin_token(settings)?,
        channel: callback.channel()?,
    };

    let plan = Arc::new(Plan::new(args.seed, run, args.messages));
    let expected = expectation::of(&plan, &api.channel)?;
    api.check(&expected).await?;
    let caller = Caller {
        client: super::http_client(tries::TIME_LIMIT)?,
        url: callback.target().clone(),
        tries: callback.tries(),
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

    let pace = Pace {
        rate: args.rate,
        connections: usize::from(args.connections),
    };
    let bar = progress_bar(json, plan.reports.len(), "reports");
    let tally = caller.send(&plan, pace, &bar).await?;
    bar.finish_and_clear();

    // What was not taken will not be shown either, however long one waits.
    let settle = if tally.not_taken() == 0 {
        args.settle
    } else {
        0
    };
    let settle = Duration::from_secs(settle.into());
    let bar = progress_bar(json, expected.len(), "messages compared");
    let comparison = api
        .compare(expected, &tally, pace.connections, settle, &bar)
        .await?;
    bar.finish_and_clear();

    let summary = Summary::new(&plan, args.seed, run, &tally, &comparison);
    if json {
        output::json(&summary)?;
    } else {
        summary.print();
    }
    let failed = tally.not_taken();
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
