//! The migrations, and whether a file has them.

use ports::StoreError;
use sql_rows::schema::{AppliedMigration, MIGRATIONS, is_complete, is_current, reject_prerelease};
use sqlx::migrate::Migrator;

use crate::SqliteStore;
use crate::runtime::Query as _;

/// Returns all migrations of this release. Those of later releases are ignored.
pub(crate) fn migrator() -> Migrator {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
}

impl SqliteStore {
    /// Returns whether all migrations of this release were applied, which
    /// [`SqliteStore::migrate`] does. Fails with [`StoreError::Unsupported`] if the schema is from
    /// before the first release.
    pub async fn has_current_schema(&self) -> Result<bool, StoreError> {
        let migrator = migrator();
        Ok(is_current(&self.applied(&migrator).await?, &migrator))
    }

    /// Returns whether there is nothing to migrate. Fails as above.
    pub(crate) async fn is_migrated(&self, migrator: &Migrator) -> Result<bool, StoreError> {
        Ok(is_complete(&self.applied(migrator).await?, migrator))
    }

    async fn applied(&self, migrator: &Migrator) -> Result<Vec<AppliedMigration>, StoreError> {
        let query = async {
            let has_migrations = sqlx::query_scalar!(
                r#"select exists (
                       select 1 from sqlite_schema where name = '_sqlx_migrations'
                   ) as "has_migrations!: bool""#
            )
            .fetch_one(&self.readers)
            .await?;
            if !has_migrations {
                return Ok(Vec::new());
            }
            sqlx::query_as!(
                AppliedMigration,
                r#"select version as "version!", description, checksum
                   from _sqlx_migrations where success"#
            )
            .fetch_all(&self.readers)
            .await
        };
        let applied = query
            .run(&self.runtime, "read migrations", MIGRATIONS)
            .await?;
        reject_prerelease(&applied, migrator, || {
            format!(
                "{} was created by a pre-release version of receiptd, whose tables this version \
                 cannot use; move the file away and start again, which creates a new one",
                self.path().display()
            )
        })?;
        Ok(applied)
    }
}
