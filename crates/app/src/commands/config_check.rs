//! Checks all settings and says what the server would do.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use domain::secret::ServerSecret;
use ports::metrics::NoMetrics;
use serde::Serialize;
use usecases::health::Condition;
use usecases::{ChannelDirectory, CheckHealth};

use crate::composition::Stores;
use crate::config::{self, Settings};
use crate::{event_sink, open_files, output, telemetry};

/// What the settings come to; no secret is in it.
#[derive(Serialize)]
struct Checked {
    database: String,
    public_listen: String,
    admin_listen: String,
    public_url: String,
    data_dir: String,
    /// `null` while the database has no schema of this release.
    channels: Option<usize>,
    /// What works, and may lose reports or secrets all the same.
    warnings: Vec<String>,
    max_connections: u32,
    open_files: Option<u64>,
}

/// Fails with the first setting that is wrong. Makes and changes nothing, so that it can be run
/// before an upgrade and beside a server.
pub async fn run(settings: &Settings, json: bool) -> Result<()> {
    let unknown = config::unknown_variables();
    ensure!(
        unknown.is_empty(),
        "no settings: {}; see `receiptd serve --help`",
        unknown.join(", ")
    );
    telemetry::parse(&settings.log).context("RECEIPTD_LOG")?;
    event_sink::of(settings)?;
    let (public, admin) = (settings.public_listen, settings.admin_listen);
    ensure!(
        public != admin || public.port() == 0,
        "RECEIPTD_PUBLIC_LISTEN and RECEIPTD_ADMIN_LISTEN are both {public}"
    );
    let public_url = settings.public_url()?;
    let (secret, mut warnings) = settings.inspect_secrets()?;
    let database = look(settings, secret).await?;
    warnings.extend(database.warnings);
    let checked = Checked {
        database: settings.database()?.to_string(),
        public_listen: settings.public_listen.to_string(),
        admin_listen: settings.admin_listen.to_string(),
        public_url: public_url.to_string(),
        data_dir: settings.data_dir.display().to_string(),
        channels: database.channels,
        warnings,
        max_connections: settings.connections(open_files::limit()),
        open_files: open_files::limit(),
    };
    if json {
        return output::json(&checked);
    }
    let (wanted, allowed) = (settings.limits.max_connections, checked.max_connections);
    let connections = match checked.open_files {
        Some(files) if allowed < wanted => {
            format!("{allowed} instead of {wanted}: {files} files may be open")
        }
        Some(_) | None => allowed.to_string(),
    };
    let channels = checked.channels;
    let channels = channels.map_or("unknown".to_owned(), |count| count.to_string());
    let rows = [
        ["database".to_owned(), checked.database],
        ["public listener".to_owned(), checked.public_listen],
        ["operator's listener".to_owned(), checked.admin_listen],
        ["public URL".to_owned(), checked.public_url],
        ["data folder".to_owned(), checked.data_dir],
        ["channels".to_owned(), channels],
        ["connections at most".to_owned(), connections],
    ];
    output::table(["SETTING", "VALUE"], rows);
    if checked.warnings.is_empty() {
        output::line("All settings are good, and the database takes reports.");
    }
    for warning in checked.warnings {
        output::line(format!("Warning: {warning}."));
    }
    Ok(())
}

/// What is in the database.
struct Found {
    channels: Option<usize>,
    warnings: Vec<String>,
}

/// Looks at the database without changing it. `secret` is missing where none was made yet.
async fn look(settings: &Settings, secret: Option<ServerSecret>) -> Result<Found> {
    let url = settings.database()?;
    if !Stores::is_there(settings)? {
        return Ok(Found {
            channels: None,
            warnings: vec![format!(
                "there is no database at {url} yet; `receiptd serve` makes it"
            )],
        });
    }
    let stores = Stores::open_as_is(settings).await?;
    let found = look_into(&stores, secret).await;
    stores.close().await;
    found
}

async fn look_into(stores: &Stores, secret: Option<ServerSecret>) -> Result<Found> {
    if !stores.has_current_schema().await? {
        let risk = stores.store().durability_warning().await?;
        let schema = "the database has no schema, or that of an earlier release; `receiptd serve` \
             and `receiptd migrate` bring it up to date";
        return Ok(Found {
            channels: None,
            warnings: risk.into_iter().chain([schema.to_owned()]).collect(),
        });
    }
    let channels = stores.store().all().await;
    let channels = channels.context("the channels cannot be read")?.len();
    let Some(secret) = secret else {
        ensure!(
            channels == 0,
            "RECEIPTD_SECRET_KEY is missing, under which the credentials of {channels} channels \
             are hashed: bring back the file secret-key of RECEIPTD_DATA_DIR"
        );
        return Ok(Found {
            channels: Some(channels),
            warnings: stores
                .store()
                .durability_warning()
                .await?
                .into_iter()
                .collect(),
        });
    };
    let directory = ChannelDirectory::new(stores.store(), secret, Arc::new(NoMetrics));
    directory.refresh().await?;
    let parts = CheckHealth::new(stores.store(), Arc::new(directory))
        .run()
        .await;
    let mut warnings = Vec::new();
    for part in parts {
        let Some(detail) = part.detail else { continue };
        // One that takes reports and is not well.
        let is_risky = part.name == "store" && part.condition == Condition::Degraded;
        ensure!(is_risky, "{}: {detail}", part.name);
        warnings.push(format!("the database takes reports, but {detail}"));
    }
    Ok(Found {
        channels: Some(channels),
        warnings,
    })
}
