//! Settings of the rules, journals of receivers, and retention.

use std::num::NonZeroU16;

use domain::Timestamp;
use domain::trouble::rules::JournalUse;

use crate::SqliteStore;
use crate::rows::JournalRow;

impl SqliteStore {
    /// Returns the id of the channel, empty for all, and the settings.
    pub(super) async fn settings_rows(&self) -> Result<Vec<(String, String)>, sqlx::Error> {
        let rows = sqlx::query!(
            r#"select channel_id, settings
               from trouble_settings
               order by channel_id"#
        );
        let rows = rows.fetch_all(&self.readers).await?;
        let rows = rows.into_iter();
        Ok(rows.map(|row| (row.channel_id, row.settings)).collect())
    }

    pub(super) async fn try_set_settings(
        &self,
        channel_id: &str,
        settings: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        match settings {
            Some(settings) => {
                sqlx::query!(
                    "insert into trouble_settings (channel_id, settings)
                     values (?1, ?2)
                     on conflict (channel_id) do update set settings = excluded.settings",
                    channel_id,
                    settings,
                )
                .execute(&mut *write)
                .await?;
            }
            None => {
                sqlx::query!(
                    "delete from trouble_settings where channel_id = ?1",
                    channel_id
                )
                .execute(&mut *write)
                .await?;
            }
        }
        write.commit().await
    }

    pub(super) async fn upsert_journal(&self, journal: &JournalUse) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into receiver_journals (receiver, entries, since, last_used_at)
             values (?1, ?2, ?3, ?4)
             on conflict (receiver) do update set
                 entries = excluded.entries, since = excluded.since,
                 last_used_at = excluded.last_used_at",
            journal.receiver,
            i64::try_from(journal.entries).unwrap_or(i64::MAX),
            journal.since.unix_micros(),
            journal.last_used_at.unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    pub(super) async fn journal_rows(
        &self,
        since: Timestamp,
    ) -> Result<Vec<JournalRow>, sqlx::Error> {
        sqlx::query_as!(
            JournalRow,
            "select receiver, entries, since, last_used_at
             from receiver_journals
             where last_used_at >= ?1
             order by receiver",
            since.unix_micros(),
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn try_prune_troubles(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, sqlx::Error> {
        let (before, limit) = (before.unix_micros(), i64::from(limit.get()));
        let mut write = self.begin().await?;
        let troubles = sqlx::query!(
            "delete from troubles where id in (
                 select id from troubles where resolved_at < ?1 order by resolved_at limit ?2
             )",
            before,
            limit,
        )
        .execute(&mut *write)
        .await?;
        let events = sqlx::query!(
            "delete from operator_events where sequence in (
                 select sequence from operator_events where at < ?1 order by at limit ?2
             )",
            before,
            limit,
        )
        .execute(&mut *write)
        .await?;
        let journals = sqlx::query!(
            "delete from receiver_journals where receiver in (
                 select receiver from receiver_journals where last_used_at < ?1 limit ?2
             )",
            before,
            limit,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(troubles.rows_affected() + events.rows_affected() + journals.rows_affected())
    }
}
