//! Targets, events and sinks for the tests.

use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::{WebhookSettings, WebhookSink};
use domain::crypto::{SigningSecret, SigningSecrets};
use domain::webhook::{TargetUrl, WebhookId};
use ports::error::error_chain;
use ports::webhook_sender::{
    Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender as _,
};
use testkit::clock::FixedClock;

/// Long enough for a busy machine; tests of slowness set shorter ones.
pub(crate) fn settings() -> WebhookSettings {
    WebhookSettings {
        connect_limit: Duration::from_secs(8),
        total_limit: Duration::from_secs(8),
        private_targets: true,
        ..WebhookSettings::default()
    }
}

/// Gives up soon.
pub(crate) fn impatient() -> WebhookSettings {
    WebhookSettings {
        total_limit: Duration::from_millis(300),
        ..settings()
    }
}

pub(crate) fn sink(settings: WebhookSettings) -> WebhookSink {
    WebhookSink::new(settings, Arc::new(FixedClock::default())).expect("a sink")
}

pub(crate) fn target(url: &str) -> Target {
    Target {
        url: TargetUrl::parse(url).expect("a target"),
        secrets: SigningSecret::from_random(&[1; 32]).into(),
    }
}

pub(crate) fn rotating_target(url: &str) -> Target {
    Target {
        secrets: SigningSecrets {
            current: SigningSecret::from_random(&[2; 32]),
            previous: Some(SigningSecret::from_random(&[1; 32])),
        },
        ..target(url)
    }
}

pub(crate) fn event() -> OutgoingEvent {
    OutgoingEvent {
        id: WebhookId::parse("evt_0123456789abcdef").expect("an id"),
        body: Arc::from(r#"{"specversion":"1.0","data":{"text":"ü"}}"#.as_bytes()),
    }
}

pub(crate) async fn deliver(settings: WebhookSettings, url: &str) -> Result<Delivered, SendError> {
    sink(settings).deliver(&target(url), &event()).await
}

/// What a try that is to be repeated says.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) after: Option<Duration>,
    pub(crate) answer: Option<Answer>,
    pub(crate) took: Duration,
    /// The whole chain of errors.
    pub(crate) said: String,
}

pub(crate) async fn retry(settings: WebhookSettings, url: &str) -> Retry {
    match deliver(settings, url).await {
        Err(SendError::Retry {
            after,
            answer,
            took,
            source,
        }) => {
            let said = error_chain(&*source);
            Retry {
                after,
                answer,
                took,
                said,
            }
        }
        other => panic!("no retry: {other:?}"),
    }
}
