//! The steps of a test of a channel, and what each result means.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use domain::{MessageKey, Timestamp};
use ports::error::error_chain;
use ports::url_probe::{PresentedCertificate, ProbeAnswer, ProbeTarget, ProbedConnection, Timed};

/// A certificate that expires within this time is reported.
pub const CERTIFICATE_WARNING_DAYS: i64 = 14;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What is tested, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TestStepKind {
    /// The host name has addresses.
    Dns,
    /// One of them accepts connections.
    Tcp,
    /// The TLS handshake succeeds with a valid certificate.
    Tls,
    /// A request without credentials is challenged.
    Challenge,
    /// A report with credentials is received.
    Report,
    /// The message is visible.
    Message,
}

impl TestStepKind {
    /// All steps.
    pub const ALL: [Self; 6] = [
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Challenge,
        Self::Report,
        Self::Message,
    ];

    /// Returns the name used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the title for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Dns => "Look up the host",
            Self::Tcp => "Connect",
            Self::Tls => "Encrypt (TLS)",
            Self::Challenge => "Ask for credentials",
            Self::Report => "Receive the report",
            Self::Message => "Show the message",
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum StepOutcome {
    /// As it should be.
    Passed,
    /// It works, and something should be changed.
    Warning,
    /// It does not work.
    Failed,
    /// It was not tried.
    Skipped,
}

impl StepOutcome {
    /// Returns the name used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestStep {
    /// Which step.
    pub kind: TestStepKind,
    /// How it ended.
    pub outcome: StepOutcome,
    /// What was found, and what to do if it failed.
    pub detail: String,
    /// How long it took; `None` if it was not tried.
    pub took: Option<Duration>,
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelTestReport {
    /// The URL that was called, without its query.
    pub url: String,
    /// The test message. It exists if all steps passed.
    pub message: MessageKey,
    /// The certificates that the server presented, its own first; empty without TLS.
    pub certificates: Vec<PresentedCertificate>,
    /// All steps.
    pub steps: Vec<TestStep>,
}

impl ChannelTestReport {
    /// Returns whether the channel receives reports.
    #[must_use]
    pub fn passed(&self) -> bool {
        let mut outcomes = self.steps.iter().map(|step| step.outcome);
        !outcomes.any(|outcome| outcome == StepOutcome::Failed)
    }
}

/// The steps so far.
#[derive(Default)]
pub(super) struct Steps(Vec<TestStep>);

impl Steps {
    /// Returns whether a step has failed, so that the next ones are not tried.
    pub(super) fn have_failed(&self) -> bool {
        let mut outcomes = self.0.iter().map(|step| step.outcome);
        outcomes.any(|outcome| outcome == StepOutcome::Failed)
    }

    /// Returns all steps, those that were not tried too.
    pub(super) fn complete(mut self) -> Vec<TestStep> {
        let tried = self.0.len();
        for kind in TestStepKind::ALL.into_iter().skip(tried) {
            self.0.push(TestStep {
                kind,
                outcome: StepOutcome::Skipped,
                detail: "not tried, because an earlier step failed".to_owned(),
                took: None,
            });
        }
        self.0
    }

    fn add<T>(
        &mut self,
        kind: TestStepKind,
        step: Timed<T>,
        found: impl FnOnce(T) -> (StepOutcome, String),
    ) {
        let (outcome, detail) = match step.result {
            Ok(value) => found(value),
            Err(error) => (StepOutcome::Failed, error_chain(error.as_ref())),
        };
        self.0.push(TestStep {
            kind,
            outcome,
            detail,
            took: Some(step.took),
        });
    }

    /// Adds the steps of a connection.
    pub(super) fn connected(
        &mut self,
        target: &ProbeTarget,
        connection: ProbedConnection,
        now: Timestamp,
    ) {
        self.add(TestStepKind::Dns, connection.lookup, |addresses| {
            let detail = target.url.literal_address().map_or_else(
                || {
                    let host = target.url.url().host_str().unwrap_or_default();
                    format!("{host} is {}", list(&addresses))
                },
                |address| format!("{address} is an address, which needs no lookup"),
            );
            (StepOutcome::Passed, detail)
        });
        if let Some(connect) = connection.connect {
            self.add(TestStepKind::Tcp, connect, |address| {
                (
                    StepOutcome::Passed,
                    format!("{address} accepts connections"),
                )
            });
        }
        if self.have_failed() {
            return;
        }
        let chain = connection.certificates;
        match connection.handshake {
            Some(handshake) => {
                let failed = handshake.result.is_err();
                self.add(TestStepKind::Tls, handshake, |version| {
                    encrypted(&version, &chain, now)
                });
                let presented = describe(&chain, now).filter(|_| failed);
                if let (Some(presented), Some(step)) = (presented, self.0.last_mut()) {
                    // Writing into a `String` cannot fail.
                    let _ = write!(step.detail, "; it presents {presented}");
                }
            }
            None => self.0.push(TestStep {
                kind: TestStepKind::Tls,
                outcome: StepOutcome::Warning,
                detail: "the URL is http: reports and passwords are sent unencrypted".to_owned(),
                took: None,
            }),
        }
    }

