//! Retention of messages: the statements of the scans of [`sql_rows::retention`].

use std::num::NonZeroU32;

use domain::{RetentionDays, Timestamp};
use ports::maintenance::Pruning;
use sql_rows::retention::{
    MessageScan, ScanCursor, ScanScope, ScanStatements, ScanStep, ScannedPage, step,
};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::PostgresStore;

impl PostgresStore {
    pub(crate) async fn try_prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let mut statements = Statements(&mut transaction);
        let pruning = step(&mut statements, ScanStep { now, keep, budget }).await?;
        transaction.commit().await?;
        Ok(pruning)
    }
}

/// Statements of one transaction. It locks the row of its scan, so a concurrent step works on
/// another scan, or on none.
struct Statements<'c>(&'c mut PgConnection);

impl ScanStatements for Statements<'_> {
    type Time = OffsetDateTime;

    async fn claim(
        &mut self,
        step: ScanStep,
    ) -> Result<Option<MessageScan<OffsetDateTime>>, sqlx::Error> {
        match self.claim_all_channels(step).await? {
            Some(scan) => Ok(Some(scan)),
            None => self.claim_channel(step).await,
        }
    }

    async fn prune(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<OffsetDateTime>,
    ) -> Result<ScannedPage<OffsetDateTime>, sqlx::Error> {
        match &scan.scope {
            ScanScope::AllChannels => self.prune_all_channels(step, scan).await,
            ScanScope::Channel(channel) => self.prune_channel(step, scan, channel).await,
        }
    }

    async fn save(
        &mut self,
        step: ScanStep,
        scan: MessageScan<OffsetDateTime>,
        finished: bool,
    ) -> Result<(), sqlx::Error> {
        let cursor = scan.cursor;
        match scan.scope {
            ScanScope::AllChannels => sqlx::query!(
                "update message_scans
                 set started_at = $2, finished = $3, after_first_reported_at = $4,
                     after_channel_id = $5, after_sid = $6
                 where keep_days = $1",
                i32::from(step.keep.get()),
                scan.started_at,
                finished,
                cursor.first_reported_at,
                cursor.channel_id,
                cursor.sid,
            ),
            ScanScope::Channel(channel) => sqlx::query!(
                "update channel_scans
                 set keep_days = $2::bigint, started_at = $3, finished = $4, after_sid = $5
                 where channel_id = $1",
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
    ) -> Result<Option<MessageScan<OffsetDateTime>>, sqlx::Error> {
        let (now, keep_days) = (step.now.to_date_time(), i32::from(step.keep.get()));
        sqlx::query!(
            "insert into message_scans (keep_days, started_at)
             values ($1, $2)
             on conflict (keep_days) do nothing",
            keep_days,
            now,
        )
        .execute(&mut *self.0)
        .await?;
        let scan = sqlx::query!(
            "select started_at, finished, after_first_reported_at, after_channel_id, after_sid
             from message_scans
             where keep_days = $1
                 and (
                     not finished
                     or started_at <= $2::timestamptz - interval '24 hours'
                     or started_at > $2
                 )
             for update skip locked",
            keep_days,
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
    ) -> Result<Option<MessageScan<OffsetDateTime>>, sqlx::Error> {
        let (now, keep_days) = (step.now.to_date_time(), i32::from(step.keep.get()));
        // A channel that is being changed or removed is skipped until the next step.
        sqlx::query!(
            "insert into channel_scans (channel_id, keep_days, started_at)
             select channel.id, channel.keep_messages_days, $2
             from channels as channel
             where channel.keep_messages_days < $1
                 and not exists (
                     select from channel_scans as scan where scan.channel_id = channel.id
                 )
             order by channel.id
             for key share of channel skip locked
             on conflict (channel_id) do nothing",
            keep_days,
            now,
        )
        .execute(&mut *self.0)
        .await?;
        let scan = sqlx::query!(
            r#"select scan.channel_id, channel.keep_messages_days as "keep_days!: i64",
                   scan.started_at, scan.after_sid,
                   (scan.finished or scan.keep_days <> channel.keep_messages_days) as "restart!"
               from channel_scans as scan
               join channels as channel on channel.id = scan.channel_id
               where channel.keep_messages_days < $1
                   and (
                       not scan.finished
                       or scan.keep_days <> channel.keep_messages_days
                       or scan.started_at <= $2::timestamptz - interval '24 hours'
                       or scan.started_at > $2
                   )
               order by scan.started_at, scan.channel_id
               limit 1
               for update of scan skip locked"#,
            keep_days,
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

    /// Messages are examined first and then locked. The conditions beside the lock are checked
    /// again for a message that a report has changed meanwhile; one that a report is changing is
    /// skipped.
    ///
    /// A message whose first report turns out to be earlier may move behind the cursor: the next
    /// scan finds it.
    async fn prune_all_channels(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<OffsetDateTime>,
    ) -> Result<ScannedPage<OffsetDateTime>, sqlx::Error> {
        // `greatest` ignores the null of a channel without a retention of its own.
        let page = sqlx::query!(
            r#"with
               -- The messages after the cursor.
               examined as materialized (
                   select first_reported_at, channel_id, sid
                   from messages
                   where first_reported_at >= coalesce($1::timestamptz, '-infinity')
                       and first_reported_at < $5::timestamptz - $6::integer * interval '24 hours'
                       and (
                           $2::text is null
                           or (first_reported_at, channel_id, sid) > ($1, $2, $3)
                       )
                   order by first_reported_at, channel_id, sid
                   limit $4
               ),
               -- The next cursor.
               last as (
                   select first_reported_at, channel_id, sid
                   from examined
                   order by first_reported_at desc, channel_id desc, sid desc
                   limit 1
               ),
               -- Which of them have expired, locked.
               expired as (
                   select message.channel_id, message.sid
                   from messages as message
                   where message.first_reported_at >= coalesce($1, '-infinity')
                       and message.first_reported_at <= (select first_reported_at from last)
                       and (
                           $2 is null
                           or (message.first_reported_at, message.channel_id, message.sid)
                               > ($1, $2, $3)
                       )
                       and (message.first_reported_at, message.channel_id, message.sid)
                           <= (select first_reported_at, channel_id, sid from last)
                       and message.last_reported_at < $5 - greatest(
                           $6,
                           (
                               select channel.keep_messages_days
                               from channels as channel
                               where channel.id = message.channel_id
                           )
                       ) * interval '24 hours'
                       and not exists (
                           select from unnest(message.report_ids) as id
                           where id > (select pruned_through from report_log)
                       )
                   for update skip locked
               ),
               removed as (
                   delete from messages as message
                   using expired
                   where message.channel_id = expired.channel_id and message.sid = expired.sid
                   returning message.channel_id, message.sid
               ),
               unnamed as (
                   delete from message_aliases as other
                   using removed
                   where other.channel_id = removed.channel_id and other.sid = removed.sid
               )
               select first_reported_at, channel_id, sid,
                   (select count(*) from examined) as "examined!",
                   (select count(*) from removed) as "removed!"
               from last"#,
            scan.cursor.first_reported_at,
            scan.cursor.channel_id,
            scan.cursor.sid,
            i64::from(step.budget.get()),
            step.now.to_date_time(),
            i32::from(step.keep.get()),
        )
        .fetch_optional(&mut *self.0)
        .await?;
        Ok(page.map_or_else(
            || ScannedPage::empty(scan),
            |page| ScannedPage {
                cursor: ScanCursor {
                    first_reported_at: Some(page.first_reported_at),
                    channel_id: Some(page.channel_id),
                    sid: Some(page.sid),
                },
                examined: page.examined,
                removed: page.removed.unsigned_abs(),
            },
        ))
    }

    /// Does the same for the messages of one channel, by message id.
    async fn prune_channel(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<OffsetDateTime>,
        channel: &str,
    ) -> Result<ScannedPage<OffsetDateTime>, sqlx::Error> {
        let page = sqlx::query!(
            r#"with
               -- The messages after the cursor.
               examined as materialized (
                   select sid
                   from messages
                   where channel_id = $1 and sid > coalesce($2::bytea, '')
                   order by sid
                   limit $3
               ),
               -- The next cursor.
               last as (
                   select sid from examined order by sid desc limit 1
               ),
               -- Which of them have expired, locked.
               expired as (
                   select message.channel_id, message.sid
                   from messages as message
                   where message.channel_id = $1
                       and message.sid > coalesce($2, '')
                       and message.sid <= (select sid from last)
                       and message.last_reported_at
                           < $4::timestamptz - $5::bigint * interval '24 hours'
                       and not exists (
                           select from unnest(message.report_ids) as id
                           where id > (select pruned_through from report_log)
                       )
                   for update skip locked
               ),
               removed as (
                   delete from messages as message
                   using expired
                   where message.channel_id = expired.channel_id and message.sid = expired.sid
                   returning message.channel_id, message.sid
               ),
               unnamed as (
                   delete from message_aliases as other
                   using removed
                   where other.channel_id = removed.channel_id and other.sid = removed.sid
               )
               select sid, (select count(*) from examined) as "examined!",
                   (select count(*) from removed) as "removed!"
               from last"#,
            channel,
            scan.cursor.sid,
            i64::from(step.budget.get()),
            step.now.to_date_time(),
            scan.keep_days,
        )
        .fetch_optional(&mut *self.0)
        .await?;
        Ok(page.map_or_else(
            || ScannedPage::empty(scan),
            |page| ScannedPage {
                cursor: ScanCursor {
                    sid: Some(page.sid),
                    ..ScanCursor::default()
                },
                examined: page.examined,
                removed: page.removed.unsigned_abs(),
            },
        ))
    }
}
