//! All settings of the program.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use domain::access::ConsoleUrl;
use domain::crypto::ServerSecret;
use domain::{PublicUrl, RetentionDays};

use super::delivery::DeliveryOptions;
use super::ingest::IngestOptions;
use super::listeners::{ListenerOptions, reachable};
use super::logs::LogOptions;
use super::reconciliation::ReconciliationOptions;
use super::retention::RetentionOptions;
use super::secrets::{ADMIN_TOKEN_FILE, AdminToken, SecretOptions};
use super::statistics::StatisticsOptions;
use super::storage::StorageOptions;
use super::trouble::TroubleOptions;
use crate::open_files;

/// All settings. Each option's comment is its text in `receiptd help settings`.
#[derive(Args, Debug, Clone)]
pub struct Settings {
    #[command(flatten)]
    pub storage: StorageOptions,
    #[command(flatten)]
    pub secrets: SecretOptions,
    #[command(flatten)]
    pub listeners: ListenerOptions,
    #[command(flatten)]
    pub logs: LogOptions,
    #[command(flatten)]
    pub ingest: IngestOptions,
    #[command(flatten)]
    pub retention: RetentionOptions,
    #[command(flatten)]
    pub delivery: DeliveryOptions,
    #[command(flatten)]
    pub statistics: StatisticsOptions,
    #[command(flatten)]
    pub trouble: TroubleOptions,
    #[command(flatten)]
    pub reconciliation: ReconciliationOptions,
}

/// Settings whose flags `channel add` and `channel update` use for the channel itself. So they
/// are not global: commands that need the server's values flatten this struct.
#[derive(Args, Debug, Clone)]
pub struct ServerSettings {
    #[arg(long, id = "server_public_url", hide = true)]
    public_url: Option<String>,
    #[arg(
        long,
        id = "server_keep_messages_days",
        value_name = "DAYS",
        hide = true
    )]
    keep_messages_days: Option<RetentionDays>,
}

/// The ids of the settings that are not global; see [`ServerSettings`].
pub const NOT_GLOBAL: [&str; 2] = ["public_url", "keep_messages_days"];

impl Settings {
    /// Returns these settings, overridden by flags after the command.
    pub fn with(mut self, later: &ServerSettings) -> Self {
        if let Some(url) = &later.public_url {
            self.listeners.public_url = Some(url.clone());
        }
        if let Some(days) = later.keep_messages_days {
            self.retention.keep_messages_days = days;
        }
        self
    }

    /// Returns the token of the operator's API; on first use it is generated and stored in the
    /// data folder.
    pub fn admin_token(&self) -> Result<AdminToken> {
        self.secrets.admin_token(&self.storage)
    }

    /// Returns the token of the operator's API, configured or stored by a server on this machine.
    pub fn stored_admin_token(&self) -> Result<String> {
        self.secrets.stored_admin_token(&self.storage)
    }

    /// Returns the path of the generated token of the operator's API.
    pub fn admin_token_file(&self) -> PathBuf {
        self.storage.data_dir.join(ADMIN_TOKEN_FILE)
    }

    /// Returns the secret that hashes credentials and seals tokens; on SQLite it is generated on
    /// first use and stored in the data folder.
    pub fn server_secret(&self) -> Result<ServerSecret> {
        self.secrets.server_secret(&self.storage)
    }

    /// Returns the URL at which the internet reaches the public listener.
    pub fn public_url(&self) -> Result<PublicUrl> {
        self.public_url_at(self.listeners.public_listen)
    }

    /// Returns the public URL; its default is this address, which has the port that the system
    /// chose.
    pub fn public_url_at(&self, listening: SocketAddr) -> Result<PublicUrl> {
        let text = match &self.listeners.public_url {
            Some(text) => text.trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(listening)),
        };
        PublicUrl::parse(&text).with_context(|| format!("RECEIPTD_PUBLIC_URL is {text:?}"))
    }

    /// Returns the URL at which browsers reach the console; its default is the address of the
    /// operator's listener, which has the port that the system chose.
    pub fn console_url_at(&self, listening: SocketAddr) -> Result<ConsoleUrl> {
        match &self.listeners.console_url {
            Some(url) => Ok(url.clone()),
            None => Ok(ConsoleUrl::parse(&format!(
                "http://{}",
                reachable(listening)
            ))?),
        }
    }

    /// Returns how many connections the public listener may hold if `open_files` may be open.
    pub fn connections(&self, open_files: Option<u64>) -> u32 {
        let attempts = self.delivery.allowed_attempts(open_files);
        let others = u64::from(self.storage.database_connections)
            .saturating_add(open_files::of_attempts(attempts));
        open_files::connections(self.listeners.max_connections, others, open_files)
    }
}
