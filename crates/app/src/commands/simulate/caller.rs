//! Sends reports as their integrator does: Twilio first without credentials, and after the
//! challenge with them; the others at once, several reports together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use ports::Environment as _;
use reqwest::header::{CONTENT_TYPE, USER_AGENT, WWW_AUTHENTICATE};
use reqwest::{Client, Response, Url};
use tokio::task::JoinSet;
use tokio::time::Instant;
use traffic::integrator::{Integrator, ReportTime, ReportedStep};
use traffic::plan::{Plan, PlannedReport};
use uuid::Uuid;

use super::retries::{CallFailure, CallRetries, REPORT_TIMEOUT};
use super::tally::Tally;
use crate::system::System;

/// Sends reports to one callback URL.
pub struct ReportCaller {
    pub integrator: Integrator,
    pub client: Client,
    pub url: Url,
    pub retries: CallRetries,
    pub credentials: (String, String),
    /// Whether Twilio's first request has credentials.
    pub at_once: bool,
}

/// One request of this many that were accepted is sent again by an integrator that redelivers.
const REDELIVERED: usize = 20;

#[derive(Clone, Copy, Debug)]
pub struct SendRate {
    /// Reports per second.
    pub rate: u32,
    /// The largest number of requests in flight.
    pub connections: usize,
}

struct FailedCall {
    failure: CallFailure,
    /// Whether the report may have been recorded nevertheless.
    maybe_recorded: bool,
    why: String,
}

impl ReportCaller {
    /// Fails if no connection can be made. Any response is fine: the first report shows the rest.
    pub async fn check(&self) -> Result<()> {
        let answer = self.client.get(self.url.clone()).send().await;
        answer
            .map(drop)
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("nothing answers at {}; is the server running?", self.url))
    }

    /// Sends all reports of a plan, each when it is due. All reports of one message are sent by the
    /// same task, one after the other in the plan's order. Requests have all sizes that the
    /// integrator's have.
    pub async fn send(self, plan: &Arc<Plan>, send: SendRate, bar: &ProgressBar) -> Result<Tally> {
        let caller = Arc::new(self);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for task in 0..send.connections {
            let (caller, plan, bar) = (Arc::clone(&caller), Arc::clone(plan), bar.clone());
            tasks.spawn(async move {
                let mut tally = Tally::default();
                let own: Vec<_> = (0_u32..)
                    .zip(&plan.reports)
                    .filter(|(_, report)| report.message % send.connections == task)
                    .collect();
                let mut rest = own.as_slice();
                for number in 0.. {
                    let size = (number % caller.integrator.batch_max() + 1).min(rest.len());
                    let (batch, later) = rest.split_at(size);
                    let Some((last, _)) = batch.last() else {
                        break;
                    };
                    tokio::time::sleep_until(began + due(*last, send.rate)).await;
                    let request = caller.planned_request(&plan, batch);
                    let accepted = caller.deliver(&request, &mut tally).await;
                    if accepted && caller.integrator.redelivers() && number % REDELIVERED == 7 {
                        caller.redeliver(&request, &mut tally).await;
                    }
                    bar.inc(u64::try_from(size).unwrap_or_default());
                    rest = later;
                }
                anyhow::Ok(tally)
            });
        }
        let mut tally = Tally::default();
        while let Some(task) = tasks.join_next().await {
            tally.add(task??);
        }
        tally.took = began.elapsed();
        Ok(tally)
    }

    fn planned_request(&self, plan: &Plan, batch: &[(u32, &PlannedReport)]) -> PlannedRequest {
        let now = System.now();
        let time = ReportTime {
            unix_seconds: now.unix_micros() / 1_000_000,
            text: now.to_string(),
        };
        let (mut messages, mut steps) = (Vec::new(), Vec::new());
        let mut token = Uuid::nil();
        for (_, report) in batch {
            if let Some(message) = plan.messages.get(report.message) {
                messages.push(report.message);
                steps.push(ReportedStep {
                    subject: message.subject(),
                    step: report.step,
                });
                token = report.token;
            }
        }
        PlannedRequest {
            messages,
            body: self.integrator.body(&steps, &time),
            token,
        }
    }

    /// Sends a request, and repeats the call where the integrator would. Returns whether it was
    /// accepted.
    async fn deliver(&self, request: &PlannedRequest, tally: &mut Tally) -> bool {
        let began = Instant::now();
        let mut calls = 0;
        let attempts = async {
            loop {
                calls += 1;
                let failed = match self.call(request, tally).await {
                    Ok(()) => return Ok(()),
                    Err(failed) => failed,
                };
                if failed.maybe_recorded {
                    request.each(|message| tally.maybe_recorded(message));
                }
                match self.retries.pause(failed.failure, calls) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(failed.why),
                }
                tally.retries += 1;
            }
        };
        let why = match tokio::time::timeout_at(began + REPORT_TIMEOUT, attempts).await {
            Ok(Ok(())) => {
                request.each(|_| tally.accepted(began.elapsed()));
                return true;
            }
            Ok(Err(why)) => why,
            Err(_elapsed) => {
                request.each(|message| tally.maybe_recorded(message));
                format!("not accepted within {} s", REPORT_TIMEOUT.as_secs())
            }
        };
        request.each(|_| tally.failed(why.clone()));
        false
    }

    /// Sends an accepted request again, as integrators do that missed the answer.
    async fn redeliver(&self, request: &PlannedRequest, tally: &mut Tally) {
        match self.call(request, tally).await {
            Ok(()) => request.each(|message| tally.redelivered(message)),
            Err(failed) if failed.maybe_recorded => {
                request.each(|message| tally.maybe_recorded(message));
            }
            Err(_) => {}
        }
    }

    async fn call(&self, planned: &PlannedRequest, tally: &mut Tally) -> Result<(), FailedCall> {
        if self.integrator == Integrator::Twilio && !self.at_once {
            let response = self.request(planned, false, tally).await?;
            let asks = response
                .headers()
                .get(WWW_AUTHENTICATE)
                .is_some_and(|challenge| {
                    challenge
                        .as_bytes()
                        .get(..6)
                        .is_some_and(|it| it.eq_ignore_ascii_case(b"basic "))
                });
            match response.status().as_u16() {
                401 if asks => {}
                401 => {
                    return Err(FailedCall::answered(
                        401,
                        "401 without a challenge".to_owned(),
                    ));
                }
                status => {
                    let why = format!("{status} instead of being asked for credentials");
                    return Err(FailedCall::answered(status, why));
                }
            }
        }
        let answer = self.request(planned, true, tally).await?;
        match answer.status().as_u16() {
            status if status == self.integrator.success() => Ok(()),
            401 => Err(FailedCall::answered(
                401,
                "401: the credentials are refused".to_owned(),
            )),
            status => Err(FailedCall::answered(status, status.to_string())),
        }
    }

    async fn request(
        &self,
        planned: &PlannedRequest,
        with_credentials: bool,
        tally: &mut Tally,
    ) -> Result<Response, FailedCall> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, self.integrator.content_type())
            .body(planned.body.clone());
        if self.integrator == Integrator::Twilio {
            request = request
                .header(USER_AGENT, "TwilioProxy/1.1")
                .header("I-Twilio-Idempotency-Token", planned.token.to_string());
        }
        if with_credentials {
            let (user, password) = &self.credentials;
            let (name, value) = self.integrator.credentials(user, password, &planned.body);
            request = request.header(name, value);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| FailedCall::unanswered(&error, with_credentials))?;
        tally.answered(answer.status().as_u16());
        Ok(answer)
    }
}

