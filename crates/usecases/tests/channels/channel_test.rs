//! Testing a channel: the integrator is played against the receiving use cases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::crypto::SigningTokens;
use domain::webhook::TargetUrl;
use domain::{ChannelCalls, Effect, IntegratorName, MessageSid, PublicUrl, Timestamp};
use ports::integrator::{Headers, Signatures};
use ports::metrics::NoMetrics;
use ports::url_probe::{
    PresentedCertificate, ProbeAnswer, ProbeTarget, ProbedConnection, Timed, UrlProbe,
};
use ports::{ChannelStore as _, RejectionStore as _, ReportStore as _};
use testkit::builders::{channel_id, server_secret};
use tokio::runtime::Handle;
use usecases::channels::channel_test::{TestDependencies, TestError};
use usecases::channels::manage::{ChannelChanges, NewChannel};
use usecases::channels::test_steps::{ChannelTestReport, StepOutcome, TestStepKind};
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::{
    AuthenticateCaller, Authentication, GroupCommitWriters, ReceiveError, ReceiveReport,
    TestChannel,
};

use super::{World, integrators, new_channel, new_credential};

const PUBLIC_URL: &str = "https://reports.example.com";

struct Lines<'a>(&'a [(&'static str, String)]);

impl Headers for Lines<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.iter();
        let line = lines.find(|(each, _)| each.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.as_bytes())
    }
}

/// A network on which the public URL leads to the receiving use cases.
pub(crate) struct ShortCircuit {
    authenticate: AuthenticateCaller,
    receive: ReceiveReport,
    /// Answers instead of the service.
    in_front: Option<u16>,
    certificate_expires: Timestamp,
}

fn timed<T>(value: T) -> Timed<T> {
    Timed {
        result: Ok(value),
        took: Duration::from_millis(1),
    }
}

#[async_trait]
impl UrlProbe for ShortCircuit {
    async fn connect(&self, target: &ProbeTarget) -> ProbedConnection {
        assert_eq!(target.url.url().host_str(), Some("reports.example.com"));
        ProbedConnection {
            lookup: timed(vec![[192, 0, 2, 7].into()]),
            connect: Some(timed(([192, 0, 2, 7], 443).into())),
            handshake: Some(timed("TLS 1.3".to_owned())),
            certificates: vec![PresentedCertificate {
                subject: "reports.example.com".to_owned(),
                issuer: "an authority".to_owned(),
                expires_at: self.certificate_expires,
            }],
        }
    }

    async fn post(
        &self,
        target: &ProbeTarget,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Timed<ProbeAnswer> {
        let integrators = integrators();
        let mut parts = target.url.url().path().rsplit('/');
        let channel = parts.next().unwrap();
        let name = IntegratorName::parse(parts.nth(1).unwrap()).unwrap();
        let integrator = integrators.find(&name).unwrap();
        let headers = Lines(headers);
        let answer = |status, challenge: Option<&str>| ProbeAnswer {
            status,
            challenge: challenge.map(str::to_owned),
        };
        if let Some(status) = self.in_front {
            return timed(answer(status, None));
        }
        let challenge = Some(integrator.challenge());
        let caller = match self
            .authenticate
            .run(integrator.as_ref(), channel, &headers)
        {
            Authentication::AuthenticatedCaller(caller) => caller,
            // Tests send a credential of their own.
            Authentication::SignedBody(_) | Authentication::Challenge | Authentication::Denied => {
                return timed(answer(401, challenge));
            }
        };
        // The future of this use case stays on its thread.
        let received = tokio::task::block_in_place(|| {
            let request = ReportRequest {
                integrator: integrator.as_ref(),
                endpoint: integrator.report_endpoint(),
                caller,
                headers: &headers,
                query: None,
                body: &body,
            };
            Handle::current().block_on(self.receive.run(request))
        });
        timed(match received {
            Ok(()) => answer(integrator.report_endpoint().answers.success, None),
            Err(ReceiveError::SignatureMismatch) => answer(403, None),
            Err(_) => answer(400, None),
        })
    }
}

pub(crate) fn network(world: &World) -> ShortCircuit {
    let settings = IngestSettings::default();
    let store = Arc::new(world.store.clone());
    let (queue, writers) = GroupCommitWriters::new(store.clone(), Arc::new(NoMetrics), settings);
    #[expect(
        clippy::disallowed_methods,
        reason = "the task ends with the runtime of the test"
    )]
    tokio::spawn(writers.run());
    let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
    ShortCircuit {
        authenticate: AuthenticateCaller::new(
            world.directory.clone(),
            server_secret(),
            world.clock.clone(),
        ),
        receive: ReceiveReport::new(
            queue,
            store.clone(),
            store,
            public_url,
            world.clock.clone(),
            Arc::new(NoMetrics),
        )
        .sealing_senders(server_secret()),
        in_front: None,
        certificate_expires: world.manage.now().plus_micros(90 * 86_400_000_000),
    }
}

