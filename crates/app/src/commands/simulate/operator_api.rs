//! Asks the operator's API for every message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use domain::{ChannelId, Message};
use indicatif::ProgressBar;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::compare::{Comparison, Shown, differences};
use super::tally::Tally;

/// The operator's API of the server that was sent to.
#[derive(Clone)]
pub struct OperatorApi {
    pub client: Client,
    pub url: String,
    pub token: String,
    pub channel: ChannelId,
}

/// What the API said of messages, by their places in the plan.
type Answers = BTreeMap<usize, Option<Shown>>;

impl OperatorApi {
    /// Fails unless the API answers and knows none of the messages yet.
    pub async fn check(&self, expected: &[Message]) -> Result<()> {
        let Some(first) = expected.first() else {
            return Ok(());
        };
        let known = self.message(first.key.sid.as_str()).await?;
        ensure!(
            known.is_none(),
            "this run was sent before; without --run its messages get new ids"
        );
        Ok(())
    }

    /// Compares all messages, given in the plan's order. Messages that differ
    /// are asked for again until `settle` is over: what a server has kept while
    /// its database was away is shown a little later.
    pub async fn compare(
        self,
        expected: Vec<Message>,
        tally: &Tally,
        connections: usize,
        settle: Duration,
        bar: &ProgressBar,
    ) -> Result<Comparison> {
        let expected = Arc::new(expected);
        let perhaps_taken = |place| tally.perhaps_taken.get(&place).copied().unwrap_or_default();
        let began = Instant::now();
        let mut places: Vec<_> = (0..expected.len()).collect();
        let mut answers = BTreeMap::new();
        loop {
            answers.extend(self.fetch(&expected, places, connections, bar).await?);
            places = differing(&expected, &answers, perhaps_taken);
            if places.is_empty() || began.elapsed() > settle {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let mut comparison = Comparison::default();
        for (place, message) in expected.iter().enumerate() {
            let shown = answers.remove(&place).flatten();
            comparison.add(message, shown.as_ref(), perhaps_taken(place));
        }
        Ok(comparison)
    }

    /// Asks for the messages at these places.
    async fn fetch(
        &self,
        expected: &Arc<Vec<Message>>,
        places: Vec<usize>,
        connections: usize,
        bar: &ProgressBar,
    ) -> Result<Answers> {
        let places = Arc::new(places);
        let mut lanes = JoinSet::new();
        for lane in 0..connections {
            let (api, bar) = (self.clone(), bar.clone());
            let (expected, places) = (Arc::clone(expected), Arc::clone(&places));
            lanes.spawn(async move {
                let mut answers = Answers::new();
                for place in places.iter().skip(lane).step_by(connections) {
                    if let Some(message) = expected.get(*place) {
                        answers.insert(*place, api.message(message.key.sid.as_str()).await?);
                    }
                    bar.inc(1);
                }
                anyhow::Ok(answers)
            });
        }
        let mut answers = Answers::new();
        while let Some(lane) = lanes.join_next().await {
            answers.extend(lane??);
        }
        Ok(answers)
    }

    async fn message(&self, sid: &str) -> Result<Option<Shown>> {
        let url = format!(
            "{}/api/v1/messages/{}/{sid}?reveal=true",
            self.url.trim_end_matches('/'),
            self.channel
        );
        let request = self.client.get(&url).bearer_auth(&self.token);
        let answer = request
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| {
                format!(
                    "nothing answers at {}; is the server running, and is --admin-url its \
                     operator's listener?",
                    self.url
                )
            })?;
        match answer.status() {
            StatusCode::OK => {
                let shown = answer.json().await;
                Ok(Some(shown.with_context(|| {
                    format!("{url} answers something else")
                })?))
            }
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => bail!(
                "this is not the admin token of {}; set RECEIPTD_ADMIN_TOKEN to it",
                self.url
            ),
            status => bail!("the operator's API answers {status}: {url}"),
        }
    }
}

/// The places of the messages that are not shown as they were reported.
fn differing(
    expected: &[Message],
    answers: &Answers,
    perhaps_taken: impl Fn(usize) -> u64,
) -> Vec<usize> {
    let differs = |(place, message): (usize, &Message)| {
        let shown = answers.get(&place).and_then(Option::as_ref);
        (!differences(message, shown, perhaps_taken(place)).is_empty()).then_some(place)
    };
    expected.iter().enumerate().filter_map(differs).collect()
}
