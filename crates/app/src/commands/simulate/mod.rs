//! Sends reports as integrators do, then compares what the server shows with what was sent.
//!
//! A [`Plan`] contains the reports to one URL, [`caller`] sends them, [`expectation`] computes the
//! resulting messages by the domain's rules, [`operator_api`] reads them from the server, and
//! [`compare`] finds the differences. Start reading at [`run`].

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
use domain::Message;
use indicatif::{ProgressBar, ProgressStyle};
use ports::Environment as _;
use tokio::task::JoinSet;
use traffic::integrator::Integrator;
use traffic::plan::{Plan, RunId};

use super::credential::password_from_stdin;
use crate::config::{self, Settings};
use crate::output;
use crate::system::System;
use callback::CallbackTarget;
use caller::{ReportCaller, SendRate};
use compare::Comparison;
use operator_api::OperatorApi;
use summary::{PlannedTraffic, Summary};
use tally::Tally;

#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// The callback URL of a channel; repeat it to send to several at once. Credentials in it are
    /// used, and the part after # is parsed as Twilio does
    #[arg(long, required = true)]
    pub url: Vec<String>,
    /// The integrator to play: twilio, infobip, gupshup, koomessage, 360dialog or meta [default:
    /// the one that the URL names]
    #[arg(long, value_parser = integrator)]
    pub integrator: Option<Integrator>,
    /// The webhook user, if it is not in the URL
    #[arg(long)]
    pub user: Option<String>,
    /// Read the webhook password from standard input; for meta the app secret
    #[arg(long, requires = "user")]
    pub password_stdin: bool,
    /// The number of messages; each has about three reports
    #[arg(long, default_value_t = 1000, value_parser = config::whole(1..=1_000_000_u32))]
    pub messages: u32,
    /// Reports per second; each of Twilio's takes two requests
    #[arg(long, default_value_t = 200, value_parser = config::whole(1..=100_000_u32))]
    pub rate: u32,
    /// Selects the reports and their order: the same seed sends the same traffic
    #[arg(long, default_value_t = 1, value_parser = config::whole(0..=u64::MAX))]
    pub seed: u64,
    /// Selects the message ids, as hex digits; without it new ones are generated
    #[arg(long, value_name = "HEX")]
    pub run: Option<RunId>,
    /// The largest number of requests in flight to each URL
    #[arg(long, default_value_t = 64, value_parser = config::whole(1..=4096_u16))]
    pub connections: u16,
    /// Send credentials with the first request instead of waiting for Twilio's challenge
    #[arg(long)]
    pub credentials_at_once: bool,
    /// How many seconds to wait for messages to be shown as reported
    #[arg(long, default_value_t = 10, value_name = "SECONDS",
          value_parser = config::whole(0..=u16::MAX))]
    pub settle: u16,
    /// The URL of the operator's API [default: the operator's listener of these settings]
    #[arg(long, value_name = "URL")]
    pub admin_url: Option<String>,
}

/// Sends the reports and compares. Fails if a report was not accepted or a message differs.
pub async fn run(settings: &Settings, json: bool, args: SimulateArgs) -> Result<()> {
    let password = match (&args.user, args.password_stdin) {
        (Some(user), true) => Some((user.clone(), password_from_stdin()?.reveal().to_owned())),
        (Some(_), false) => anyhow::bail!("--user needs --password-stdin"),
        (None, _) => None,
    };
    let run = args
        .run
        .unwrap_or_else(|| RunId::from_random(&System.secret_bytes()));
    let mut targets = Vec::new();
    for (url, number) in args.url.iter().zip(0_u32..) {
        let target = Target::new(settings, &args, (url, number), run, password.clone())?;
        target.api.check(&target.expected).await?;
        target.caller.check().await?;
        if !json {
            target.announce(run, args.seed);
        }
        targets.push(target);
    }
    let planned = PlannedTraffic {
        messages: targets.iter().map(|each| each.plan.messages.len()).sum(),
        reports: targets.iter().map(|each| each.plan.reports.len()).sum(),
    };

    let urls = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    let send = SendRate {
        rate: args.rate.div_ceil(urls),
        connections: usize::from(args.connections),
    };
    let bar = progress_bar(json, planned.reports, "reports");
    let mut sending = JoinSet::new();
    for target in targets {
        sending.spawn(target.send(send, bar.clone()));
    }
    let mut delivered = Vec::new();
    while let Some(target) = sending.join_next().await {
        delivered.push(target??);
    }
    bar.finish_and_clear();

    let bar = progress_bar(json, planned.messages, "messages compared");
    let (mut tally, mut comparison) = (Tally::default(), Comparison::default());
    for target in delivered {
        comparison.merge(target.compare(send, args.settle, &bar).await?);
        tally.add(target.tally);
    }
    bar.finish_and_clear();

    let summary = Summary::new(planned, args.seed, run, &tally, &comparison);
    if json {
        output::json(&summary)?;
    } else {
        summary.print();
    }
    let failed = tally.reports_failed();
    ensure!(failed == 0, "{failed} reports were not accepted");
    let differing = comparison.differing;
    ensure!(
        differing == 0,
        "{differing} messages are not shown as they were reported"
    );
    Ok(())
}

