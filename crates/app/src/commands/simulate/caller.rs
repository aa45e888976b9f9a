//! Sends reports the way Twilio does: first without credentials, and again
//! with them when asked.

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

use super::tally::Tally;
use super::tries::{TIME_LIMIT, Tries, Trouble};

/// Somebody who reports to one callback URL.
pub struct Caller {
    pub client: Client,
    pub url: Url,
    pub tries: Tries,
    pub credentials: (String, String),
    /// Whether the credentials are shown before anybody asks.
    pub at_once: bool,
}

/// How fast reports are sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Reports a second.
    pub rate: u32,
    /// How many may be under way at a time.
    pub connections: usize,
}

/// Why a try was no success.
struct Failure {
    trouble: Trouble,
    /// Whether the report may have been taken nevertheless.
    perhaps_taken: bool,
    why: String,
}

impl Caller {
    /// Fails if no connection can be made. Any answer will do: the first report tells the rest.
    pub async fn check(&self) -> Result<()> {
        let answer = self.client.get(self.url.clone()).send().await;
        answer
            .map(drop)
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("nothing answers at {}; is the server running?", self.url))
    }

    /// Sends all reports of a plan, each when it is due. Those of one message
    /// are sent strictly one after the other, in the plan's order: all of them
    /// go through the same lane.
    pub async fn send(self, plan: &Arc<Plan>, pace: Pace, bar: &ProgressBar) -> Result<Tally> {
        let caller = Arc::new(self);
        let began = Instant::now();
        let mut lanes = JoinSet::new();
        for lane in 0..pace.connections {
            let (caller, plan, bar) = (Arc::clone(&caller), Arc::clone(plan), bar.clone());
            lanes.spawn(async move {
                let mut tally = Tally::default();
                for (place, report) in
                    plan.reports
                        .iter()
                        .zip(0_u32..)
                        .filter_map(|(report, place)| {
                            (report.message % pace.connections == lane).then_some((place, report))
                        })
                {
                    tokio::time::sleep_until(began + due(place, pace.rate)).await;
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
        while let Some(lane) = lanes.join_next().await {
            tally.add(lane??);
        }
        tally.took = began.elapsed();
        Ok(tally)
    }

    /// Sends one report, and again where Twilio would.
    async fn report(&self, message: usize, body: &str, token: Uuid, tally: &mut Tally) {
        let began = Instant::now();
        let mut tried = 0;
        let attempts = async {
            loop {
                tried += 1;
                let failure = match self.try_once(body, token, tally).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                };
                if failure.perhaps_taken {
                    tally.perhaps_taken(message);
                }
                match self.tries.pause(failure.trouble, tried) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(failure.why),
                }
                tally.retries += 1;
            }
        };
        match tokio::time::timeout_at(began + TIME_LIMIT, attempts).await {
            Ok(Ok(())) => tally.taken(began.elapsed()),
            Ok(Err(why)) => tally.failed(why),
            Err(_elapsed) => {
                tally.perhaps_taken(message);
                tally.failed(format!("not taken within {} s", TIME_LIMIT.as_secs()));
            }
        }
    }

    async fn try_once(&self, body: &str, token: Uuid, tally: &mut Tally) -> Result<(), Failure> {
        if !self.at_once {
            let asked = self.request(body, token, false, tally).await?;
            let asks = asked
                .headers()
                .get(WWW_AUTHENTICATE)
                .is_some_and(|challenge| {
                    challenge
                        .as_bytes()
                        .get(..6)
                        .is_some_and(|it| it.eq_ignore_ascii_case(b"basic "))
                });
            match asked.status().as_u16() {
                401 if asks => {}
                401 => return Err(Failure::answered(401, "401 without a challenge".to_owned())),
                status => {
                    let why = format!("{status} instead of being asked for credentials");
                    return Err(Failure::answered(status, why));
                }
            }
        }
        let answer = self.request(body, token, true, tally).await?;
        match answer.status().as_u16() {
            204 => Ok(()),
            401 => Err(Failure::answered(
                401,
                "401: the credentials are refused".to_owned(),
            )),
            status => Err(Failure::answered(status, status.to_string())),
        }
    }

    async fn request(
        &self,
        body: &str,
        token: Uuid,
        with_credentials: bool,
        tally: &mut Tally,
    ) -> Result<Response, Failure> {
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
            .map_err(|error| Failure::unanswered(&error, with_credentials))?;
        tally.answered(answer.status().as_u16());
        Ok(answer)
    }
}

impl Failure {
    const fn answered(status: u16, why: String) -> Self {
        // A server that gave up waiting for its database may have written it all the same.
        let perhaps_taken = matches!(status, 200..300 | 500..);
        Self {
            trouble: Trouble::Status(status),
            perhaps_taken,
            why,
        }
    }

    fn unanswered(error: &reqwest::Error, with_credentials: bool) -> Self {
        let connected = !error.is_connect();
        let (trouble, why) = if connected && error.is_timeout() {
            (Trouble::Timeout, "no answer in time")
        } else if connected {
            (Trouble::Connection, "the connection broke")
        } else {
            (Trouble::Connection, "no connection")
        };
        Self {
            trouble,
            perhaps_taken: connected && with_credentials,
            why: why.to_owned(),
        }
    }
}

/// When the report at this place of the plan is to be sent.
fn due(place: u32, rate: u32) -> Duration {
    Duration::from_micros(u64::from(place) * 1_000_000 / u64::from(rate.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_due_at_the_rate_asked_for() {
        assert_eq!(due(0, 200), Duration::ZERO);
        assert_eq!(due(200, 200), Duration::from_secs(1));
        assert_eq!(due(1, 3), Duration::from_micros(333_333));
    }
}
