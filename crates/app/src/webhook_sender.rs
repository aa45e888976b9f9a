//! Creates the sender of events and forwarded requests.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use adapter_webhook::{ProxyUrl, UrlProber, WebhookSettings, WebhookSink};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use domain::ForwardedRequest;
use domain::webhook::TargetUrl;
use ports::error::error_chain;
use ports::webhook_sender::{Delivered, OutgoingEvent, SendError, Target};
use ports::{RequestForwarder, WebhookSender};

use crate::config::Settings;
use crate::open_files;
use crate::system::System;

/// Creates a sender that initialises itself when it sends the first event: the system's
/// certificates are slow to read, and most commands send nothing.
pub fn create(settings: &Settings) -> Result<Arc<LazyWebhookSender>> {
    let options = options(settings)?;
    let mut sink = OnceLock::new();
    if let Some(file) = &settings.delivery.ca_file {
        // Created at once, so that an invalid file is an error at the start.
        let created = WebhookSink::new(options.clone(), Arc::new(System));
        let created = created.with_context(|| format!("RECEIPTD_PUSH_CA_FILE {}", file.display()));
        sink = OnceLock::from(Ok(created?));
    }
    Ok(Arc::new(LazyWebhookSender {
        settings: options,
        sink,
    }))
}

/// Creates the probe of public URLs. It trusts the same certificates as the sender.
pub fn create_probe(settings: &Settings) -> Result<UrlProber> {
    Ok(UrlProber::new(extra_roots(settings)?))
}

/// Reads the certificates that are trusted beside the system's.
fn extra_roots(settings: &Settings) -> Result<Option<Vec<u8>>> {
    let roots = settings.delivery.ca_file.as_ref().map(|file| {
        std::fs::read(file).with_context(|| format!("RECEIPTD_PUSH_CA_FILE {}", file.display()))
    });
    roots.transpose()
}

/// Returns the settings of outgoing requests.
pub fn options(settings: &Settings) -> Result<WebhookSettings> {
    let proxy = settings.delivery.proxy.as_deref().map(ProxyUrl::parse);
    let attempts = settings.delivery.allowed_attempts(open_files::limit());
    let kept = open_files::kept_connections(attempts);
    Ok(WebhookSettings {
        private_targets: settings.delivery.private_targets,
        proxy: proxy.transpose().context("RECEIPTD_PUSH_PROXY")?,
        extra_roots: extra_roots(settings)?,
        kept_connections: usize::try_from(kept).unwrap_or(usize::MAX),
        ..WebhookSettings::default()
    })
}

/// A sender that is created on first use. If that fails, every attempt fails with the reason.
pub struct LazyWebhookSender {
    settings: WebhookSettings,
    sink: OnceLock<Result<WebhookSink, String>>,
}

impl LazyWebhookSender {
    fn sink(&self) -> Result<&WebhookSink, SendError> {
        let sink = self.sink.get_or_init(|| {
            let sink = WebhookSink::new(self.settings.clone(), Arc::new(System));
            sink.map_err(|error| error_chain(&error))
        });
        sink.as_ref().map_err(|error| SendError::Retry {
            after: None,
            answer: None,
            took: Duration::ZERO,
            source: error.clone().into(),
        })
    }
}

#[async_trait]
impl WebhookSender for LazyWebhookSender {
    async fn deliver(
        &self,
        target: &Target,
        event: &OutgoingEvent,
    ) -> Result<Delivered, SendError> {
        self.sink()?.deliver(target, event).await
    }
}

#[async_trait]
impl RequestForwarder for LazyWebhookSender {
    async fn forward(
        &self,
        url: &TargetUrl,
        request: &ForwardedRequest,
    ) -> Result<Delivered, SendError> {
        self.sink()?.forward(url, request).await
    }
}
