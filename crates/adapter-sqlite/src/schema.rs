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

/// A step that was taken.
struct Taken {
    version: i64,
    checksum: Vec<u8>,
}

impl SqliteStore {
    /// Whether all steps of this release have been taken, which [`SqliteStore::migrate`] does.
    pub async fn has_current_schema(&self) -> Result<bool, StoreError> {
        let latest = migrator().iter().map(|step| step.version).max();
        let taken = self.taken().await.map_err(store_error(MIGRATIONS))?;
        Ok(taken.iter().map(|step| step.version).max() >= latest)
    }

    /// Whether each step has been taken as it is known here, so that there is nothing to do
    /// and nothing to complain of.
    pub(crate) async fn is_migrated(&self, migrator: &Migrator) -> Result<bool, StoreError> {
        let taken = self.taken().await.map_err(store_error(MIGRATIONS))?;
        Ok(migrator.iter().all(|step| {
            let same =
                |it: &Taken| it.version == step.version && it.checksum == step.checksum.as_ref();
            taken.iter().any(same)
        }))
    }

    /// The steps that have been taken.
    async fn taken(&self) -> Result<Vec<Taken>, sqlx::Error> {
        let there = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from sqlite_schema where name = '_sqlx_migrations'
               ) as "there!: bool""#
        )
        .fetch_one(&self.readers)
        .await?;
        if !there {
            return Ok(Vec::new());
        }
        sqlx::query_as!(
            Taken,
            r#"select version as "version!", checksum from _sqlx_migrations where success"#
        )
        .fetch_all(&self.readers)
        .await
    }
}
