//! The encoding of the database, which is fixed when it is created.

use ports::StoreError;

/// Fails with [`StoreError::Unsupported`] unless the encoding is UTF-8: any other one refuses
/// reports with characters it does not have.
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
