//! Retention of messages: the statements of the scans of [`sql_rows::retention`].

use std::num::NonZeroU32;

use domain::retention_days::DAY_MICROS;
use domain::{RetentionDays, Timestamp};
use ports::maintenance::Pruning;
use sql_rows::retention::{
    MessageScan, ScanCursor, ScanScope, ScanStatements, ScanStep, ScannedPage, step,
};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::json;
use crate::reports::aliases;

impl SqliteStore {
    pub(crate) async fn try_prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, sqlx::Error> {
        let mut write = self.begin().await?;
        let mut statements = Statements(&mut write);
        let pruning = step(&mut statements, ScanStep { now, keep, budget }).await?;
        write.commit().await?;
        Ok(pruning)
    }
}

/// Statements of one transaction.
struct Statements<'c>(&'c mut SqliteConnection);

impl ScanStatements for Statements<'_> {
    type Time = i64;

    async fn claim(&mut self, step: ScanStep) -> Result<Option<MessageScan<i64>>, sqlx::Error> {
        match self.claim_all_channels(step).await? {
            Some(scan) => Ok(Some(scan)),
            None => self.claim_channel(step).await,
        }
    }

    async fn prune(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<i64>,
    ) -> Result<ScannedPage<i64>, sqlx::Error> {
        match &scan.scope {
            ScanScope::AllChannels => self.prune_all_channels(step, scan).await,
            ScanScope::Channel(channel) => self.prune_channel(step, scan, channel).await,
        }
    }

    async fn save(
        &mut self,
        step: ScanStep,
        scan: MessageScan<i64>,
        finished: bool,
    ) -> Result<(), sqlx::Error> {
        let cursor = scan.cursor;
        match scan.scope {
            ScanScope::AllChannels => sqlx::query!(
                "update message_scans
                 set started_at = ?2, finished = ?3, after_first_reported_at = ?4,
                     after_channel_id = ?5, after_sid = ?6
                 where keep_days = ?1",
                step.keep.get(),
                scan.started_at,
                finished,
                cursor.first_reported_at,
                cursor.channel_id,
                cursor.sid,
            ),
            ScanScope::Channel(channel) => sqlx::query!(
                "update channel_scans
                 set keep_days = ?2, started_at = ?3, finished = ?4, after_sid = ?5
                 where channel_id = ?1",
                channel,
                scan.keep_days,
                scan.started_at,
                finished,
                cursor.sid.unwrap_or_default(),
            ),
        }
        .execute(&mut *self.0)
        .await
        .map(drop)
    }
}

