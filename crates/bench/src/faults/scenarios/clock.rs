//! The machine's clock is set back while reports come, or is wrong when retention runs.
//!
//! A whole process cannot be shown another time without help, so the receiver is
//! put together here, of the same parts and without HTTP, on a clock that does
//! as it is told.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use adapter_postgres::{Options, PostgresStore};
use adapter_sqlite::SqliteStore;
use anyhow::{Context as _, Result, bail};
use bench::{CHANNEL, PASSWORD, SECRET_KEY, USER};
use domain::retention_days::DAY_MICROS;
use domain::secret::ServerSecret;
use domain::{IntegratorName, PublicUrl, RetentionDays, Timestamp};
use ports::metrics::NoMetrics;
use ports::retention::{RetentionKind, RetentionRuns};
use ports::subscriptions::DeliveryRetention;
use ports::{ChannelStore, Headers, RejectionStore, ReportStore, Retention};
use testkit::clock::FixedClock;
use tokio::task::{JoinSet, LocalSet};
use traffic::request::authorization;
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::retention::prune::{KeepFor, RetentionStores};
use usecases::{
    AuthenticateCaller, Authentication, ChannelDirectory, GroupCommitWriters, Integrators, Prune,
    ReceiveReport, RetentionHolds,
};

use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::{Entry, Ledger};
use crate::load::Load;
use crate::report::body;
use crate::store::{Engine, Store};

const HOUR: Duration = Duration::from_hours(1);

/// How many reports come before the clock is set back, and again afterwards.
const REPORTS: u64 = 2_000;

/// How many come at a time.
const AT_ONCE: u64 = 64;

/// The reports of a message lie on both sides of the jump.
pub fn set_back(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // A request's head need not be one that threads share.
    let ledger = LocalSet::new().block_on(&runtime, async {
        let url = store.url();
        match stage.engine {
            Engine::Sqlite => {
                let store = SqliteStore::connect(&url).await?;
                let ledger = receive(Arc::new(store.clone())).await;
                store.close().await?;
                ledger
            }
            Engine::Postgres => {
                let store = PostgresStore::connect(&url, &Options::default())?;
                let ledger = receive(Arc::new(store.clone())).await;
                store.close().await;
                ledger
            }
        }
    })?;
    let mut finding = Finding::compare(&ledger, &store.kept()?);
    finding.note("without HTTP");
    finding.expect(finding.refused == 0, "reports were refused");
    Ok(finding)
}

/// Retention runs once with a clock that is 91 days ahead, and once with one that is 300 days
/// behind: it removes nothing. A server has a clock of its own.
pub fn wrong(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    load.until_taken(1_000);
    let ledger = load.stop()?;
    receiver.stop()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut holds = Vec::new();
    for days in [91, -300] {
        let clock = FixedClock::at(now()?.plus_micros(days * DAY_MICROS));
        holds.push(runtime.block_on(async {
            let url = store.url();
            match stage.engine {
                Engine::Sqlite => {
                    let store = SqliteStore::connect(&url).await?;
                    let held = remove_old(Arc::new(store.clone()), clock).await;
                    store.close().await?;
                    held
                }
                Engine::Postgres => {
                    let store = PostgresStore::connect(&url, &Options::default())?;
                    let held = remove_old(Arc::new(store.clone()), clock).await;
                    store.close().await;
                    held
                }
            }
        })?);
    }
    let mut finding = Finding::compare(&ledger, &store.kept()?);
    finding.note("without HTTP");
    let is_embedded = stage.engine == Engine::Sqlite;
    finding.expect(
        holds.into_iter().all(|held| held == is_embedded),
        "it was not said that the clock is wrong, or said of one that is right",
    );
    Ok(finding)
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

/// Removes what is too old by this clock; whether anything was held back.
async fn remove_old<S>(store: Arc<S>, clock: FixedClock) -> Result<bool>
where
    S: Retention + RetentionRuns + DeliveryRetention + 'static,
{
    let holds = Arc::<RetentionHolds>::default();
    let stores = RetentionStores {
        retention: store.clone(),
        deliveries: store.clone(),
        runs: store,
    };
    let keep_for = KeepFor {
        reports: Duration::from_hours(90 * 24),
        messages: RetentionDays::new(90)?,
        deliveries: Duration::from_hours(14 * 24),
    };
    let prune = Prune::new(stores, Arc::new(clock), keep_for, Arc::clone(&holds));
    for kind in RetentionKind::ALL {
        while !prune.run(kind).await?.done {}
    }
    Ok(!holds.all().is_empty())
}

async fn receive<S>(store: Arc<S>) -> Result<Ledger>
where
    S: ReportStore + RejectionStore + ChannelStore + 'static,
{
    let clock = Arc::new(FixedClock::default());
    let secret = || ServerSecret::parse(SECRET_KEY);
    let directory = ChannelDirectory::new(store.clone(), secret()?, Arc::new(NoMetrics));
    directory.refresh().await?;
    let (intake, writers) = GroupCommitWriters::new(
        store.clone(),
        Arc::new(NoMetrics),
        IngestSettings::default(),
    );
    let mut running = JoinSet::new();
    running.spawn(writers.run());
    let receiver = Rc::new(Receiver {
        integrators: Integrators::new(adapter_integrators::all()),
        admit: AuthenticateCaller::new(Arc::new(directory), secret()?, clock.clone()),
        receive: ReceiveReport::new(
            intake,
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
            batch.spawn_local(async move { receiver.take(number, began).await });
        }
        while let Some(entry) = batch.join_next().await {
            ledger.entries.push(entry??);
        }
    }
    // The writers end with the last intake.
    drop(receiver);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(ledger)
}

struct Receiver {
    integrators: Integrators,
    admit: AuthenticateCaller,
    receive: ReceiveReport,
}

struct Basic(String);

impl Headers for Basic {
    fn get(&self, name: &str) -> Option<&[u8]> {
        name.eq_ignore_ascii_case("authorization")
            .then_some(self.0.as_bytes())
    }
}

impl Receiver {
    /// Sends it a report, as a caller that proves itself.
    async fn take(&self, number: u64, began: Instant) -> Result<Entry> {
        let sent = began.elapsed();
        let integrator = self.integrators.find(&IntegratorName::parse("twilio")?);
        let integrator = integrator.context("there is no such integrator")?;
        let headers = Basic(authorization(USER, PASSWORD));
        let admission = self.admit.run(integrator.as_ref(), CHANNEL, &headers);
        let Authentication::AuthenticatedCaller(caller) = admission else {
            bail!("the caller is not admitted");
        };
        let body = body(1, number);
        let taken = self.receive.run(ReportRequest {
            integrator: integrator.as_ref(),
            caller,
            headers: &headers,
            query: None,
            body: body.as_bytes(),
        });
        let status = if taken.await.is_ok() { 204 } else { 503 };
        Ok(Entry {
            stream: 1,
            number,
            sent,
            took: began.elapsed().saturating_sub(sent),
            status: Some(status),
        })
    }
}
