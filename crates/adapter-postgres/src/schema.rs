//! The migrations, and whether a database has them.

use ports::StoreError;
use sql_rows::schema::{AppliedMigration, MIGRATIONS, is_current, reject_prerelease};
use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::error::store_error;
use crate::runtime::Operation as _;
use crate::{PostgresStore, encoding};

/// Returns all migrations of this release. Those of later releases are ignored.
pub(crate) fn migrator() -> Migrator {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
}

/// What a database says of itself.
pub(crate) struct FoundSchema {
    database: String,
    encoding: String,
    applied: Vec<AppliedMigration>,
}

impl FoundSchema {
    pub(crate) async fn read(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let found = sqlx::query!(
            r#"select current_database()::text as "database!",
                   current_setting('server_encoding') as "encoding!",
                   to_regclass('_sqlx_migrations') is not null as "has_migrations!""#
        )
        .fetch_one(pool)
        .await?;
        let mut applied = Vec::new();
        if found.has_migrations {
            applied = sqlx::query_as!(
                AppliedMigration,
                "select version, description, checksum from _sqlx_migrations where success"
            )
            .fetch_all(pool)
            .await?;
        }
        Ok(Self {
            database: found.database,
            encoding: found.encoding,
            applied,
        })
    }

    /// Fails with [`StoreError::Unsupported`] if the encoding is not UTF-8, or if the schema is
    /// from before the first release.
    pub(crate) fn check(&self, migrator: &Migrator) -> Result<(), StoreError> {
        encoding::is_supported(&self.encoding)?;
        reject_prerelease(&self.applied, migrator, || {
            format!(
                "the database {} was created by a pre-release version of receiptd, whose tables \
                 this version cannot use; create a new one with `create database ... encoding \
                 'UTF8' template template0` and use its URL",
                self.database
            )
        })
    }
}

impl PostgresStore {
    /// Returns whether all migrations of this release were applied, which
    /// [`PostgresStore::migrate`] does. Fails with [`StoreError::Unsupported`] if that cannot
    /// migrate the database.
    pub async fn has_current_schema(&self) -> Result<bool, StoreError> {
        let found = FoundSchema::read(&self.pool);
        match found.in_time(&self.runtime, "read migrations").await {
            Ok(found) => {
                let migrator = migrator();
                found.check(&migrator)?;
                Ok(is_current(&found.applied, &migrator))
            }
            Err(error) => Err(store_error(MIGRATIONS)(self.explain(error).await)),
        }
    }
}
