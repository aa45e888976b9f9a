//! The machine's clock is set back while reports arrive, or is wrong when retention runs.
//!
//! The clock of a whole process cannot be changed, so the receiver is composed here of the same
//! parts, without HTTP, on a clock of the test.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use domain::crypto::ServerSecret;
use domain::retention_days::DAY_MICROS;
use domain::{IntegratorName, PublicUrl, RetentionDays, Timestamp};
use ports::maintenance::RetentionKind;
use ports::metrics::NoMetrics;
use ports::{
    ChannelStore, ForwardedRequestStore, Headers, Maintenance, ReconciliationStore, RejectionStore,
    ReportStore, Statistics,
};
use testkit::clock::FixedClock;
use tokio::task::{JoinSet, LocalSet};
use traffic::integrator::Integrator;
use traffic::request::authorization;
use usecases::forwarding::ForwardingExpiry;
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::retention::prune::KeepFor;
use usecases::{
    AuthenticateCaller, Authentication, ChannelDirectory, GroupCommitWriters, Integrators, Prune,
    ReceiveReport, RetentionHolds,
};

use crate::faults::ledger::{Exchange, Ledger};
use crate::faults::report::body;
use crate::faults::store::{DatabaseEngine, with_store};
use crate::faults::trial::{Trial, TrialOptions};
use crate::faults::verdict::Verdict;
use crate::wait::runtime;
use crate::{CHANNEL, PASSWORD, SECRET_KEY, USER};

const HOUR: Duration = Duration::from_hours(1);

/// The number of reports before the clock is set back, and again afterwards.
const REPORTS: u64 = 2_000;

/// The number of reports in flight.
const AT_ONCE: u64 = 64;

/// The clock is set back by an hour between the reports of the same messages.
pub fn set_back(options: &TrialOptions) -> Result<Verdict> {
    let trial = Trial::prepare(options)?;
    let url = trial.store.url();
    // The head of a request cannot be shared between threads.
    let ledger = LocalSet::new().block_on(&runtime()?, async {
        with_store!(options.engine, &url, |store| receive(store).await)
    })?;
    let mut verdict = Verdict::compare(&ledger, &trial.store.stored()?);
    verdict.note("without HTTP");
    verdict.expect_none_refused();
    Ok(verdict)
}

/// Retention runs with a clock that is 91 days fast, and with one that is 300 days slow: it removes
/// nothing. On a server it uses the server's clock, which is right.
pub fn wrong(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let load = trial.load().start();
    load.until_acknowledged(1_000);
    let ledger = load.stop()?;
    trial.receiver.stop()?;
    let url = trial.store.url();
    let mut holds = Vec::new();
    for days in [91, -300] {
        let clock = FixedClock::at(now()?.plus_micros(days * DAY_MICROS));
        holds.push(runtime()?.block_on(async {
            with_store!(options.engine, &url, |store| remove_old(store, clock).await)
        })?);
    }
    let mut verdict = Verdict::compare(&ledger, &trial.store.stored()?);
    verdict.note("without HTTP");
    let is_embedded = options.engine == DatabaseEngine::Sqlite;
    verdict.expect(
        holds.into_iter().all(|held| held == is_embedded),
        "a wrong clock was not reported, or a right one was",
    );
    Ok(verdict)
}

/// The current time.
#[expect(
    clippy::disallowed_methods,
    reason = "the wrong clocks are set by the right one"
)]
fn now() -> Result<Timestamp> {
    let micros = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix_micros(i64::try_from(
        micros.as_micros(),
    )?)?)
}

