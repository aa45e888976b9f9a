//! Reads every message from the operator's API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use domain::{ChannelId, Message};
use indicatif::ProgressBar;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::compare::{Comparison, ShownMessage, differences};
use super::tally::Tally;

/// The operator's API of the server under test.
#[derive(Clone)]
pub struct OperatorApi {
    pub client: Client,
    pub url: String,
    pub token: String,
    pub channel: ChannelId,
}

/// Messages by their index in the plan; `None` if the API does not know them.
type ShownMessages = BTreeMap<usize, Option<ShownMessage>>;

impl OperatorApi {
    /// Fails unless the API responds and does not know the first message yet.
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

    /// Compares all messages, in the plan's order. Messages that differ are read again until
    /// `settle` has passed: reports that went to the journal are shown a little later.
    pub async fn compare(
        self,
        expected: Vec<Message>,
        tally: &Tally,
        connections: usize,
        settle: Duration,
        bar: &ProgressBar,
    ) -> Result<Comparison> {
        let expected = Arc::new(expected);
        let maybe_recorded = |index| {
            tally
                .maybe_recorded
                .get(&index)
                .copied()
                .unwrap_or_default()
        };
        let began = Instant::now();
        let mut indices: Vec<_> = (0..expected.len()).collect();
        let mut shown_messages = BTreeMap::new();
        loop {
            shown_messages.extend(self.fetch(&expected, indices, connections, bar).await?);
            indices = differing(&expected, &shown_messages, maybe_recorded);
            if indices.is_empty() || began.elapsed() > settle {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let mut comparison = Comparison::default();
        for (index, message) in expected.iter().enumerate() {
            let shown = shown_messages.remove(&index).flatten();
            comparison.add(message, shown.as_ref(), maybe_recorded(index));
        }
        Ok(comparison)
    }

    /// Reads the messages of these indices on several connections.
    async fn fetch(
        &self,
        expected: &Arc<Vec<Message>>,
        indices: Vec<usize>,
        connections: usize,
        bar: &ProgressBar,
    ) -> Result<ShownMessages> {
        let indices = Arc::new(indices);
        let mut tasks = JoinSet::new();
        for task in 0..connections {
            let (api, bar) = (self.clone(), bar.clone());
            let (expected, indices) = (Arc::clone(expected), Arc::clone(&indices));
            tasks.spawn(async move {
                let mut shown_messages = ShownMessages::new();
                for index in indices.iter().skip(task).step_by(connections) {
                    if let Some(message) = expected.get(*index) {
                        shown_messages.insert(*index, api.message(message.key.sid.as_str()).await?);
                    }
                    bar.inc(1);
                }
                anyhow::Ok(shown_messages)
            });
        }
        let mut shown_messages = ShownMessages::new();
        while let Some(task) = tasks.join_next().await {
            shown_messages.extend(task??);
        }
        Ok(shown_messages)
    }

    async fn message(&self, sid: &str) -> Result<Option<ShownMessage>> {
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
                    format!("{url} returns something else")
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

/// Returns the indices of the messages that differ.
fn differing(
    expected: &[Message],
    shown_messages: &ShownMessages,
    maybe_recorded: impl Fn(usize) -> u64,
) -> Vec<usize> {
    let differs = |(index, message): (usize, &Message)| {
        let shown = shown_messages.get(&index).and_then(Option::as_ref);
        (!differences(message, shown, maybe_recorded(index)).is_empty()).then_some(index)
    };
    expected.iter().enumerate().filter_map(differs).collect()
}
