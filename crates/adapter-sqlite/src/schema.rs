//! Which tables this program knows, and whether a file has them.

use ports::StoreError;
use sqlx::migrate::Migrator;

use crate::SqliteStore;
use crate::error::store_error;

pub(crate) const MIGRATIONS: &str = "_sqlx_migrations";

/// Every step there is. Those that a later release has added are left alone.
pub(crate) fn migrator() -> Migrator {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
}

impl SqliteStore {
    /// Whether all steps of this release have been taken, which [`SqliteStore::migrate`] does.
    pub async fn has_current_schema(&self) -> Result<bool, StoreError> {
        let latest = migrator().iter().map(|step| step.version).max();
        let taken = async {
            let there = sqlx::query_scalar!(
                r#"select exists (
                       select 1 from sqlite_schema where name = '_sqlx_migrations'
                   ) as "there!: bool""#
            )
            .fetch_one(&self.readers)
            .await?;
            if !there {
                return Ok(None);
            }
            sqlx::query_scalar!(
                r#"select max(version) as "version: i64" from _sqlx_migrations where success"#
            )
            .fetch_one(&self.readers)
            .await
        };
        Ok(taken.await.map_err(store_error(MIGRATIONS))? >= latest)
    }
}