/// Runs retention by this clock. Returns whether it was held back.
async fn remove_old<S>(store: Arc<S>, clock: FixedClock) -> Result<bool>
where
    S: Maintenance + Statistics + ForwardedRequestStore + 'static,
{
    let holds = Arc::<RetentionHolds>::default();
    let keep_for = KeepFor {
        reports: Duration::from_hours(90 * 24),
        messages: RetentionDays::new(90)?,
        deliveries: Duration::from_hours(14 * 24),
        audit: Duration::from_hours(400 * 24),
    };
    let prune = Prune::new(
        Arc::clone(&store) as _,
        Arc::clone(&store) as _,
        ForwardingExpiry::new(store, Arc::new(NoMetrics)),
        Arc::new(clock),
        keep_for,
        Arc::clone(&holds),
    );
    for kind in RetentionKind::ALL {
        while !prune.run(kind).await?.done {}
    }
    Ok(!holds.all().is_empty())
}

async fn receive<S>(store: Arc<S>) -> Result<Ledger>
where
    S: ReportStore + RejectionStore + ReconciliationStore + ChannelStore + 'static,
{
    let clock = Arc::new(FixedClock::default());
    let secret = || ServerSecret::parse(SECRET_KEY);
    let directory = ChannelDirectory::new(store.clone(), secret()?, Arc::new(NoMetrics));
    directory.refresh().await?;
    let (queue, writers) = GroupCommitWriters::new(
        store.clone(),
        Arc::new(NoMetrics),
        IngestSettings::default(),
    );
    let mut running = JoinSet::new();
    running.spawn(writers.run());
    let receiver = Rc::new(ComposedReceiver {
        integrators: Integrators::new(adapter_integrators::all()),
        authenticate: AuthenticateCaller::new(Arc::new(directory), secret()?, clock.clone()),
        receive: ReceiveReport::new(
            queue,
            store.clone(),
            store,
            PublicUrl::parse("http://localhost")?,
            clock.clone(),
            Arc::new(NoMetrics),
        ),
    });
    let mut ledger = Ledger::default();
    let began = Instant::now();
    for first in (0..2 * REPORTS).step_by(usize::try_from(AT_ONCE)?) {
        if (REPORTS..REPORTS + AT_ONCE).contains(&first) {
            clock.turn_back(HOUR);
        }
        clock.advance(Duration::from_millis(100));
        let mut batch = JoinSet::new();
        for number in first..(first + AT_ONCE).min(2 * REPORTS) {
            let receiver = Rc::clone(&receiver);
            batch.spawn_local(async move { receiver.accept(number, began).await });
        }
        while let Some(exchange) = batch.join_next().await {
            ledger.exchanges.push(exchange??);
        }
    }
    // The writers end with the last ingest queue.
    drop(receiver);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(ledger)
}

struct ComposedReceiver {
    integrators: Integrators,
    authenticate: AuthenticateCaller,
    receive: ReceiveReport,
}

struct AuthorizationOnly(String);

impl Headers for AuthorizationOnly {
    fn get(&self, name: &str) -> Option<&[u8]> {
        name.eq_ignore_ascii_case("authorization")
            .then_some(self.0.as_bytes())
    }
}

impl ComposedReceiver {
    /// Sends a report with credentials.
    async fn accept(&self, number: u64, began: Instant) -> Result<Exchange> {
        let sent = began.elapsed();
        let integrator = self.integrators.find(&IntegratorName::parse("twilio")?);
        let integrator = integrator.context("there is no such integrator")?;
        let headers = AuthorizationOnly(authorization(USER, PASSWORD));
        let authentication = self
            .authenticate
            .run(integrator.as_ref(), CHANNEL, &headers);
        let Authentication::AuthenticatedCaller(caller) = authentication else {
            bail!("the credentials are refused");
        };
        let body = body(1, number);
        let accepted = self.receive.run(ReportRequest {
            integrator: integrator.as_ref(),
            endpoint: integrator.report_endpoint(),
            caller,
            headers: &headers,
            query: None,
            body: body.as_bytes(),
        });
        let status = if accepted.await.is_ok() { 204 } else { 503 };
        Ok(Exchange {
            integrator: Integrator::Twilio,
            stream: 1,
            number,
            sent,
            took: began.elapsed().saturating_sub(sent),
            status: Some(status),
        })
    }
}
