//! How events get to subscribers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use adapter_webhook::{ProxyUrl, WebhookSettings, WebhookSink};
use anyhow::{Context as _, Result};
use async_trait::async_trait;
use ports::WebhookSender;
use ports::error::error_chain;
use ports::webhook_sender::{Delivered, OutgoingEvent, SendError, Target};

use crate::config::Settings;
use crate::open_files;
use crate::system::System;

/// Sends events to subscribers. What that takes is made when the first one is
/// sent: the system's certificates are slow to read, and most runs of the program
/// send none.
pub fn of(settings: &Settings) -> Result<Arc<dyn WebhookSender>> {
    let sending = webhook(settings)?;
    let Some(file) = &settings.push.ca_file else {
        return Ok(Arc::new(LateSink {
            settings: sending,
            sink: OnceLock::new(),
        }));
    };
    let named = || format!("RECEIPTD_PUSH_CA_FILE {}", file.display());
    let extra_roots = std::fs::read(file).with_context(named)?;
    // A wrong file is said at the start, not when the first event fails.
    let sending = WebhookSettings {
        extra_roots: Some(extra_roots),
        ..sending
    };
    let sink = WebhookSink::new(sending, Arc::new(System));
    Ok(Arc::new(sink.with_context(named)?))
}

fn webhook(settings: &Settings) -> Result<WebhookSettings> {
    let proxy = settings.push.proxy.as_deref().map(ProxyUrl::parse);
    let attempts = settings.push_attempts(open_files::limit());
    let kept = open_files::kept_connections(attempts);
    Ok(WebhookSettings {
        private_targets: settings.push.private_targets,
        proxy: proxy.transpose().context("RECEIPTD_PUSH_PROXY")?,
        kept_connections: usize::try_from(kept).unwrap_or(usize::MAX),
        ..WebhookSettings::default()
    })
}

/// A sink that is made when it is first used. Where it cannot be made, each try
/// to send fails and says why.
struct LateSink {
    settings: WebhookSettings,
    sink: OnceLock<Result<WebhookSink, String>>,
}

#[async_trait]
impl WebhookSender for LateSink {
    async fn deliver(
        &self,
        target: &Target,
        event: &OutgoingEvent,
    ) -> Result<Delivered, SendError> {
        let sink = self.sink.get_or_init(|| {
            let sink = WebhookSink::new(self.settings.clone(), Arc::new(System));
            sink.map_err(|error| error_chain(&error))
        });
        match sink {
            Ok(sink) => sink.deliver(target, event).await,
            Err(error) => Err(SendError::Retry {
                after: None,
                answer: None,
                took: Duration::ZERO,
                source: error.clone().into(),
            }),
        }
    }
}
