//! Sends reports as Twilio does: first without credentials, and after the challenge with them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use reqwest::header::{CONTENT_TYPE, USER_AGENT, WWW_AUTHENTICATE};
use reqwest::{Client, Response, Url};
use tokio::task::JoinSet;
use tokio::time::Instant;
use traffic::form;
use traffic::plan::Plan;
use uuid::Uuid;

use super::retries::{CallFailure, CallRetries, REPORT_TIMEOUT};
use super::tally::Tally;

/// Sends reports to one callback URL.
pub struct TwilioCaller {
    pub client: Client,
    pub url: Url,
    pub retries: CallRetries,
    pub credentials: (String, String),
    /// Whether the first request has credentials.
    pub at_once: bool,
}

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

impl TwilioCaller {
    /// Fails if no connection can be made. Any response is fine: the first report shows the rest.
    pub async fn check(&self) -> Result<()> {
        let answer = self.client.get(self.url.clone()).send().await;
        answer
            .map(drop)
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("nothing answers at {}; is the server running?", self.url))
    }

    /// Sends all reports of a plan, each when it is due. All reports of one message are sent by the
    /// same task, one after the other in the plan's order.
    pub async fn send(self, plan: &Arc<Plan>, send: SendRate, bar: &ProgressBar) -> Result<Tally> {
        let caller = Arc::new(self);
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for task in 0..send.connections {
            let (caller, plan, bar) = (Arc::clone(&caller), Arc::clone(plan), bar.clone());
            tasks.spawn(async move {
                let mut tally = Tally::default();
                for (index, report) in
                    plan.reports
                        .iter()
                        .zip(0_u32..)
                        .filter_map(|(report, index)| {
                            (report.message % send.connections == task).then_some((index, report))
                        })
                {
                    tokio::time::sleep_until(began + due(index, send.rate)).await;
                    if let Some(message) = plan.messages.get(report.message) {
                        let body = form::body(message.subject(), report.step);
                        caller
                            .report(report.message, &body, report.token, &mut tally)
                            .await;
                    }
                    bar.inc(1);
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

    /// Sends one report, and repeats the call where Twilio would.
    async fn report(&self, message: usize, body: &str, token: Uuid, tally: &mut Tally) {
        let began = Instant::now();
        let mut calls = 0;
        let attempts = async {
            loop {
                calls += 1;
                let failed = match self.call(body, token, tally).await {
                    Ok(()) => return Ok(()),
                    Err(failed) => failed,
                };
                if failed.maybe_recorded {
                    tally.maybe_recorded(message);
                }
                match self.retries.pause(failed.failure, calls) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(failed.why),
                }
                tally.retries += 1;
            }
        };
        match tokio::time::timeout_at(began + REPORT_TIMEOUT, attempts).await {
            Ok(Ok(())) => tally.accepted(began.elapsed()),
            Ok(Err(why)) => tally.failed(why),
            Err(_elapsed) => {
                tally.maybe_recorded(message);
                tally.failed(format!(
                    "not accepted within {} s",
                    REPORT_TIMEOUT.as_secs()
                ));
            }
        }
    }

    async fn call(&self, body: &str, token: Uuid, tally: &mut Tally) -> Result<(), FailedCall> {
        if !self.at_once {
            let response = self.request(body, token, false, tally).await?;
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
        let answer = self.request(body, token, true, tally).await?;
        match answer.status().as_u16() {
            204 => Ok(()),
            401 => Err(FailedCall::answered(
                401,
                "401: the credentials are refused".to_owned(),
            )),
            status => Err(FailedCall::answered(status, status.to_string())),
        }
    }

    async fn request(
        &self,
        body: &str,
        token: Uuid,
        with_credentials: bool,
        tally: &mut Tally,
    ) -> Result<Response, FailedCall> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(USER_AGENT, "TwilioProxy/1.1")
            .header(
                CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .header("I-Twilio-Idempotency-Token", token.to_string())
            .body(body.to_owned());
        if with_credentials {
            let (user, password) = &self.credentials;
            request = request.basic_auth(user, Some(password));
        }
        let answer = request
            .send()
            .await
            .map_err(|error| FailedCall::unanswered(&error, with_credentials))?;
        tally.answered(answer.status().as_u16());
        Ok(answer)
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

/// When the report of this index is sent.
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
