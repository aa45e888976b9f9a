//! Alerts of the integrator that it could not deliver a report.

use std::num::NonZeroU16;

use domain::reconciliation::{CALLBACK_ALERTS_KEPT, CallbackAlert, latest_alerts};
use domain::{ChannelId, Timestamp};

use crate::SqliteStore;
use crate::json;
use crate::rows::{CallbackAlertCountRow, CallbackAlertRow};

impl SqliteStore {
    /// Upserts alerts, and removes those beyond the limit of each channel.
    pub(super) async fn try_add_callback_alerts(
        &self,
        alerts: &[CallbackAlert],
    ) -> Result<(), sqlx::Error> {
        let alerts = latest_alerts(alerts);
        if alerts.is_empty() {
            return Ok(());
        }
        let new = json::array(alerts.iter().map(|it| {
            let sid = json::hex(&it.sid.to_compact());
            let at = it.alerted_at.unix_micros();
            (it.channel.as_str(), sid, it.code.as_str(), at)
        }));
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into callback_alerts (channel_id, sid, code, alerted_at)
             select channels.id, unhex(new.value ->> 1), new.value ->> 2, new.value ->> 3
             from json_each(?) as new
             join channels on channels.id = new.value ->> 0
             where true
             on conflict (channel_id, sid) do update set
                 code = case
                     when excluded.alerted_at >= callback_alerts.alerted_at then excluded.code
                     else callback_alerts.code
                 end,
                 alerted_at = max(excluded.alerted_at, callback_alerts.alerted_at),
                 looked_up = 0",
            new,
        )
        .execute(&mut *write)
        .await?;
        let mut channels: Vec<_> = alerts.iter().map(|it| it.channel.as_str()).collect();
        channels.dedup();
        for channel in channels {
            sqlx::query!(
                "delete from callback_alerts
                 where channel_id = ?1 and (alerted_at, sid) <= (
                     select alerted_at, sid from callback_alerts
                     where channel_id = ?1
                     order by alerted_at desc, sid desc
                     limit 1 offset ?2
                 )",
                channel,
                CALLBACK_ALERTS_KEPT,
            )
            .execute(&mut *write)
            .await?;
        }
        write.commit().await
    }

    pub(super) async fn channel_ids_with_due_alerts(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar!(
            "select channel_id
             from reconciliations
             where exists (
                 select 1 from callback_alerts as due
                 where due.channel_id = reconciliations.channel_id and due.looked_up = 0
             )
             order by channel_id",
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn due_alert_rows(
        &self,
        channel: &ChannelId,
        limit: NonZeroU16,
    ) -> Result<Vec<CallbackAlertRow>, sqlx::Error> {
        sqlx::query_as!(
            CallbackAlertRow,
            "select channel_id, sid, code, alerted_at
             from callback_alerts
             where channel_id = ? and looked_up = 0
             order by alerted_at, sid
             limit ?",
            channel.as_str(),
            i64::from(limit.get()),
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn try_mark_alerts(
        &self,
        alerts: &[CallbackAlert],
    ) -> Result<(), sqlx::Error> {
        let done = json::array(alerts.iter().map(|it| {
            let sid = json::hex(&it.sid.to_compact());
            (it.channel.as_str(), sid, it.alerted_at.unix_micros())
        }));
        let mut write = self.begin().await?;
        sqlx::query!(
            "update callback_alerts
             set looked_up = 1
             from json_each(?) as done
             where callback_alerts.channel_id = done.value ->> 0
                 and callback_alerts.sid = unhex(done.value ->> 1)
                 and callback_alerts.alerted_at = done.value ->> 2",
            done,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    pub(super) async fn alert_count_rows(
        &self,
        channel: &ChannelId,
        since: Timestamp,
    ) -> Result<Vec<CallbackAlertCountRow>, sqlx::Error> {
        sqlx::query_as!(
            CallbackAlertCountRow,
            r#"with recent as (
                   -- Numbered within their code from the newest one.
                   select code, sid, alerted_at, row_number() over (
                       partition by code order by alerted_at desc, sid desc
                   ) as place
                   from callback_alerts
                   where channel_id = ? and alerted_at >= ?
               )
               select code as "code!", count(*) as "messages!: i64", min(alerted_at) as "first_at!: i64",
                   max(case when place = 1 then sid end) as "newest!: Vec<u8>",
                   max(alerted_at) as "newest_at!: i64"
               from recent
               group by code
               order by count(*) desc, max(alerted_at) desc, code"#,
            channel.as_str(),
            since.unix_micros(),
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn try_prune_alerts(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        let pruned = sqlx::query!(
            "delete from callback_alerts
             where rowid in (select rowid from callback_alerts where alerted_at < ? limit ?)",
            before.unix_micros(),
            i64::from(limit.get()),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(pruned.rows_affected())
    }
}
