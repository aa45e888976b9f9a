//! Where reports, secrets and the journal are stored.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::database::DatabaseUrl;
use super::number::range;

/// The data folder without a setting, in the current folder.
pub const DEFAULT_DATA_DIR: &str = "data";

#[expect(clippy::doc_markdown, reason = "the help text is read on a terminal")]
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Storage")]
pub struct StorageOptions {
    /// The database: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE. Default:
    /// sqlite:<data dir>/receiptd.db
    #[arg(long, env = "RECEIPTD_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Maximum number of connections to PostgreSQL, 2 to 1000
    #[arg(long, env = "RECEIPTD_DATABASE_CONNECTIONS", default_value_t = 10, value_parser = range(2..=1000))]
    pub database_connections: u32,
    /// Folder for generated secrets, the SQLite database and the journal. Every server needs its
    /// own
    #[arg(long, env = "RECEIPTD_DATA_DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
}

impl StorageOptions {
    /// Returns the configured database, or the SQLite database in the data folder.
    pub fn database(&self) -> Result<DatabaseUrl> {
        match &self.database_url {
            Some(text) => DatabaseUrl::parse(text),
            None => Ok(DatabaseUrl::in_data_dir(&self.data_dir)),
        }
    }

    /// Creates the data folder, readable by its owner only, unless it exists, and returns its
    /// path.
    pub fn create_data_dir(&self) -> Result<&Path> {
        let mut builder = std::fs::DirBuilder::new();
        let created = builder.recursive(true).mode(0o700).create(&self.data_dir);
        let folder = self.data_dir.display();
        created.with_context(|| format!("RECEIPTD_DATA_DIR {folder} cannot be created"))?;
        Ok(&self.data_dir)
    }
}