/// A callback URL, and what is sent to it.
struct Target {
    plan: Arc<Plan>,
    expected: Vec<Message>,
    caller: ReportCaller,
    api: OperatorApi,
}

/// A callback URL to which all reports were sent.
struct Delivered {
    expected: Vec<Message>,
    api: OperatorApi,
    tally: Tally,
}

impl Target {
    /// Plans the traffic of a URL by its number among all of them.
    fn new(
        settings: &Settings,
        args: &SimulateArgs,
        (url, number): (&str, u32),
        run: RunId,
        credentials: Option<(String, String)>,
    ) -> Result<Self> {
        let callback = CallbackTarget::parse(url)?;
        let integrator = match args.integrator {
            Some(integrator) => integrator,
            None => callback.integrator()?,
        };
        let credentials = callback.credentials().or(credentials).context(
            "the webhook user and password are missing: give --user and --password-stdin, or \
             write them into the URL",
        )?;
        let admin_url = args.admin_url.clone();
        let api = OperatorApi {
            client: super::http_client::create(Duration::from_secs(15))?,
            url: admin_url.unwrap_or_else(|| settings.listeners.admin_url()),
            token: settings.stored_admin_token()?,
            channel: callback.channel()?,
        };
        let urls = u32::try_from(args.url.len()).unwrap_or(u32::MAX);
        let messages = args.messages / urls + u32::from(number < args.messages % urls);
        let seed = args.seed.wrapping_add(number.into());
        let plan = Plan::new(integrator, seed, run, messages);
        Ok(Self {
            expected: expectation::of(&plan, &api.channel)?,
            plan: Arc::new(plan),
            caller: ReportCaller {
                integrator,
                client: super::http_client::create(retries::REPORT_TIMEOUT)?,
                url: callback.target().clone(),
                retries: callback.retries(integrator),
                credentials,
                at_once: args.credentials_at_once,
            },
            api,
        })
    }

    fn announce(&self, run: RunId, seed: u64) {
        output::line(format!(
            "Run {run} of seed {seed}: {} reports on {} messages to {}",
            self.plan.reports.len(),
            self.plan.messages.len(),
            self.caller.url,
        ));
    }

    async fn send(self, send: SendRate, bar: ProgressBar) -> Result<Delivered> {
        let tally = self.caller.send(&self.plan, send, &bar).await?;
        let mut expected = self.expected;
        for (index, again) in &tally.redelivered {
            if let Some(message) = expected.get_mut(*index) {
                message.duplicates += again;
            }
        }
        Ok(Delivered {
            expected,
            api: self.api,
            tally,
        })
    }
}

impl Delivered {
    /// Compares the messages with those that the server shows.
    async fn compare(&self, send: SendRate, settle: u16, bar: &ProgressBar) -> Result<Comparison> {
        // Reports that were not accepted will not be shown either.
        let settle = match self.tally.reports_failed() {
            0 => Duration::from_secs(settle.into()),
            _ => Duration::ZERO,
        };
        let (api, expected) = (self.api.clone(), self.expected.clone());
        api.compare(expected, &self.tally, send.connections, settle, bar)
            .await
    }
}

fn integrator(name: &str) -> Result<Integrator, String> {
    Integrator::named(name).ok_or_else(|| {
        let names = Integrator::ALL.map(Integrator::name).join(", ");
        format!("it is one of {names}")
    })
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
