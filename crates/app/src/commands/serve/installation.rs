//! What the console says about this installation.

use adapter_console::{Installation, SettingRow};
use anyhow::Result;
use domain::access::ConsoleUrl;

use crate::config::Settings;

/// Returns version, database and the settings that operators ask for, without secrets.
pub fn describe(settings: &Settings, console_url: &ConsoleUrl) -> Result<Installation> {
    let (listeners, retention) = (&settings.listeners, &settings.retention);
    let rows = [
        (
            "RECEIPTD_PUBLIC_LISTEN",
            listeners.public_listen.to_string(),
        ),
        ("RECEIPTD_PUBLIC_URL", settings.public_url()?.to_string()),
        ("RECEIPTD_ADMIN_LISTEN", listeners.admin_listen.to_string()),
        ("RECEIPTD_ADMIN_HOSTS", listeners.admin_hosts.join(", ")),
        ("RECEIPTD_CONSOLE_URL", console_url.to_string()),
        (
            "RECEIPTD_MAX_CONNECTIONS",
            listeners.max_connections.to_string(),
        ),
        (
            "RECEIPTD_DATA_DIR",
            settings.storage.data_dir.display().to_string(),
        ),
        (
            "RECEIPTD_KEEP_REPORTS_DAYS",
            retention.keep_reports_days.to_string(),
        ),
        (
            "RECEIPTD_KEEP_MESSAGES_DAYS",
            retention.keep_messages_days.get().to_string(),
        ),
        (
            "RECEIPTD_PUSH_PRIVATE_TARGETS",
            settings.delivery.private_targets.to_string(),
        ),
    ];
    Ok(Installation {
        version: env!("CARGO_PKG_VERSION"),
        database: settings.storage.database()?.to_string(),
        settings: rows
            .into_iter()
            .map(|(name, value)| SettingRow {
                name: name.to_owned(),
                value: if value.is_empty() {
                    "none".to_owned()
                } else {
                    value
                },
            })
            .collect(),
    })
}