/// The public URL of the channel `1`.
pub(crate) fn target() -> ProbeTarget {
    let url = format!("{PUBLIC_URL}/social/on/whatsapp/twilio/report/1");
    ProbeTarget {
        url: TargetUrl::parse(&url).unwrap(),
        private: false,
    }
}

fn test_channel(world: &World, network: ShortCircuit) -> TestChannel {
    let store = Arc::new(world.store.clone());
    TestChannel::new(TestDependencies {
        channels: store.clone(),
        reports: store,
        directory: Some(world.directory.clone()),
        probe: Arc::new(network),
        integrators: integrators(),
        secret: server_secret(),
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        private_targets: false,
        environment: world.clock.clone(),
    })
}

async fn tested(world: &World) -> ChannelTestReport {
    let test = test_channel(world, network(world));
    test.run(&channel_id("1")).await.unwrap()
}

fn outcomes(report: &ChannelTestReport) -> Vec<StepOutcome> {
    report.steps.iter().map(|step| step.outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn test_message_is_received_and_leaves_no_trace_of_its_credential() {
    let world = World::new();
    world.add("1").await;
    world.directory.refresh().await.unwrap();
    let report = tested(&world).await;
    assert!(report.passed());
    assert_eq!(outcomes(&report), [StepOutcome::Passed; 6], "{report:?}");
    assert_eq!(
        report.url,
        format!("{PUBLIC_URL}/social/on/whatsapp/twilio/report/1")
    );
    let stored = world.store.message(&report.message).await.unwrap().unwrap();
    assert!(stored.message.key.sid.is_test());
    assert_eq!(stored.reports[0].effect, Effect::Advanced);
    // The challenge and the use are not those of the integrator.
    world.directory.write_usage().await.unwrap();
    let id = channel_id("1");
    assert_eq!(
        world.store.calls(&id).await.unwrap(),
        ChannelCalls::default()
    );
    let found = world.store.find(&id).await.unwrap().unwrap();
    assert_eq!(found.credentials.len(), 1);
    assert_eq!(found.credentials[0].last_used_at, None);
    // Another test has another message.
    assert_ne!(tested(&world).await.message, report.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_of_every_integrator_passes() {
    for integrator in integrators().iter() {
        let world = World::new();
        let is_signed = integrator.signatures() != Signatures::Never;
        let tokens = is_signed.then(|| SigningTokens::parse("key-1:a-shared-key old-token"));
        let new = NewChannel {
            integrator: integrator.name().clone(),
            signing_token: tokens.transpose().unwrap(),
            ..new_channel("1")
        };
        world.manage.add(new).await.unwrap();
        world.directory.refresh().await.unwrap();
        let report = tested(&world).await;
        assert_eq!(outcomes(&report), [StepOutcome::Passed; 6], "{report:?}");
        world.directory.write_usage().await.unwrap();
        let calls = world.store.calls(&channel_id("1")).await.unwrap();
        assert_eq!(calls, ChannelCalls::default(), "{}", integrator.name());
        assert_eq!(world.directory.problems(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_channel_with_senders_and_two_credentials_passes() {
    let world = World::new();
    world.add("1").await;
    world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await
        .unwrap();
    let changes = ChannelChanges {
        senders: Some(vec![domain::Address::parse_sender("+15550109999").unwrap()]),
        signing_token: Some(Some(SigningTokens::parse("an-auth-token").unwrap())),
        ..ChannelChanges::default()
    };
    world
        .manage
        .update(&channel_id("1"), changes)
        .await
        .unwrap();
    world.directory.refresh().await.unwrap();
    let report = tested(&world).await;
    assert_eq!(outcomes(&report), [StepOutcome::Passed; 6], "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_of_something_in_front_fails_with_its_meaning() {
    let world = World::new();
    world.add("1").await;
    world.directory.refresh().await.unwrap();
    for (status, meaning) in [(200, "in its place"), (301, "redirect"), (502, "proxy")] {
        let network = ShortCircuit {
            in_front: Some(status),
            ..network(&world)
        };
        let report = test_channel(&world, network)
            .run(&channel_id("1"))
            .await
            .unwrap();
        assert!(!report.passed());
        let [_, _, _, challenge, sent, message] = report.steps.as_slice() else {
            panic!("{report:?}");
        };
        assert_eq!(challenge.kind, TestStepKind::Challenge);
        assert_eq!(challenge.outcome, StepOutcome::Failed);
        assert!(challenge.detail.contains(meaning), "{}", challenge.detail);
        assert_eq!([sent.outcome, message.outcome], [StepOutcome::Skipped; 2]);
        assert_eq!(world.store.message(&report.message).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_that_expires_soon_is_a_warning() {
    let world = World::new();
    world.add("1").await;
    world.directory.refresh().await.unwrap();
    let network = ShortCircuit {
        certificate_expires: world.manage.now().plus_micros(3 * 86_400_000_000),
        ..network(&world)
    };
    let report = test_channel(&world, network)
        .run(&channel_id("1"))
        .await
        .unwrap();
    assert!(report.passed());
    assert_eq!(report.steps[2].outcome, StepOutcome::Warning);
    assert!(
        report.steps[2].detail.contains("(3 days)"),
        "{:?}",
        report.steps[2]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_that_cannot_be_tested_says_why() {
    let world = World::new();
    let test = test_channel(&world, network(&world));
    let missing = test.run(&channel_id("1")).await;
    assert!(matches!(missing, Err(TestError::NoSuchChannel(_))));
    world.add("1").await;
    let off = ChannelChanges {
        enabled: Some(false),
        ..ChannelChanges::default()
    };
    world.manage.update(&channel_id("1"), off).await.unwrap();
    let disabled = test.run(&channel_id("1")).await;
    assert!(matches!(disabled, Err(TestError::Disabled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_test_of_a_channel_runs_at_a_time() {
    let world = World::new();
    world.add("1").await;
    let running = testkit::builders::credential("1", 77)
        .at(world.manage.now().unix_micros())
        .for_test()
        .build();
    world.store.add_credential(&running).await.unwrap();
    let test = test_channel(&world, network(&world));
    let second = test.run(&channel_id("1")).await;
    assert!(matches!(second, Err(TestError::Running)));
    // Test credentials are not listed among those of the channel.
    let shown = world.manage.show(&channel_id("1")).await.unwrap();
    assert_eq!(shown.credentials.len(), 1);
    assert_eq!(world.manage.list().await.unwrap()[0].credentials.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_messages_are_for_their_own_credential_only() {
    let world = World::new();
    let issued = world.manage.add(new_channel("1")).await.unwrap().1;
    world.directory.refresh().await.unwrap();
    let network = network(&world);
    let target = target();
    let authorization = |user: &str, password: &str| {
        let value = traffic::request::authorization(user, password);
        [("Authorization", value)]
    };
    let form = |sid: &MessageSid| {
        let fields = traffic::form::required_fields(sid.as_str(), "delivered");
        traffic::form::encode(&fields).into_bytes()
    };
    let ordinary = authorization("user", issued.password.reveal());
    let forged = form(&MessageSid::of_test(issued.credential.id));
    let answer = network.post(&target, &ordinary, forged).await;
    assert_eq!(answer.result.unwrap().status, 400);
    // The rejection is shown like any other.
    let rejections = world
        .store
        .list(None, None, domain::page::PageSize::MAX)
        .await;
    assert_eq!(rejections.unwrap().items.len(), 1);

    let test = testkit::builders::credential("1", 78)
        .at(world.manage.now().unix_micros())
        .for_test()
        .password(&server_secret(), "tester", "a test password")
        .build();
    world.store.add_credential(&test).await.unwrap();
    world.directory.refresh().await.unwrap();
    let tester = authorization("tester", "a test password");
    let real = MessageSid::parse(&testkit::builders::twilio_sid(1)).unwrap();
    for (sid, status) in [(real, 400), (MessageSid::of_test(test.id), 204)] {
        let answer = network.post(&target, &tester, form(&sid)).await;
        assert_eq!(answer.result.unwrap().status, status, "{sid}");
    }
    // A refused test is no rejection.
    let rejections = world
        .store
        .list(None, None, domain::page::PageSize::MAX)
        .await;
    assert_eq!(rejections.unwrap().items.len(), 1);
}
