//! Reads Twilio's records of messages: its Messages API.

mod wire;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use domain::reconciliation::AccountSid;
use domain::{MessageSid, Timestamp};
use ports::Environment;
use ports::error::Source;
use ports::message_records::{
    MessageRecord, MessageRecords, RecordsAccess, RecordsError, RecordsPage, RecordsPlace,
    RecordsQuery,
};
use reqwest::{Client, Response, StatusCode, Url};

use crate::failure::AttemptFailure;
use crate::response::retry_after;
use crate::sender::{WebhookSettings, client};

/// The maximum size of a response: 1,000 records with long texts take 4 MiB.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// How many records a page of a list has, at most: Twilio allows no more.
const PAGE_RECORDS: &str = "1000";

/// The code of Twilio's "too many requests".
const TOO_MANY_REQUESTS: u64 = 20_429;

/// Reads records from Twilio's API over HTTP.
pub struct TwilioMessages {
    base: Url,
    settings: WebhookSettings,
    client: OnceLock<Client>,
    clock: Arc<dyn Environment>,
}

/// The text is not the base URL of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of an API starts with https:// or http:// and has no query, like https://api.twilio.com"
)]
pub struct InvalidApiUrl;

impl TwilioMessages {
    /// Reads from the API at `base`. Its address is not restricted: the URL is configured with the
    /// service, and no channel can change it. Proxy and certificates are those of `settings`.
    pub fn new(
        base: &str,
        settings: WebhookSettings,
        clock: Arc<dyn Environment>,
    ) -> Result<Self, InvalidApiUrl> {
        let base = Url::parse(base).map_err(|_| InvalidApiUrl)?;
        let is_http = matches!(base.scheme(), "https" | "http") && base.has_host();
        if !is_http || base.query().is_some() || base.fragment().is_some() {
            return Err(InvalidApiUrl);
        }
        let settings = WebhookSettings {
            private_targets: true,
            ..settings
        };
        Ok(Self {
            base,
            settings,
            client: OnceLock::new(),
            clock,
        })
    }

    /// Returns the client. It is created on first use, since the system's certificates are slow to
    /// read and most processes read no records.
    fn client(&self) -> Result<&Client, Source> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Fails if a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(&self.settings)?.build()?;
        Ok(self.client.get_or_init(|| client))
    }

    fn url(&self, account: &AccountSid, resource: &[&str]) -> Result<Url, RecordsError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| RecordsError::Unexpected(InvalidApiUrl.into()))?
            .pop_if_empty()
            .extend(["2010-04-01", "Accounts", account.as_str()])
            .extend(resource);
        Ok(url)
    }

    /// Returns the URL of a page. It may lead to this account's messages only: the request contains
    /// the API key.
    fn page_url(&self, account: &AccountSid, place: &RecordsPlace) -> Result<Url, RecordsError> {
        let list = self.url(account, &["Messages.json"])?;
        let page = list.join(&place.0);
        let page = page.map_err(|error| RecordsError::Unexpected(error.into()))?;
        if page.origin() == list.origin() && page.path() == list.path() {
            Ok(page)
        } else {
            Err(RecordsError::Unexpected(
                "the next page is not one of this account's messages".into(),
            ))
        }
    }

    /// Sends a request and returns the body of a successful response; `None` if there is no such
    /// resource.
    async fn get(&self, access: &RecordsAccess, url: Url) -> Result<Option<Vec<u8>>, RecordsError> {
        let client = self.client().map_err(RecordsError::Unavailable)?;
        let response = client
            .get(url)
            .basic_auth(access.api_key.as_str(), Some(access.secret.reveal()))
            .timeout(self.settings.total_limit)
            .send()
            .await
            .map_err(unavailable)?;
        let status = response.status();
        let after = retry_after(response.headers(), self.clock.now());
        let body = body(response).await?;
        match status {
            StatusCode::OK => Ok(Some(body)),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::TOO_MANY_REQUESTS => Err(RecordsError::Throttled { after }),
            _ if wire::error_code(&body) == Some(TOO_MANY_REQUESTS) => {
                Err(RecordsError::Throttled { after })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(RecordsError::Denied {
                status: status.as_u16(),
            }),
            StatusCode::REQUEST_TIMEOUT => Err(answered(status)),
            _ if status.is_server_error() => Err(answered(status)),
            _ => Err(RecordsError::Unexpected(
                AttemptFailure::of_status(status).into(),
            )),
        }
    }
}

#[async_trait]
impl MessageRecords for TwilioMessages {
    async fn find(
        &self,
        access: &RecordsAccess,
        sid: &MessageSid,
    ) -> Result<Option<MessageRecord>, RecordsError> {
        let resource = format!("{}.json", sid.as_str());
        let url = self.url(&access.account, &["Messages", &resource])?;
        let Some(body) = self.get(access, url).await? else {
            return Ok(None);
        };
        let found = wire::record(&body).map_err(RecordsError::Unreadable)?;
        if found.as_ref().is_some_and(|found| found.sid != *sid) {
            return Err(RecordsError::Unreadable(
                "Twilio returned another message than the requested one".into(),
            ));
        }
        Ok(found)
    }

    async fn list(
        &self,
        access: &RecordsAccess,
        query: &RecordsQuery,
        place: Option<&RecordsPlace>,
    ) -> Result<RecordsPage, RecordsError> {
        let url = if let Some(place) = place {
            self.page_url(&access.account, place)?
        } else {
            let mut url = self.url(&access.account, &["Messages.json"])?;
            url.query_pairs_mut()
                .append_pair("From", query.sender.reveal())
                .append_pair("DateSent>", &day(query.since))
                .append_pair("PageSize", PAGE_RECORDS);
            url
        };
        let Some(body) = self.get(access, url).await? else {
            return Err(RecordsError::Unexpected(
                "Twilio has no such account".into(),
            ));
        };
        wire::page(&body).map_err(RecordsError::Unexpected)
    }
}

/// Returns the UTC day of a time, like `2026-11-22`.
fn day(at: Timestamp) -> String {
    // The text begins so.
    at.to_string().chars().take(10).collect()
}

async fn body(mut response: Response) -> Result<Vec<u8>, RecordsError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unavailable)? {
        if body.len() + piece.len() > BODY_MAX {
            return Err(RecordsError::Unexpected(
                "the response is longer than 16 MiB".into(),
            ));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn unavailable(error: reqwest::Error) -> RecordsError {
    RecordsError::Unavailable(AttemptFailure::from(error).into())
}

fn answered(status: StatusCode) -> RecordsError {
    RecordsError::Unavailable(AttemptFailure::of_status(status).into())
}
