//! The encoding of the database, which is chosen when it is created.

use ports::StoreError;
use sqlx::postgres::PgPool;

use crate::error::store_error;

/// Fails with [`StoreError::Unsupported`] unless the database is UTF-8: any other one refuses
/// the reports that have characters it does not know.
pub(crate) async fn check(pool: &PgPool) -> Result<(), StoreError> {
    let encoding =
        sqlx::query_scalar!(r#"select current_setting('server_encoding') as "encoding!""#)
            .fetch_one(pool)
            .await
            .map_err(store_error("pg_settings"))?;
    is_supported(&encoding)
}

/// The same of an encoding's name.
pub(crate) fn is_supported(encoding: &str) -> Result<(), StoreError> {
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreError::Unsupported(
        format!(
            "its encoding is {encoding}, which cannot hold every report: create a database with \
             `create database ... encoding 'UTF8' template template0`"
        )
        .into(),
    ))
}