    /// Adds the answer to a request without credentials.
    pub(super) fn challenged(&mut self, answer: Timed<ProbeAnswer>, expected: &str) {
        self.add(TestStepKind::Challenge, answer, |answer| {
            match (answer.status, answer.challenge) {
                (401, Some(challenge)) if challenge == expected => {
                    (StepOutcome::Passed, "401 with a challenge".to_owned())
                }
                (401, _) => (
                    StepOutcome::Failed,
                    "401 without the challenge of this service: something in front of it answers, \
                     and the integrator cannot know which credentials it wants"
                        .to_owned(),
                ),
                (status, _) => (StepOutcome::Failed, explain(status)),
            }
        });
    }

    /// Adds the answer to the report.
    pub(super) fn reported(&mut self, answer: Timed<ProbeAnswer>, success: u16) {
        self.add(TestStepKind::Report, answer, |answer| {
            match answer.status {
            status if status == success => {
                (StepOutcome::Passed, format!("{status}: the report is stored"))
            }
            401 => (
                StepOutcome::Failed,
                "401: the credential was refused; does a proxy remove the header that holds it, or \
                 does the URL lead to another installation?"
                    .to_owned(),
            ),
            403 => (
                StepOutcome::Failed,
                "403: the signature does not match; the public URL must be exactly the one that \
                 the server is called with"
                    .to_owned(),
            ),
            status => (StepOutcome::Failed, explain(status)),
        }
        });
    }

    /// Adds whether the store has the message.
    pub(super) fn looked_for_message(&mut self, found: bool, took: Duration) {
        let (outcome, detail) = if found {
            (StepOutcome::Passed, "the message is visible")
        } else {
            (
                StepOutcome::Failed,
                "the report was received and the message is not visible: it waits in a journal, or \
                 the URL leads to an installation with another database",
            )
        };
        self.0.push(TestStep {
            kind: TestStepKind::Message,
            outcome,
            detail: detail.to_owned(),
            took: Some(took),
        });
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Returns the result of a successful handshake.
fn encrypted(
    version: &str,
    chain: &[PresentedCertificate],
    now: Timestamp,
) -> (StepOutcome, String) {
    let expires_soon = chain
        .first()
        .is_some_and(|own| days_left(own, now) < CERTIFICATE_WARNING_DAYS);
    let outcome = if expires_soon {
        StepOutcome::Warning
    } else {
        StepOutcome::Passed
    };
    let detail = match describe(chain, now) {
        Some(chain) => format!("{version}; {chain}"),
        None => version.to_owned(),
    };
    (outcome, detail)
}

/// Describes the server's own certificate and its issuers.
fn describe(chain: &[PresentedCertificate], now: Timestamp) -> Option<String> {
    let own = chain.first()?;
    let issuers: Vec<_> = chain.iter().map(|each| each.issuer.as_str()).collect();
    let days = days_left(own, now);
    let expiry = if days < 0 {
        format!("expired since {}", own.expires_at)
    } else {
        format!("valid until {} ({days} days)", own.expires_at)
    };
    let issuers = issuers.join(", ");
    Some(format!(
        "a certificate of {} by {issuers}, {expiry}",
        own.subject
    ))
}

fn days_left(certificate: &PresentedCertificate, now: Timestamp) -> i64 {
    let left = certificate.expires_at.unix_micros() - now.unix_micros();
    left.div_euclid(DAY_MICROS)
}

/// Says what a status that no step expects means.
fn explain(status: u16) -> String {
    let meaning = match status {
        200..=299 => "something in front of the service answers in its place",
        300..=399 => "a redirect, which integrators do not follow",
        404 => "the URL does not lead to this channel; compare its path",
        405 => "the path does not accept POST; something in front of the service answers",
        421 => "the server does not serve this host name",
        429 => "something in front of the service limits requests",
        500..=599 => "the service, or a proxy in front of it, cannot answer; see the server log",
        _ => "not an answer of this service to such a request",
    };
    format!("{status}: {meaning}")
}
