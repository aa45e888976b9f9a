//! Tests a channel: plays its integrator against its public URL, with a credential made for this
//! test, and looks for the message in the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::credential::CredentialId;
use domain::crypto::{ServerSecret, SigningTokens};
use domain::webhook::TargetUrl;
use domain::{
    Address, Channel, ChannelId, Credential, MessageKey, MessageSid, Password, PublicUrl,
    WebhookUser,
};
use ports::channels::Change;
use ports::integrator::{SignedRequest, TestReport, TestRequest, report_path};
use ports::url_probe::ProbeTarget;
use ports::{ChannelStore, Environment, Integrator, ReportStore, StoreError, UrlProbe};

use crate::channels::directory::ChannelDirectory;
use crate::channels::test_steps::{ChannelTestReport, Steps};
use crate::integrators::Integrators;

/// How long a test credential is valid: longer than all steps may take.
const CREDENTIAL_LIFETIME_MICROS: i64 = 90_000_000;

/// How long the report is sent again after a 401: other servers learn of the credential with
/// their next look at the channels.
const CREDENTIAL_SPREADS: Duration = Duration::from_secs(5);

/// The pause before it is sent again: longer than servers take between two looks at the channels,
/// so that they count hardly any wrong credentials.
const RETRY_PAUSE: Duration = Duration::from_millis(1_500);

/// How long the message may take to be visible.
const VISIBLE_LIMIT: Duration = Duration::from_secs(10);

/// The user of test credentials.
const TEST_USER: &str = "receiptd-test";

/// The sender of test messages of channels that allow any sender: a number that Twilio reserves
/// for tests, as is [`TEST_RECIPIENT`].
const TEST_SENDER: &str = "whatsapp:+15005550006";

/// The recipient of test messages.
const TEST_RECIPIENT: &str = "whatsapp:+15005550001";

/// Tests channels.
pub struct TestChannel(TestDependencies);

/// What a test needs.
pub struct TestDependencies {
    /// Stores the channels and the credential of the test.
    pub channels: Arc<dyn ChannelStore>,
    /// Stores the message.
    pub reports: Arc<dyn ReportStore>,
    /// The channels in memory, if this process receives reports: it knows the credential at once.
    pub directory: Option<Arc<ChannelDirectory>>,
    /// Calls the public URL.
    pub probe: Arc<dyn UrlProbe>,
    /// The built-in integrators.
    pub integrators: Integrators,
    /// Hashes the password, and opens signing tokens.
    pub secret: ServerSecret,
    /// Public URL of channels that have none of their own. It may lead to private addresses.
    pub public_url: PublicUrl,
    /// Whether public URLs of channels may lead to private addresses too.
    pub private_targets: bool,
    /// Clock and randomness.
    pub environment: Arc<dyn Environment>,
}

/// Why a channel cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// There is no channel of this id.
    #[error("there is no channel {0}")]
    NoSuchChannel(ChannelId),
    /// The channel refuses all reports.
    #[error("the channel is disabled and refuses all reports; enable it first")]
    Disabled,
    /// Another test of the channel has not ended.
    #[error("another test of this channel is running; try again in a minute")]
    Running,
    /// The integrator is not built in.
    #[error("this program does not support the channel's integrator")]
    UnknownIntegrator,
    /// The public URL cannot be called.
    #[error("the public URL cannot be called: {0}")]
    InvalidUrl(domain::webhook::InvalidTargetUrl),
    /// The signing token was sealed under another server secret.
    #[error("the signing token cannot be opened; set it again")]
    UnreadableToken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A credential that is valid during a test.
struct TestCredential {
    id: CredentialId,
    password: Password,
}

impl TestChannel {
    /// Tests channels with these parts.
    #[must_use]
    pub const fn new(parts: TestDependencies) -> Self {
        Self(parts)
    }

    /// Tests a channel. Its steps end with the first one that fails. The credential of the test is
    /// removed afterwards; if this future is dropped, it expires within two minutes.
    pub async fn run(&self, id: &ChannelId) -> Result<ChannelTestReport, TestError> {
        let channel = self.0.channels.find(id).await?;
        let channel = channel.ok_or_else(|| TestError::NoSuchChannel(id.clone()))?;
        let channel = channel.channel;
        if !channel.enabled {
            return Err(TestError::Disabled);
        }
        let integrator = self.0.integrators.find(&channel.integrator);
        let integrator = integrator.ok_or(TestError::UnknownIntegrator)?.as_ref();
        let target = self.target(integrator, &channel)?;
        let credential = self.issue(integrator, &channel).await?;
        let tested = self.test(integrator, &channel, &target, &credential).await;
        let removed = self.0.channels.remove_credential(id, credential.id).await;
        self.refresh().await;
        let report = tested?;
        removed?;
        Ok(report)
    }

    async fn test(
        &self,
        integrator: &dyn Integrator,
        channel: &Channel,
        target: &ProbeTarget,
        credential: &TestCredential,
    ) -> Result<ChannelTestReport, TestError> {
        let key = MessageKey {
            channel: channel.id.clone(),
            sid: MessageSid::of_test(credential.id),
        };
        let success = integrator.report_endpoint().answers.success;
        let request = self.request(integrator, channel, credential, &key.sid)?;
        let mut steps = Steps::default();
        let connection = self.0.probe.connect(target).await;
        let now = self.0.environment.now();
        let certificates = connection.certificates.clone();
        steps.connected(target, connection, now);
        if !steps.have_failed() {
            let unauthenticated = self
                .0
                .probe
                .post(target, &request.headers, request.body.clone());
            steps.challenged(unauthenticated.await, integrator.challenge());
        }
        if !steps.have_failed() {
            self.report(target, &request, success, &mut steps).await;
        }
        if !steps.have_failed() {
            self.look_for(&key, &mut steps).await?;
        }
        Ok(ChannelTestReport {
            url: target.url.to_string(),
            message: key,
            certificates,
            steps: steps.complete(),
        })
    }

