//! The composition root: connects use cases with adapters. The engine is chosen here, by the
//! URL of the database; no other module depends on it.

use std::sync::Arc;
use std::time::Duration;

use adapter_postgres::PostgresStore;
use adapter_sqlite::SqliteStore;
use anyhow::{Context as _, Result, ensure};
use domain::PublicUrl;
use domain::access::TokenHash;
use domain::crypto::ServerSecret;
use ports::maintenance::RetentionKind;
use ports::{Environment as _, EventLog as _, Metrics, Store, StoreError, WebhookSender};
use usecases::access::PruneSessions;
use usecases::channels::channel_test::TestDependencies;
use usecases::forwarding::ForwardingExpiry;
use usecases::subscriptions::SubscriptionDependencies;
use usecases::{
    AccessControl, ChannelDirectory, EraseRecipient, Integrators, LogTailCache, ManageChannels,
    ManageCursors, ManageSubscriptions, ManageTokens, Prune, RecordAudit, RetentionHolds,
    TestChannel, Throttle,
};

use crate::background::BackgroundTask;
use crate::config::{DatabaseUrl, Settings};
use crate::system::System;
use crate::{statistics, webhook_sender};

/// How long a migration waits for a lock if the command needs the current schema.
pub const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The configured database.
#[derive(Clone)]
pub struct Stores {
    engine: Engine,
    url: DatabaseUrl,
}

#[derive(Clone)]
enum Engine {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

fn unusable(url: &DatabaseUrl) -> String {
    format!("the database {url} cannot be used")
}

fn no_database(settings: &Settings, url: &DatabaseUrl) -> String {
    let setting = match settings.storage.database_url {
        Some(_) => "RECEIPTD_DATABASE_URL",
        None => "RECEIPTD_DATA_DIR",
    };
    format!("{}; is {setting} that of the server?", unusable(url))
}

fn postgres(settings: &Settings, text: &str, url: &DatabaseUrl) -> Result<PostgresStore> {
    let options = adapter_postgres::Options {
        max_connections: settings.storage.database_connections,
        ..adapter_postgres::Options::default()
    };
    PostgresStore::connect(text, &options).with_context(|| unusable(url))
}

impl Stores {
    /// Returns whether the database exists. One on a PostgreSQL server is assumed to exist.
    pub fn is_there(settings: &Settings) -> Result<bool> {
        let url = settings.storage.database()?;
        match &url {
            DatabaseUrl::Sqlite(text) => {
                SqliteStore::is_there(text).with_context(|| no_database(settings, &url))
            }
            DatabaseUrl::Postgres(_) => Ok(true),
        }
    }

    /// Opens an existing database with the current schema. It creates none: a command in the
    /// wrong folder must not succeed on an empty database.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let stores = Self::open_as_is(settings).await?;
        ensure!(
            stores.has_current_schema().await?,
            "the database {} has no schema, or that of an earlier release: run `receiptd migrate`",
            stores.url
        );
        Ok(stores)
    }

    /// Opens an existing database of any schema.
    pub async fn open_as_is(settings: &Settings) -> Result<Self> {
        let url = settings.storage.database()?;
        let engine = match &url {
            DatabaseUrl::Sqlite(text) => {
                let opened = SqliteStore::connect_existing(text).await;
                Engine::Sqlite(opened.with_context(|| no_database(settings, &url))?)
            }
            DatabaseUrl::Postgres(text) => Engine::Postgres(postgres(settings, text, &url)?),
        };
        Ok(Self { engine, url })
    }

    /// Returns whether the database has the schema of this version, or a later one.
    pub async fn has_current_schema(&self) -> Result<bool> {
        let current = match &self.engine {
            Engine::Sqlite(store) => store.has_current_schema().await,
            Engine::Postgres(store) => store.has_current_schema().await,
        };
        current.with_context(|| unusable(&self.url))
    }

    /// Opens the configured database and brings it to the schema of this version. Creates the
    /// file on SQLite.
    pub async fn create(settings: &Settings) -> Result<Self> {
        let stores = Self::connect(settings).await?;
        let migrated = stores.migrate(MIGRATION_LOCK_TIMEOUT).await;
        migrated.with_context(|| unusable(&stores.url))?;
        Ok(stores)
    }

