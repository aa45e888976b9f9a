//! The values of all settings, without secrets.

use super::delivery::DeliveryOptions;
use super::ingest::IngestOptions;
use super::listeners::ListenerOptions;
use super::logs::LogOptions;
use super::reconciliation::ReconciliationOptions;
use super::retention::RetentionOptions;
use super::settings::Settings;
use super::storage::StorageOptions;

/// A variable and its value.
pub type SettingValue = (&'static str, String);

impl Settings {
    /// Returns each variable with its value, in the order of `receiptd help settings`. Of a secret
    /// only whether it is set is shown.
    pub fn values(&self) -> Vec<SettingValue> {
        let secrets = [
            ("RECEIPTD_SECRET_KEY", self.secrets.secret_key.is_some()),
            ("RECEIPTD_ADMIN_TOKEN", self.secrets.admin_token.is_some()),
        ];
        let secrets = secrets.map(|(name, is_set)| (name, secret(is_set, "generated")));
        let zone = self.statistics.time_zone.to_string();
        let trouble = self.trouble.trouble_interval_seconds.to_string();
        [
            storage(&self.storage),
            secrets.to_vec(),
            listeners(&self.listeners),
            logs(&self.logs),
            ingest(&self.ingest),
            retention(&self.retention),
            delivery(&self.delivery),
            vec![("RECEIPTD_TIME_ZONE", zone)],
            vec![("RECEIPTD_TROUBLE_INTERVAL_SECONDS", trouble)],
            reconciliation(&self.reconciliation),
        ]
        .concat()
    }
}

fn secret(is_set: bool, without: &str) -> String {
    let shown = if is_set { "set, not shown" } else { without };
    shown.to_owned()
}

fn or(value: Option<impl ToString>, without: &str) -> String {
    value.map_or(without.to_owned(), |value| value.to_string())
}

fn storage(of: &StorageOptions) -> Vec<SettingValue> {
    // Without user, password and parameters.
    let database = of.database().ok();
    vec![
        ("RECEIPTD_DATABASE_URL", or(database, "not valid")),
        (
            "RECEIPTD_DATABASE_CONNECTIONS",
            of.database_connections.to_string(),
        ),
        ("RECEIPTD_DATA_DIR", of.data_dir.display().to_string()),
    ]
}

fn listeners(of: &ListenerOptions) -> Vec<SettingValue> {
    let hosts = Some(of.admin_hosts.join(", ")).filter(|hosts| !hosts.is_empty());
    let public_url = of.public_url.as_ref();
    let console_url = of.console_url.as_ref();
    vec![
        ("RECEIPTD_PUBLIC_LISTEN", of.public_listen.to_string()),
        ("RECEIPTD_PUBLIC_URL", or(public_url, "not set")),
        ("RECEIPTD_ADMIN_LISTEN", of.admin_listen.to_string()),
        ("RECEIPTD_ADMIN_HOSTS", or(hosts, "none")),
        ("RECEIPTD_CONSOLE_URL", or(console_url, "not set")),
        ("RECEIPTD_WORKER_LISTEN", or(of.worker_listen, "none")),
        ("RECEIPTD_MAX_CONNECTIONS", of.max_connections.to_string()),
        ("RECEIPTD_MAX_HEAD_KIB", of.max_head_kib.to_string()),
        (
            "RECEIPTD_HTTP_THREADS",
            or(of.http_threads, "one per processor"),
        ),
    ]
}

fn logs(of: &LogOptions) -> Vec<SettingValue> {
    vec![
        ("RECEIPTD_LOG", of.log.clone()),
        ("RECEIPTD_LOG_FORMAT", of.log_format.as_str().to_owned()),
    ]
}

fn ingest(of: &IngestOptions) -> Vec<SettingValue> {
    numbers([
        ("RECEIPTD_QUEUE", of.queue),
        ("RECEIPTD_BATCH", of.batch),
        ("RECEIPTD_WRITERS", of.writers),
        ("RECEIPTD_COMMIT_DEADLINE", of.commit_deadline),
        ("RECEIPTD_JOURNAL_MIB", of.journal_mib),
    ])
}

fn retention(of: &RetentionOptions) -> Vec<SettingValue> {
    let messages = u32::from(of.keep_messages_days.get());
    numbers([
        ("RECEIPTD_KEEP_REPORTS_DAYS", of.keep_reports_days),
        ("RECEIPTD_KEEP_MESSAGES_DAYS", messages),
        ("RECEIPTD_KEEP_DELIVERIES_DAYS", of.keep_deliveries_days),
        ("RECEIPTD_AUDIT_RETENTION_DAYS", of.audit_retention_days),
    ])
}

fn delivery(of: &DeliveryOptions) -> Vec<SettingValue> {
    let file = of.ca_file.as_ref().map(|file| file.display());
    let mut values = vec![
        (
            "RECEIPTD_PUSH_PRIVATE_TARGETS",
            of.private_targets.to_string(),
        ),
        ("RECEIPTD_PUSH_CA_FILE", or(file, "none")),
        // It may contain a password.
        ("RECEIPTD_PUSH_PROXY", secret(of.proxy.is_some(), "none")),
    ];
    values.extend(numbers([
        ("RECEIPTD_PUSH_ATTEMPTS", of.attempts),
        ("RECEIPTD_PUSH_WINDOW", of.window),
        ("RECEIPTD_PUSH_LEASE_SECONDS", of.lease_seconds),
        ("RECEIPTD_PUSH_OPEN_MAX", of.max_pending),
        ("RECEIPTD_PUSH_PAUSE_AFTER_HOURS", of.pause_after_hours),
    ]));
    values
}

fn reconciliation(of: &ReconciliationOptions) -> Vec<SettingValue> {
    let (after, interval) = (of.reconcile_after_seconds, of.reconcile_interval_seconds);
    let mut values = numbers([
        ("RECEIPTD_RECONCILE_AFTER_SECONDS", after),
        ("RECEIPTD_RECONCILE_INTERVAL_SECONDS", interval),
    ]);
    values.push(("RECEIPTD_TWILIO_API_URL", of.twilio_api_url.clone()));
    values
}

fn numbers<const N: usize>(values: [(&'static str, u32); N]) -> Vec<SettingValue> {
    let values = values.into_iter();
    values
        .map(|(name, number)| (name, number.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;
    use crate::config::SettingList;

    fn parsed(flags: &[&str]) -> Settings {
        let command = Settings::augment_args(Command::new("settings"));
        let flags = ["settings"].iter().chain(flags);
        Settings::from_arg_matches(&command.get_matches_from(flags)).unwrap()
    }

    #[test]
    fn every_setting_has_its_value_in_the_order_of_the_help() {
        let settings = parsed(&["--writers", "3"]);
        let values = settings.values();
        let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, SettingList::new().variables());
        assert!(values.contains(&("RECEIPTD_WRITERS", "3".to_owned())));
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = parsed(&[
            "--database-url=postgres://me:hidden@db/receipts?password=hidden",
            "--secret-key=hidden",
            "--admin-token=hidden",
            "--push-proxy=http://me:hidden@proxy:3128",
        ]);
        let values = format!("{:?}", settings.values());
        assert!(!values.contains("hidden"), "{values}");
        assert!(values.contains("postgres://db/receipts"), "{values}");
    }
}