    /// Sends the report, again while servers may not know the credential yet.
    async fn report(
        &self,
        target: &ProbeTarget,
        request: &TestRequest,
        success: u16,
        steps: &mut Steps,
    ) {
        let headers = [request.headers.as_slice(), &request.authorization].concat();
        let begun = Instant::now();
        loop {
            let answer = self.0.probe.post(target, &headers, request.body.clone());
            let mut answer = answer.await;
            let is_refused = answer.result.as_ref().is_ok_and(|it| it.status == 401);
            if is_refused && begun.elapsed() < CREDENTIAL_SPREADS {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            answer.took = begun.elapsed();
            steps.reported(answer, success);
            return;
        }
    }

    /// Waits until the store has the message.
    async fn look_for(&self, key: &MessageKey, steps: &mut Steps) -> Result<(), TestError> {
        let begun = Instant::now();
        loop {
            let found = self.0.reports.message(key).await?.is_some();
            let took = begun.elapsed();
            if found || took >= VISIBLE_LIMIT {
                steps.looked_for_message(found, took);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn target(
        &self,
        integrator: &dyn Integrator,
        channel: &Channel,
    ) -> Result<ProbeTarget, TestError> {
        let own = channel.public_url.as_ref();
        let base = own.unwrap_or(&self.0.public_url);
        target(
            integrator,
            &channel.id,
            base,
            own.is_none() || self.0.private_targets,
        )
        .map_err(TestError::InvalidUrl)
    }

    fn request(
        &self,
        integrator: &dyn Integrator,
        channel: &Channel,
        credential: &TestCredential,
        sid: &MessageSid,
    ) -> Result<TestRequest, TestError> {
        let tokens = channel.signing_token.as_ref().map(|sealed| {
            let context = Channel::signing_token_context(&channel.id);
            let opened = self.0.secret.open(sealed, &context).ok();
            let tokens = opened.and_then(|text| SigningTokens::parse(&text).ok());
            tokens.ok_or(TestError::UnreadableToken)
        });
        let tokens = tokens.transpose()?;
        let path = report_path(integrator, &channel.id);
        let signed = tokens.as_ref().map(|tokens| SignedRequest {
            public_url: channel.public_url.as_ref().unwrap_or(&self.0.public_url),
            path: &path,
            query: None,
            tokens,
        });
        let [any, recipient] = [TEST_SENDER, TEST_RECIPIENT].map(address);
        let report = TestReport {
            sid,
            sender: channel.senders.first().unwrap_or(&any),
            recipient: &recipient,
        };
        let credentials = (TEST_USER, credential.password.reveal());
        Ok(integrator.test_request(report, credentials, signed))
    }

    /// Makes a credential and makes it known.
    async fn issue(
        &self,
        integrator: &dyn Integrator,
        channel: &Channel,
    ) -> Result<TestCredential, TestError> {
        let TestDependencies {
            environment,
            secret,
            ..
        } = &self.0;
        let now = environment.now();
        let id = CredentialId(environment.uuid());
        let password = Password::from_random(&environment.secret_bytes());
        let credential = Credential {
            id,
            channel: channel.id.clone(),
            hash: secret.credential_hash(
                &channel.id,
                integrator
                    .credential_shape()
                    .hashed_user(TEST_USER)
                    .as_bytes(),
                password.reveal().as_bytes(),
            ),
            key_id: secret.key_id(),
            user: test_user(),
            label: None,
            created_at: now,
            expires_at: Some(now.plus_micros(CREDENTIAL_LIFETIME_MICROS)),
            last_used_at: None,
            is_test: true,
        };
        match self.0.channels.add_credential(&credential).await? {
            Change::Done => {}
            Change::Full => return Err(TestError::Running),
            Change::Absent | Change::Exists | Change::Outdated => {
                return Err(TestError::NoSuchChannel(channel.id.clone()));
            }
        }
        self.refresh().await;
        Ok(TestCredential { id, password })
    }

    async fn refresh(&self) {
        if let Some(directory) = &self.0.directory
            && let Err(error) = directory.refresh().await
        {
            tracing::warn!(%error, "channels were not read; retrying with the next refresh");
        }
    }
}

/// Returns the URL at which an integrator reports on a channel, as it is called.
pub(super) fn target(
    integrator: &dyn Integrator,
    channel: &ChannelId,
    base: &PublicUrl,
    private: bool,
) -> Result<ProbeTarget, domain::webhook::InvalidTargetUrl> {
    let url = integrator.callback_url(base, channel, None);
    // The fragment configures the integrator and is not sent.
    let url = url.split('#').next().unwrap_or_default();
    let url = TargetUrl::parse(url)?;
    Ok(ProbeTarget { url, private })
}

#[expect(clippy::expect_used, reason = "constants that the tests pass through")]
fn address(text: &str) -> Address {
    Address::parse(text).expect("a number is an address")
}

#[expect(clippy::expect_used, reason = "a constant that the tests pass through")]
fn test_user() -> WebhookUser {
    WebhookUser::parse(TEST_USER).expect("a plain word is a user")
}