impl Statements<'_> {
    async fn claim_all_channels(
        &mut self,
        step: ScanStep,
    ) -> Result<Option<MessageScan<i64>>, sqlx::Error> {
        let (now, keep_days) = (step.now.unix_micros(), step.keep.get());
        sqlx::query!(
            "insert into message_scans (keep_days, started_at)
             values (?, ?)
             on conflict (keep_days) do nothing",
            keep_days,
            now,
        )
        .execute(&mut *self.0)
        .await?;
        let scan = sqlx::query!(
            r#"select started_at, finished as "finished: bool", after_first_reported_at,
                   after_channel_id, after_sid
               from message_scans
               where keep_days = ?1 and (not finished or started_at <= ?2 or started_at > ?3)"#,
            keep_days,
            now.saturating_sub(DAY_MICROS),
            now,
        )
        .fetch_optional(&mut *self.0)
        .await?;
        Ok(scan.map(|scan| {
            let resumed = ScanCursor {
                first_reported_at: scan.after_first_reported_at,
                channel_id: scan.after_channel_id,
                sid: scan.after_sid,
            };
            MessageScan {
                scope: ScanScope::AllChannels,
                keep_days: keep_days.into(),
                started_at: if scan.finished { now } else { scan.started_at },
                cursor: Some(resumed).filter(|_| !scan.finished).unwrap_or_default(),
            }
        }))
    }

    async fn claim_channel(
        &mut self,
        step: ScanStep,
    ) -> Result<Option<MessageScan<i64>>, sqlx::Error> {
        let (now, keep_days) = (step.now.unix_micros(), step.keep.get());
        sqlx::query!(
            "insert into channel_scans (channel_id, keep_days, started_at)
             select id, keep_messages_days, ?2
             from channels
             where keep_messages_days < ?1
             on conflict (channel_id) do nothing",
            keep_days,
            now,
        )
        .execute(&mut *self.0)
        .await?;
        let scan = sqlx::query!(
            r#"select scan.channel_id, channel.keep_messages_days as "keep_days!",
                   scan.started_at, scan.after_sid,
                   (scan.finished or scan.keep_days <> channel.keep_messages_days)
                       as "restart!: bool"
               from channel_scans as scan
               join channels as channel on channel.id = scan.channel_id
               where channel.keep_messages_days < ?1
                   and (
                       not scan.finished
                       or scan.keep_days <> channel.keep_messages_days
                       or scan.started_at <= ?2
                       or scan.started_at > ?3
                   )
               order by scan.started_at, scan.channel_id
               limit 1"#,
            keep_days,
            now.saturating_sub(DAY_MICROS),
            now,
        )
        .fetch_optional(&mut *self.0)
        .await?;
        Ok(scan.map(|scan| MessageScan {
            scope: ScanScope::Channel(scan.channel_id),
            keep_days: scan.keep_days,
            started_at: if scan.restart { now } else { scan.started_at },
            cursor: ScanCursor {
                sid: Some(scan.after_sid).filter(|_| !scan.restart),
                ..ScanCursor::default()
            },
        }))
    }

    /// A message whose first report turns out to be earlier may move behind the cursor: the next
    /// scan finds it.
    async fn prune_all_channels(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<i64>,
    ) -> Result<ScannedPage<i64>, sqlx::Error> {
        let (now, keep_days) = (step.now.unix_micros(), step.keep.get());
        let cursor = &scan.cursor;
        let from = cursor.first_reported_at.unwrap_or(i64::MIN);
        let examined = sqlx::query!(
            "select first_reported_at, channel_id, sid
             from messages
             where first_reported_at >= ?1
                 and first_reported_at < ?5
                 and (?2 is null or first_reported_at > ?1 or (channel_id, sid) > (?2, ?3))
             order by first_reported_at, channel_id, sid
             limit ?4",
            from,
            cursor.channel_id,
            cursor.sid,
            step.budget.get(),
            now.saturating_sub(i64::from(keep_days) * DAY_MICROS),
        )
        .fetch_all(&mut *self.0)
        .await?;
        let Some(last) = examined.last() else {
            return Ok(ScannedPage::empty(scan));
        };
        let removed = sqlx::query!(
            "delete from messages
             where rowid in (
                 select message.rowid
                 from messages as message
                 left join channels as channel on channel.id = message.channel_id
                 where message.first_reported_at >= ?1
                     and (
                         ?2 is null
                         or message.first_reported_at > ?1
                         or (message.channel_id, message.sid) > (?2, ?3)
                     )
                     and message.first_reported_at <= ?4
                     and (
                         message.first_reported_at < ?4
                         or (message.channel_id, message.sid) <= (?5, ?6)
                     )
                     and message.last_reported_at
                         < ?7 - max(?8, coalesce(channel.keep_messages_days, 0)) * ?9
                     and not exists (
                         select 1
                         from json_each(message.report_ids) as report
                         where report.value > (select pruned_through from report_log)
                     )
             )",
            from,
            cursor.channel_id,
            cursor.sid,
            last.first_reported_at,
            last.channel_id,
            last.sid,
            now,
            keep_days,
            DAY_MICROS,
        )
        .execute(&mut *self.0)
        .await?;
        let keys = examined.iter();
        let keys = keys.map(|row| (row.channel_id.as_str(), json::hex(&row.sid)));
        aliases::remove_of_missing(&mut *self.0, &json::array(keys)).await?;
        Ok(ScannedPage {
            cursor: ScanCursor {
                first_reported_at: Some(last.first_reported_at),
                channel_id: Some(last.channel_id.clone()),
                sid: Some(last.sid.clone()),
            },
            examined: i64::try_from(examined.len()).unwrap_or(i64::MAX),
            removed: removed.rows_affected(),
        })
    }

    /// Does the same for the messages of one channel, by message id.
    async fn prune_channel(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<i64>,
        channel: &str,
    ) -> Result<ScannedPage<i64>, sqlx::Error> {
        let after = scan.cursor.sid.as_deref().unwrap_or_default();
        let examined = sqlx::query_scalar!(
            "select sid from messages where channel_id = ? and sid > ? order by sid limit ?",
            channel,
            after,
            step.budget.get(),
        )
        .fetch_all(&mut *self.0)
        .await?;
        let Some(last) = examined.last() else {
            return Ok(ScannedPage::empty(scan));
        };
        let keep = scan.keep_days * DAY_MICROS;
        let removed = sqlx::query!(
            "delete from messages
             where channel_id = ?1
                 and sid > ?2
                 and sid <= ?3
                 and last_reported_at < ?4
                 and not exists (
                     select 1
                     from json_each(report_ids) as report
                     where report.value > (select pruned_through from report_log)
                 )",
            channel,
            after,
            last,
            step.now.unix_micros().saturating_sub(keep),
        )
        .execute(&mut *self.0)
        .await?;
        let keys = examined.iter().map(|sid| (channel, json::hex(sid)));
        aliases::remove_of_missing(&mut *self.0, &json::array(keys)).await?;
        Ok(ScannedPage {
            cursor: ScanCursor {
                sid: Some(last.clone()),
                ..ScanCursor::default()
            },
            examined: i64::try_from(examined.len()).unwrap_or(i64::MAX),
            removed: removed.rows_affected(),
        })
    }
}