    /// Opens the configured database without a migration. Creates the file on SQLite; PostgreSQL
    /// may be unavailable.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let url = settings.storage.database()?;
        let engine = match &url {
            DatabaseUrl::Sqlite(text) => {
                if settings.storage.database_url.is_none() {
                    settings.storage.create_data_dir()?;
                }
                let store = SqliteStore::connect(text).await;
                Engine::Sqlite(store.with_context(|| unusable(&url))?)
            }
            DatabaseUrl::Postgres(text) => Engine::Postgres(postgres(settings, text, &url)?),
        };
        Ok(Self { engine, url })
    }

    /// Migrates the database to this version's schema. Waits at most `lock_timeout` for a lock
    /// (PostgreSQL).
    pub async fn migrate(&self, lock_timeout: Duration) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite(store) => store.migrate().await,
            Engine::Postgres(store) => store.migrate_within(lock_timeout).await,
        }
    }

    /// Returns the store ports of this database.
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.engine {
            Engine::Sqlite(store) => Arc::new(store.clone()),
            Engine::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Returns the background tasks of the engine.
    pub fn workers(&self) -> Vec<BackgroundTask> {
        match &self.engine {
            Engine::Sqlite(store) => {
                let store = store.clone();
                vec![BackgroundTask::new(
                    "checkpoint",
                    Duration::from_secs(2),
                    move || {
                        let store = store.clone();
                        async move { Ok(store.checkpoint().await.map(drop)?) }
                    },
                )]
            }
            Engine::Postgres(store) => {
                let store = store.clone();
                vec![BackgroundTask::new(
                    "marks",
                    Duration::from_mins(1),
                    move || {
                        let store = store.clone();
                        async move {
                            let head = store.head().await?;
                            Ok(store.add_time_index_entry(System.now(), head).await?)
                        }
                    },
                )]
            }
        }
    }

    /// Closes every connection. Nothing is written afterwards.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(store) => {
                // Everything is committed; SQLite recovers when the file is opened next.
                if let Err(error) = store.close().await {
                    tracing::warn!(%error, "the database was not closed cleanly; nothing is lost");
                }
            }
            Engine::Postgres(store) => store.close().await,
        }
    }
}

/// Returns the built-in integrators.
pub fn integrators() -> Integrators {
    Integrators::new(adapter_integrators::all())
}

/// Returns the use case that manages channels.
pub fn manage_channels(
    stores: &Stores,
    settings: &Settings,
    secret: ServerSecret,
    public_url: PublicUrl,
) -> ManageChannels {
    let manage = ManageChannels::new(
        stores.store(),
        integrators(),
        secret,
        public_url,
        Arc::new(System),
    );
    manage.with_private_targets(settings.delivery.private_targets)
}

/// Returns the use case that sends test reports to channels. `directory` is that of the server.
pub fn test_channel(
    stores: &Stores,
    settings: &Settings,
    secret: ServerSecret,
    public_url: PublicUrl,
    directory: Arc<ChannelDirectory>,
) -> Result<TestChannel> {
    Ok(TestChannel::new(TestDependencies {
        channels: stores.store(),
        reports: stores.store(),
        directory: Some(directory),
        probe: Arc::new(webhook_sender::create_probe(settings)?),
        integrators: integrators(),
        secret,
        public_url,
        private_targets: settings.delivery.private_targets,
        environment: Arc::new(System),
    }))
}

/// Returns the use case that manages cursors.
pub fn manage_cursors(stores: &Stores, log: Arc<LogTailCache>) -> ManageCursors {
    ManageCursors::new(stores.store(), log, Arc::new(System))
}

/// Returns the use case that manages subscriptions.
pub fn manage_subscriptions(
    stores: &Stores,
    settings: &Settings,
    secret: ServerSecret,
    log: Arc<LogTailCache>,
    directory: Arc<ChannelDirectory>,
    sink: Arc<dyn WebhookSender>,
) -> ManageSubscriptions {
    ManageSubscriptions::new(SubscriptionDependencies {
        store: stores.store(),
        deliveries: stores.store(),
        operator_events: stores.store(),
        log,
        reports: stores.store(),
        sender: sink,
        directory,
        secret,
        environment: Arc::new(System),
        private_targets: settings.delivery.private_targets,
    })
}