/// A request with some reports of a plan.
struct PlannedRequest {
    /// The index of the message of each report.
    messages: Vec<usize>,
    body: String,
    /// Twilio's idempotency token.
    token: Uuid,
}

impl PlannedRequest {
    /// Calls a function with the message of each report.
    fn each(&self, call: impl FnMut(usize)) {
        self.messages.iter().copied().for_each(call);
    }
}

impl FailedCall {
    const fn answered(status: u16, why: String) -> Self {
        // A server that gave up waiting for its database may have recorded it nevertheless.
        let maybe_recorded = matches!(status, 200..300 | 500..);
        Self {
            failure: CallFailure::Status(status),
            maybe_recorded,
            why,
        }
    }

    fn unanswered(error: &reqwest::Error, with_credentials: bool) -> Self {
        let connected = !error.is_connect();
        let (failure, why) = if connected && error.is_timeout() {
            (CallFailure::Timeout, "no answer in time")
        } else if connected {
            (CallFailure::Connection, "the connection broke")
        } else {
            (CallFailure::Connection, "no connection")
        };
        Self {
            failure,
            maybe_recorded: connected && with_credentials,
            why: why.to_owned(),
        }
    }
}

/// Returns when the report of this index is sent.
fn due(index: u32, rate: u32) -> Duration {
    Duration::from_micros(u64::from(index) * 1_000_000 / u64::from(rate.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_due_at_the_requested_rate() {
        assert_eq!(due(0, 200), Duration::ZERO);
        assert_eq!(due(200, 200), Duration::from_secs(1));
        assert_eq!(due(1, 3), Duration::from_micros(333_333));
    }
}
