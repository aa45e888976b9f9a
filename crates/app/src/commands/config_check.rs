//! Checks all settings and says what the server would do.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use ports::observer::Unobserved;
use serde::Serialize;
use usecases::check_health::Condition;
use usecases::{ChannelDirectory, CheckHealth};

use crate::config::Settings;
use crate::wiring::Stores;
use crate::{event_sink, open_files, output, telemetry};

/// What the settings come to; no secret is in it.
#[derive(Serialize)]
struct Checked {
    database: String,
    public_listen: String,
    admin_listen: String,
    public_url: String,
    data_dir: String,
    channels: usize,
    /// What about the database may undo what it has taken.
    warnings: Vec<String>,
    max_connections: u32,
    open_files: Option<u64>,
}

pub async fn run(settings: &Settings, json: bool) -> Result<()> {
    telemetry::parse(&settings.log).context("RECEIPTD_LOG")?;
    event_sink::of(settings)?;
    let (public, admin) = (settings.public_listen, settings.admin_listen);
    ensure!(
        public != admin || public.port() == 0,
        "RECEIPTD_PUBLIC_LISTEN and RECEIPTD_ADMIN_LISTEN are both {public}"
    );
    let secrets = settings.secrets()?;
    let public_url = settings.public_url()?;
    let stores = Stores::create(settings).await?;
    let channels = stores
        .channels
        .all()
        .await
        .context("the channels cannot be read")?;
    let directory = Arc::new(ChannelDirectory::new(
        Arc::clone(&stores.channels),
        secrets.server,
        Arc::new(Unobserved),
    ));
    directory.refresh().await?;
    let parts = CheckHealth::new(Arc::clone(&stores.reports), directory)
        .run()
        .await;
    stores.close().await;
    let mut warnings = Vec::new();
    for part in parts {
        let Some(detail) = part.detail else { continue };
        // One that takes reports and is not well.
        let is_risky = part.name == "store" && part.condition == Condition::Degraded;
        ensure!(is_risky, "{}: {detail}", part.name);
        warnings.push(detail);
    }
    let checked = Checked {
        database: settings.database()?.to_string(),
        public_listen: settings.public_listen.to_string(),
        admin_listen: settings.admin_listen.to_string(),
        public_url: public_url.to_string(),
        data_dir: settings.data_dir.display().to_string(),
        channels: channels.len(),
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
    let rows = [
        ["database".to_owned(), checked.database],
        ["public listener".to_owned(), checked.public_listen],
        ["operator's listener".to_owned(), checked.admin_listen],
        ["public URL".to_owned(), checked.public_url],
        ["data folder".to_owned(), checked.data_dir],
        ["channels".to_owned(), checked.channels.to_string()],
        ["connections at most".to_owned(), connections],
    ];
    output::table(["SETTING", "VALUE"], rows);
    if checked.warnings.is_empty() {
        output::line("All settings are good, and the database takes reports.");
    }
    for warning in checked.warnings {
        output::line(format!("The database takes reports, but {warning}."));
    }
    Ok(())
}
