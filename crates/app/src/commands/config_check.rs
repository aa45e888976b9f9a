//! Checks all settings and shows their effect.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use domain::crypto::ServerSecret;
use ports::metrics::NoMetrics;
use serde::Serialize;
use usecases::health::Condition;
use usecases::{ChannelDirectory, CheckHealth};

use crate::composition::Stores;
use crate::config::{self, Settings};
use crate::{open_files, output, telemetry, webhook_sender};

/// The effect of the settings, without secrets.
#[derive(Serialize)]
struct ConfigCheck {
    database: String,
    public_listen: String,
    admin_listen: String,
    public_url: String,
    data_dir: String,
    /// `null` if the database does not have the schema of this release.
    channels: Option<usize>,
    /// Settings that work but can lose reports or reveal secrets.
    warnings: Vec<String>,
    max_connections: u32,
    open_files: Option<u64>,
}

/// Fails with the first invalid setting. Creates and changes nothing, so that it can run before an
/// upgrade and next to a server.
pub async fn run(settings: &Settings, json: bool) -> Result<()> {
    let unknown = config::unknown_variables();
    ensure!(
        unknown.is_empty(),
        "not a setting: {}; see `receiptd help settings`",
        unknown.join(", ")
    );
    telemetry::parse(&settings.logs.log).context("RECEIPTD_LOG")?;
    webhook_sender::create(settings)?;
    let listeners = &settings.listeners;
    let (public, admin) = (listeners.public_listen, listeners.admin_listen);
    ensure!(
        public != admin || public.port() == 0,
        "RECEIPTD_PUBLIC_LISTEN and RECEIPTD_ADMIN_LISTEN are both {public}"
    );
    let public_url = settings.public_url()?;
    let secrets = settings.secrets.inspect(&settings.storage)?;
    let mut warnings = secrets.warnings;
    let database = inspect(settings, secrets.server_secret).await?;
    warnings.extend(database.warnings);
    let checked = ConfigCheck {
        database: settings.storage.database()?.to_string(),
        public_listen: public.to_string(),
        admin_listen: admin.to_string(),
        public_url: public_url.to_string(),
        data_dir: settings.storage.data_dir.display().to_string(),
        channels: database.channels,
        warnings,
        max_connections: settings.connections(open_files::limit()),
        open_files: open_files::limit(),
    };
    if json {
        return output::json(&checked);
    }
    let (wanted, allowed) = (listeners.max_connections, checked.max_connections);
    let connections = match checked.open_files {
        Some(files) if allowed < wanted => {
            format!("{allowed} instead of {wanted}: only {files} files may be open")
        }
        Some(_) | None => allowed.to_string(),
    };
    let channels = checked.channels;
    let channels = channels.map_or("unknown".to_owned(), |count| count.to_string());
    output::fields(
        "Settings",
        [
            ("database", checked.database),
            ("public listener", checked.public_listen),
            ("operator's listener", checked.admin_listen),
            ("public URL", checked.public_url),
            ("data folder", checked.data_dir),
            ("channels", channels),
            ("maximum connections", connections),
        ],
    );
    if checked.warnings.is_empty() {
        output::line("All settings are valid, and the database can record reports.");
    }
    for warning in checked.warnings {
        output::line(format!("Warning: {warning}."));
    }
    Ok(())
}

/// What an inspection of the database found.
struct DatabaseState {
    channels: Option<usize>,
    warnings: Vec<String>,
}

/// Inspects the database without changing it. `secret` is `None` if it was not generated yet.
async fn inspect(settings: &Settings, secret: Option<ServerSecret>) -> Result<DatabaseState> {
    let url = settings.storage.database()?;
    if !Stores::is_there(settings)? {
        return Ok(DatabaseState {
            channels: None,
            warnings: vec![format!(
                "there is no database at {url} yet; `receiptd serve` creates it"
            )],
        });
    }
    let stores = Stores::open_as_is(settings).await?;
    let found = inspect_stores(&stores, secret).await;
    stores.close().await;
    found
}

async fn inspect_stores(stores: &Stores, secret: Option<ServerSecret>) -> Result<DatabaseState> {
    // First, since its error says why there is no connection.
    let has_current_schema = stores.has_current_schema().await?;
    let mut warnings = Vec::from_iter(stores.store().durability_warning().await?);
    if !has_current_schema {
        let schema = "the database has no schema, or that of an earlier release; `receiptd serve` \
             and `receiptd migrate` bring it up to date";
        warnings.push(schema.to_owned());
        return Ok(DatabaseState {
            channels: None,
            warnings,
        });
    }
    let channels = stores.store().all().await;
    let channels = channels.context("cannot read the channels")?.len();
    let Some(secret) = secret else {
        ensure!(
            channels == 0,
            "set RECEIPTD_SECRET_KEY, or restore the file secret-key in RECEIPTD_DATA_DIR: the \
             credentials of {channels} channels were hashed with it"
        );
        return Ok(DatabaseState {
            channels: Some(channels),
            warnings,
        });
    };
    let directory = ChannelDirectory::new(stores.store(), secret, Arc::new(NoMetrics));
    directory.refresh().await?;
    let parts = CheckHealth::new(stores.store(), Arc::new(directory))
        .run()
        .await;
    // The health check reports the durability warning too.
    let mut warnings = Vec::new();
    for part in parts {
        let Some(detail) = part.detail else { continue };
        // A degraded store records reports.
        let is_risky = part.name == "store" && part.condition == Condition::Degraded;
        ensure!(is_risky, "{}: {detail}", part.name);
        warnings.push(format!("the database records reports, but {detail}"));
    }
    Ok(DatabaseState {
        channels: Some(channels),
        warnings,
    })
}
