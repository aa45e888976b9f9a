//! Twilio's API, from which reconciliation recovers lost reports, is away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use domain::DeliveryStatus;
use serde_json::Value;
use testkit::fake_twilio::{ACCOUNT, API_KEY, API_KEY_SECRET, Failure, FakeMessage, FakeTwilio};
use traffic::form::{RECIPIENT, SENDER};
use traffic::integrator::Integrator;

use super::DEADLINE;
use crate::connection::LoadConnection;
use crate::faults::ledger::{Exchange, Ledger};
use crate::faults::load::RecordedLoad;
use crate::faults::report::{Report, body};
use crate::faults::trial::{Trial, TrialOptions, pause};
use crate::faults::verdict::Verdict;
use crate::wait::{runtime, until};
use crate::{CHANNEL, PASSWORD, http, report_head};

/// The stream whose messages lose their last report.
const LOST_STREAM: u64 = 2;

/// How many reports that stream has.
const LOST_STREAM_REPORTS: u64 = 600;

/// Of every so many messages of that stream, one loses all its reports.
const UNKNOWN_MESSAGE_INTERVAL: usize = 4;

/// How long it may take to recover the lost reports: an attempt that hangs, its repetitions, and
/// the lease of a killed process.
const CATCH_UP_LIMIT: Duration = Duration::from_mins(3);

/// The last statuses of the messages of a stream, and which reports of them are sent.
#[derive(Default)]
struct Losses {
    /// The messages as Twilio has them.
    messages: Vec<FakeMessage>,
    /// The last report of each of these messages, which is lost.
    lost: Vec<u64>,
    /// The reports that arrive.
    arriving: Vec<u64>,
}

