//! The audit log.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::Timestamp;
use domain::access::audit::{AuditDetails, AuditObject};
use domain::access::{AuditAction, AuditEntry, AuditEntryId, AuditFilter, OperatorName};
use domain::page::{Page, PageSize};
use ports::{AuditLog, StoreError};
use sql_rows::access::AUDIT_LOG;
use uuid::Uuid;

use crate::SqliteStore;
use crate::rows::AuditRow;
use crate::runtime::Query as _;

#[async_trait]
impl AuditLog for SqliteStore {
    async fn append(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let appended = self.insert_audit_entry(entry);
        appended
            .run(&self.runtime, "append audit entry", AUDIT_LOG)
            .await
    }

    async fn entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditEntryId>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditEntryId>, StoreError> {
        let rows = self.audit_rows(filter, after, size);
        let rows = rows
            .run(&self.runtime, "list audit entries", AUDIT_LOG)
            .await?;
        let entries = rows.into_iter().map(AuditEntry::try_from);
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Page::cut(entries, size, |entry| entry.id))
    }
}

impl SqliteStore {
    async fn insert_audit_entry(&self, entry: &AuditEntry) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into audit_log (id, at, operator, action, object, details, source)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             on conflict (id) do nothing",
            entry.id.0,
            entry.at.unix_micros(),
            entry.operator.as_str(),
            entry.action.as_str(),
            entry.object.as_ref().map(AuditObject::as_str),
            entry.details.as_ref().map(AuditDetails::as_str),
            entry.source.map(|source| source.to_string()),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Returns one row more than a page has, if there are as many.
    async fn audit_rows(
        &self,
        filter: &AuditFilter,
        after: Option<AuditEntryId>,
        size: PageSize,
    ) -> Result<Vec<AuditRow>, sqlx::Error> {
        sqlx::query_as!(
            AuditRow,
            r#"select id as "id: Uuid", at, operator, action, object, details, source
             from audit_log
             where (?1 is null or id < ?1)
                 and (?2 is null or operator = ?2)
                 and (?3 is null or action = ?3)
                 and (?4 is null or object = ?4)
                 and (?5 is null or at >= ?5)
                 and (?6 is null or at < ?6)
             order by id desc
             limit ?7"#,
            after.map(|after| after.0),
            filter.operator.as_ref().map(OperatorName::as_str),
            filter.action.map(AuditAction::as_str),
            filter.object.as_ref().map(AuditObject::as_str),
            filter.since.map(Timestamp::unix_micros),
            filter.until.map(Timestamp::unix_micros),
            i64::from(size.get()) + 1,
        )
        .fetch_all(&self.readers)
        .await
    }

    /// Deletes the oldest entries from before a time, and returns how many.
    pub(crate) async fn try_prune_audit(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        let pruned = sqlx::query!(
            "delete from audit_log where id in (
                 select id from audit_log where at < ?1 order by at limit ?2
             )",
            before.unix_micros(),
            i64::from(budget.get()),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(pruned.rows_affected())
    }
}
