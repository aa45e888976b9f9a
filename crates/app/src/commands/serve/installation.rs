//! What the console says about this installation.

use adapter_console::{Installation, SettingRow};
use anyhow::Result;
use domain::access::ConsoleUrl;

use crate::config::Settings;

/// Returns version, database and all settings, without secrets.
pub fn describe(settings: &Settings, console_url: &ConsoleUrl) -> Result<Installation> {
    let public_url = settings.public_url()?;
    let rows = settings.values().into_iter().map(|(name, value)| {
        let value = match name {
            // Their defaults are computed.
            "RECEIPTD_PUBLIC_URL" => public_url.to_string(),
            "RECEIPTD_CONSOLE_URL" => console_url.to_string(),
            _ => value,
        };
        SettingRow {
            name: name.to_owned(),
            value,
        }
    });
    Ok(Installation {
        version: env!("CARGO_PKG_VERSION"),
        database: settings.storage.database()?.to_string(),
        settings: rows.collect(),
    })
}
