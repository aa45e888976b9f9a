//! Whether a database has the schema of this release.

use ports::StoreError;
use sqlx::migrate::Migrator;

/// The table in which sqlx records migrations.
pub const MIGRATIONS: &str = "_sqlx_migrations";

/// A migration that a database has.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct AppliedMigration {
    pub version: i64,
    pub description: String,
    pub checksum: Vec<u8>,
}

/// Fails with [`StoreError::Unsupported`] if the schema is one from before the first release,
/// which had other migrations. `advice` names the database and what to do instead.
pub fn reject_prerelease(
    applied: &[AppliedMigration],
    migrator: &Migrator,
    advice: impl FnOnce() -> String,
) -> Result<(), StoreError> {
    let first = migrator.iter().next();
    let prerelease = applied.iter().any(|found| {
        first.is_some_and(|first| {
            found.version == first.version && found.description != first.description
        })
    });
    if prerelease {
        return Err(StoreError::Unsupported(advice().into()));
    }
    Ok(())
}

/// Returns whether the newest known migration, or a later one, was applied.
#[must_use]
pub fn is_current(applied: &[AppliedMigration], migrator: &Migrator) -> bool {
    let newest_known = migrator.iter().map(|known| known.version).max();
    applied.iter().map(|found| found.version).max() >= newest_known
}

/// Returns whether every known migration was applied in its known form, so that applying them
/// would do nothing.
#[must_use]
pub fn is_complete(applied: &[AppliedMigration], migrator: &Migrator) -> bool {
    migrator.iter().all(|known| {
        applied.iter().any(|found| {
            found.version == known.version && found.checksum == known.checksum.as_ref()
        })
    })
}