/// Returns the use cases of operators' access. `bootstrap` is the configured token.
pub fn access_control(stores: &Stores, bootstrap: &str) -> AccessControl {
    let hash = TokenHash::of(bootstrap.as_bytes());
    AccessControl::new(stores.store(), stores.store(), hash, Arc::new(System))
}

/// Returns the use case that manages the tokens of operators.
pub fn manage_tokens(stores: &Stores) -> ManageTokens {
    ManageTokens::new(stores.store(), Arc::new(System))
}

/// Returns the use case that adds entries to the audit log.
pub fn record_audit(stores: &Stores) -> RecordAudit {
    RecordAudit::new(stores.store(), Arc::new(System))
}

/// Returns the background task that removes sessions that have ended.
fn pruning_sessions(stores: &Stores) -> BackgroundTask {
    let prune = Arc::new(PruneSessions::new(stores.store(), Arc::new(System)));
    BackgroundTask::new("prune sessions", Duration::from_mins(1), move || {
        let prune = Arc::clone(&prune);
        async move { Ok(prune.run().await.map(drop)?) }
    })
}

/// Returns the use case that erases a recipient.
pub fn erase_recipient(stores: &Stores, secret: ServerSecret) -> EraseRecipient {
    EraseRecipient::new(stores.store(), secret, Arc::new(System))
}

/// Returns the background task that continues unfinished erasures, of any process.
fn erasing(erase: Arc<EraseRecipient>) -> BackgroundTask {
    BackgroundTask::new("erase", Duration::from_secs(2), move || {
        let erase = Arc::clone(&erase);
        async move {
            while erase.resume().await?.is_some() {
                // Between two steps others have their turn.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }
    })
}

/// Returns the use case that removes expired data.
pub fn prune(
    stores: &Stores,
    settings: &Settings,
    holds: Arc<RetentionHolds>,
    metrics: Arc<dyn Metrics>,
) -> Prune {
    Prune::new(
        stores.store(),
        stores.store(),
        ForwardingExpiry::new(stores.store(), metrics),
        Arc::new(System),
        settings.retention.keep_for(),
        holds,
    )
}

/// Returns the background tasks that create partitions, remove expired data, erase recipients and
/// count statistics.
/// `metrics` counts requests that are dropped, `holds` tells which kinds of data retention holds
/// back, `throttle` whether ingest is saturated.
pub fn clearing_up(
    stores: &Stores,
    settings: &Settings,
    log: &Arc<LogTailCache>,
    holds: &Arc<RetentionHolds>,
    secret: &ServerSecret,
    throttle: &Arc<Throttle>,
    metrics: Arc<dyn Metrics>,
) -> Result<Vec<BackgroundTask>> {
    let erase = erase_recipient(stores, secret.clone()).invalidating(Arc::clone(log));
    let prune = Arc::new(prune(stores, settings, Arc::clone(holds), metrics));
    let partitions = {
        let prune = Arc::clone(&prune);
        BackgroundTask::new("partitions", Duration::from_hours(1), move || {
            let prune = Arc::clone(&prune);
            async move {
                let days = prune.make_partitions().await?;
                if days > 0 {
                    tracing::info!(days, "created partitions for the coming days");
                }
                Ok(())
            }
        })
    };
    let mut workers = vec![
        partitions,
        erasing(Arc::new(erase)),
        statistics::task(&stores.store(), settings, secret, throttle)?,
        pruning_sessions(stores),
    ];
    workers.extend(RetentionKind::ALL.map(|kind| pruning(kind, Arc::clone(&prune))));
    Ok(workers)
}

/// Returns the background task that removes expired data of a kind.
fn pruning(kind: RetentionKind, prune: Arc<Prune>) -> BackgroundTask {
    let name = match kind {
        RetentionKind::Reports => "prune reports",
        RetentionKind::Messages => "prune messages",
        RetentionKind::Deliveries => "prune deliveries",
        RetentionKind::Audit => "prune audit log",
        RetentionKind::ForwardedRequests => "prune forwarded requests",
    };
    BackgroundTask::new(name, Duration::from_mins(1), move || {
        let prune = Arc::clone(&prune);
        async move {
            loop {
                let pruned = prune.run(kind).await?;
                let (rows, days) = (pruned.rows, pruned.days);
                if rows > 0 || days > 0 {
                    tracing::info!(worker = name, rows, days, "removed expired data");
                }
                if pruned.done {
                    return Ok(());
                }
                // Between two steps others have their turn.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    })
}
