//! Which tables this program knows, and whether a database has them.

use ports::StoreError;
use sqlx::migrate::Migrator;

use crate::error::store_error;
use crate::timeout::Operation as _;
use crate::{PostgresStore, encoding};

pub(crate) const MIGRATIONS: &str = "_sqlx_migrations";

/// Every step there is. Those that a later release has added are left alone.
pub(crate) fn migrator() -> Migrator {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
}

impl PostgresStore {
    /// Whether all steps of this release have been taken, which [`PostgresStore::migrate`]
    /// does. [`StoreError::Unsupported`] if the database's encoding is not UTF-8.
    pub async fn has_current_schema(&self) -> Result<bool, StoreError> {
        let latest = migrator().iter().map(|step| step.version).max();
        let taken = async {
            let there = sqlx::query_scalar!(
                r#"select to_regclass('_sqlx_migrations') is not null as "there!""#
            )
            .fetch_one(&self.pool)
            .await?;
            if !there {
                return Ok(None);
            }
            sqlx::query_scalar!("select max(version) from _sqlx_migrations where success")
                .fetch_one(&self.pool)
                .await
        };
        match taken.in_time(&self.runtime).await {
            Ok(taken) => {
                encoding::check(&self.pool).await?;
                Ok(taken >= latest)
            }
            Err(error) => Err(store_error(MIGRATIONS)(self.explain(error).await)),
        }
    }
}
