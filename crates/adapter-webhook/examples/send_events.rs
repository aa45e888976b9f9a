//! Sends events to a subscriber that checks them, some of them wrong, and says
//! whether it took and refused the right ones: `send_events URL SECRET`.
//! `scripts/check-examples` runs it against the programs in `docs/examples`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own"
)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::{WebhookSettings, WebhookSink};
use domain::crypto::{SigningSecret, SigningSecrets};
use domain::webhook::{TargetUrl, WebhookId};
use ports::Environment as _;
use ports::error::error_chain;
use ports::webhook_sender::{OutgoingEvent, SendError, Target, WebhookSender as _};
use testkit::clock::SkewedClock;

type Failure = Box<dyn Error>;

const UNAUTHORIZED: u16 = 401;

fn sink(skew: i64) -> Result<WebhookSink, Failure> {
    let settings = WebhookSettings {
        private_targets: true,
        ..WebhookSettings::default()
    };
    Ok(WebhookSink::new(
        settings,
        Arc::new(SkewedClock::ahead_by(skew * 1_000_000)),
    )?)
}

fn event(number: u8) -> Result<OutgoingEvent, Failure> {
    let id = format!("evt_{number:032x}");
    let body = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/channels/1","type":"message.delivered","datacontenttype":"application/json","data":{{"error":"zugestellt – 配達済み"}}}}"#
    );
    Ok(OutgoingEvent {
        id: WebhookId::parse(&id)?,
        body: Arc::from(body.into_bytes()),
    })
}

fn rotating(current: &SigningSecret, previous: &SigningSecret) -> SigningSecrets {
    SigningSecrets {
        current: current.clone(),
        previous: Some(previous.clone()),
    }
}

/// The status that the subscriber answers.
async fn status(
    sink: &WebhookSink,
    url: &TargetUrl,
    secrets: &SigningSecrets,
    event: &OutgoingEvent,
) -> Result<u16, Failure> {
    let target = Target {
        url: url.clone(),
        secrets: secrets.clone(),
    };
    match sink.deliver(&target, event).await {
        Ok(delivered) => Ok(delivered.answer.status),
        Err(SendError::Retry {
            answer: Some(answer),
            ..
        }) => Ok(answer.status),
        Err(error) => Err(error.into()),
    }
}

/// Sends another body, or under another id, than was signed.
async fn tampered(
    url: &TargetUrl,
    secrets: &SigningSecrets,
    id: &str,
    body: &str,
) -> Result<u16, Failure> {
    let (now, signed) = (SkewedClock::default().now(), event(5)?);
    let answer = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(15))
        .build()?
        .post(url.reveal())
        .header("webhook-id", id)
        .header("webhook-timestamp", now.unix_seconds())
        .header(
            "webhook-signature",
            secrets.sign(&signed.id, now, &signed.body),
        )
        .body(body.to_owned())
        .send()
        .await?;
    Ok(answer.status().as_u16())
}

async fn run(url: &TargetUrl, secret: &SigningSecret) -> Result<bool, Failure> {
    let stranger = SigningSecret::from_random(&[9; 32]);
    let alone = SigningSecrets::from(secret.clone());
    let punctual = sink(0)?;
    let signed = event(5)?;
    let body = std::str::from_utf8(&signed.body)?;
    let other = body.replace("delivered", "read");

    let tries = [
        (
            "one secret",
            204,
            status(&punctual, url, &alone, &event(1)?).await?,
        ),
        (
            "the same event again",
            204,
            status(&punctual, url, &alone, &event(1)?).await?,
        ),
        (
            "two secrets, the subscriber has the old one",
            204,
            status(&punctual, url, &rotating(&stranger, secret), &event(2)?).await?,
        ),
        (
            "two secrets, the subscriber has the new one",
            204,
            status(&punctual, url, &rotating(secret, &stranger), &event(3)?).await?,
        ),
        (
            "another secret",
            UNAUTHORIZED,
            status(&punctual, url, &stranger.into(), &event(4)?).await?,
        ),
        (
            "ten minutes old",
            UNAUTHORIZED,
            status(&sink(-600)?, url, &alone, &event(4)?).await?,
        ),
        (
            "another body than was signed",
            UNAUTHORIZED,
            tampered(url, &alone, signed.id.as_str(), &other).await?,
        ),
        (
            "another id than was signed",
            UNAUTHORIZED,
            tampered(url, &alone, "evt_other", body).await?,
        ),
        (
            "as it was signed",
            204,
            tampered(url, &alone, signed.id.as_str(), body).await?,
        ),
    ];
    for (what, expected, answered) in tries {
        let verdict = if answered == expected {
            "good"
        } else {
            "WRONG"
        };
        println!("  {verdict}: {what}: {answered}, expected {expected}");
    }
    Ok(tries
        .iter()
        .all(|(_, expected, answered)| answered == expected))
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(secret)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: send_events URL SECRET");
        return ExitCode::FAILURE;
    };
    let outcome = match (TargetUrl::parse(&url), SigningSecret::parse(&secret)) {
        (Ok(url), Ok(secret)) => run(&url, &secret).await,
        (Err(error), _) => Err(error.into()),
        (_, Err(error)) => Err(error.into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}