/// Twilio's API refuses all requests and then answers none, while reports arrive and some were
/// lost. At the end the receiver is killed, unless the run is quick. No other report suffers, and
/// the lost ones are recovered once the API is back.
pub fn api_away(options: &TrialOptions) -> Result<Verdict> {
    let twilio = FakeTwilio::start();
    let url = twilio.url();
    let settings = [
        ("RECEIPTD_TWILIO_API_URL", url.as_str()),
        ("RECEIPTD_RECONCILE_AFTER_SECONDS", "1"),
        ("RECEIPTD_RECONCILE_INTERVAL_SECONDS", "1"),
    ];
    let trial = Trial::prepare_with(options, &settings, false)?;
    let account = [ACCOUNT, API_KEY, API_KEY_SECRET];
    trial.installation.add_account(account, SENDER)?;
    twilio.fail_always(Some(Failure::Status(503)));
    let mut trial = trial.started()?;

    let losses = Losses::of(LOST_STREAM);
    let lost = losses.lost.len();
    for message in losses.messages {
        twilio.put(message);
    }
    let mut ledger = send(&trial, &losses.arriving)?;
    // Nothing answers these.
    let unanswered = losses.lost.iter().map(|number| exchange(*number, None));
    ledger.exchanges.extend(unanswered);

    let live = RecordedLoad {
        rate: Some(options.choose(400, 200)),
        reports: options.choose(12_000, 1_600),
        ..trial.load()
    };
    let live = live.start();
    pause(options.choose(15.0, 4.0));
    let (error, failures) = (
        figure(&trial, "last_error")?,
        trial
            .receiver
            .metric("receiptd_reconciliation_failures_total")?,
    );
    twilio.fail_always(Some(Failure::Hang));
    ledger.add(live.finish()?);
    let journaled = trial.receiver.journaled()?;
    if !options.quick {
        // Its lease ends a minute later.
        trial.receiver.kill()?;
        trial.receiver.start()?;
    }
    twilio.fail_always(None);

    let back = Instant::now();
    let recovered = until(CATCH_UP_LIMIT, Duration::from_millis(100), || {
        figure(&trial, "recovered").is_ok_and(|count| count == lost)
    });
    let took = back.elapsed();
    let last_error = figure(&trial, "last_error")?;
    let mut verdict = trial.settle(&ledger)?;
    verdict.unanswered = verdict.unanswered.saturating_sub(lost);
    verdict.note(format!("{lost} lost reports recovered after {took:.0?}"));
    verdict.expect(recovered, "not all lost reports were counted as recovered");
    let stored = verdict.stored_unanswered;
    verdict.expect(
        stored == lost,
        format!("{stored} of {lost} lost reports are stored"),
    );
    verdict.expect(
        failures > 0.0 && error.as_str().is_some_and(|error| error.contains("503")),
        format!("the outage is not shown: {error}, {failures} failures"),
    );
    verdict.expect(last_error.is_null(), format!("still shown: {last_error}"));
    verdict.expect(journaled == 0.0, "reports went to the journal");
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

impl Losses {
    fn of(stream: u64) -> Self {
        let mut messages: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for number in 0..LOST_STREAM_REPORTS {
            let sid = Report::nth(Integrator::Twilio, stream, number).sid;
            messages.entry(sid).or_default().push(number);
        }
        let mut losses = Self::default();
        for (index, numbers) in messages.into_values().enumerate() {
            losses.add(stream, &numbers, index % UNKNOWN_MESSAGE_INTERVAL == 0);
        }
        losses
    }

    /// Adds a message with these reports, if one of them is later than all others and final.
    fn add(&mut self, stream: u64, numbers: &[u64], is_unknown: bool) {
        let status = |number: u64| {
            Report::nth(Integrator::Twilio, stream, number)
                .status
                .parse()
                .ok()
        };
        let rank = |number: u64| status(number).map(DeliveryStatus::rank);
        let last = numbers.iter().copied().max_by_key(|number| rank(*number));
        let Some(last) = last.filter(|last| status(*last).is_some_and(DeliveryStatus::is_final))
        else {
            return;
        };
        let report = Report::nth(Integrator::Twilio, stream, last);
        let others = numbers.iter().copied();
        let others: Vec<_> = others
            .filter(|other| Report::nth(Integrator::Twilio, stream, *other) != report)
            .collect();
        if others.iter().any(|other| rank(*other) == rank(last)) {
            return;
        }
        self.messages.push(FakeMessage {
            error_code: report.code.and_then(|code| code.parse().ok()),
            to: RECIPIENT.to_owned(),
            from: SENDER.to_owned(),
            ..FakeMessage::new(&report.sid, &report.status)
        });
        self.lost.push(last);
        if !is_unknown {
            self.arriving.extend(others);
        }
    }
}

/// Sends reports one after the other.
fn send(trial: &Trial, numbers: &[u64]) -> Result<Ledger> {
    let receiver = trial.installation.public;
    let head = report_head(receiver, Some(PASSWORD));
    runtime()?.block_on(async {
        let mut ledger = Ledger::default();
        let mut connection = LoadConnection::open(receiver).await?;
        for number in numbers {
            let request = head.with_body(&body(LOST_STREAM, *number));
            let response = connection.exchange(&request).await?;
            let status = Some(response.status);
            ledger.exchanges.push(exchange(*number, status));
            if response.closes {
                connection = LoadConnection::open(receiver).await?;
            }
        }
        Ok(ledger)
    })
}

const fn exchange(number: u64, status: Option<u16>) -> Exchange {
    Exchange {
        integrator: Integrator::Twilio,
        stream: LOST_STREAM,
        number,
        sent: Duration::ZERO,
        took: Duration::ZERO,
        status,
    }
}

/// A field of what reconciliation of the channel did.
fn figure(trial: &Trial, name: &str) -> Result<Value> {
    let path = format!("/api/v1/channels/{CHANNEL}/reconciliation");
    let (status, text) = http::get(trial.installation.operator, &path)?;
    ensure!(
        status == 200,
        "the figures of reconciliation answer {status}"
    );
    let figures: Value = serde_json::from_str(&text)?;
    Ok(figures.get(name).cloned().unwrap_or_default())
}
