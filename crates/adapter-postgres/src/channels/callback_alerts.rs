//! Alerts of the integrator that it could not deliver a report.

use std::num::NonZeroU16;

use domain::reconciliation::{CALLBACK_ALERTS_KEPT, CallbackAlert, latest_alerts};
use domain::{ChannelId, Timestamp};

use crate::PostgresStore;
use crate::rows::{CallbackAlertCountRow, CallbackAlertRow};

impl PostgresStore {
    /// Upserts alerts in the order of their keys, so that racing calls do not wait for each other
    /// in a circle, and removes those beyond the limit of each channel.
    pub(super) async fn try_add_callback_alerts(
        &self,
        alerts: &[CallbackAlert],
    ) -> Result<(), sqlx::Error> {
        let alerts = latest_alerts(alerts);
        if alerts.is_empty() {
            return Ok(());
        }
        let channels: Vec<_> = alerts.iter().map(|it| it.channel.to_string()).collect();
        let sids: Vec<_> = alerts.iter().map(|it| it.sid.to_compact()).collect();
        let codes: Vec<_> = alerts.iter().map(|it| it.code.to_string()).collect();
        let times = alerts.iter().map(|it| it.alerted_at.to_date_time());
        let times: Vec<_> = times.collect();
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "insert into callback_alerts (channel_id, sid, code, alerted_at)
             select channels.id, new.sid, new.code, new.alerted_at
             from unnest($1::text[], $2::bytea[], $3::text[], $4::timestamptz[])
                 as new (channel_id, sid, code, alerted_at)
             join channels on channels.id = new.channel_id
             order by channels.id, new.sid
             -- Locked, so that the channel is not removed meanwhile.
             for key share of channels
             on conflict (channel_id, sid) do update set
                 code = case
                     when excluded.alerted_at >= callback_alerts.alerted_at then excluded.code
                     else callback_alerts.code
                 end,
                 alerted_at = greatest(excluded.alerted_at, callback_alerts.alerted_at),
                 looked_up = false",
            &channels,
            &sids,
            &codes,
            &times,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "with surplus as materialized (
                 -- Per channel, the newest alert beyond the limit.
                 select batch.channel_id, through.alerted_at, through.sid
                 from (select distinct unnest($1::text[]) as channel_id) as batch
                 cross join lateral (
                     select alerted_at, sid from callback_alerts as kept
                     where kept.channel_id = batch.channel_id
                     order by alerted_at desc, sid desc
                     offset $2
                     limit 1
                 ) as through
             ),
             removed as materialized (
                 -- That one and the older ones. A racing call that holds one removes it, or has made
                 -- it the newest.
                 select kept.channel_id, kept.sid
                 from surplus
                 join callback_alerts as kept on kept.channel_id = surplus.channel_id
                     and (kept.alerted_at, kept.sid) <= (surplus.alerted_at, surplus.sid)
                 for update of kept skip locked
             )
             delete from callback_alerts
             using removed
             where callback_alerts.channel_id = removed.channel_id
                 and callback_alerts.sid = removed.sid",
            &channels,
            i64::from(CALLBACK_ALERTS_KEPT),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    pub(super) async fn channel_ids_with_due_alerts(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar!(
            "select channel_id
             from reconciliations
             where exists (
                 select from callback_alerts as due
                 where due.channel_id = reconciliations.channel_id and not due.looked_up
             )
             order by channel_id",
        )
        .fetch_all(&self.pool)
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
             where channel_id = $1 and not looked_up
             order by alerted_at, sid
             limit $2",
            channel.as_str(),
            i64::from(limit.get()),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn try_mark_alerts(
        &self,
        alerts: &[CallbackAlert],
    ) -> Result<(), sqlx::Error> {
        let channels: Vec<_> = alerts.iter().map(|it| it.channel.to_string()).collect();
        let sids: Vec<_> = alerts.iter().map(|it| it.sid.to_compact()).collect();
        let times = alerts.iter().map(|it| it.alerted_at.to_date_time());
        let times: Vec<_> = times.collect();
        sqlx::query!(
            "with marked as materialized (
                 -- Locked in the order in which alerts are added.
                 select stored.channel_id, stored.sid
                 from unnest($1::text[], $2::bytea[], $3::timestamptz[])
                     as done (channel_id, sid, alerted_at)
                 join callback_alerts as stored using (channel_id, sid, alerted_at)
                 order by stored.channel_id, stored.sid
                 for update of stored
             )
             update callback_alerts
             set looked_up = true
             from marked
             where callback_alerts.channel_id = marked.channel_id
                 and callback_alerts.sid = marked.sid",
            &channels,
            &sids,
            &times,
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(super) async fn alert_count_rows(
        &self,
        channel: &ChannelId,
        since: Timestamp,
    ) -> Result<Vec<CallbackAlertCountRow>, sqlx::Error> {
        sqlx::query_as!(
            CallbackAlertCountRow,
            r#"select code, count(*) as "messages!", min(alerted_at) as "first_at!",
                   (array_agg(sid order by alerted_at desc, sid desc))[1] as "newest!",
                   max(alerted_at) as "newest_at!"
               from callback_alerts
               where channel_id = $1 and alerted_at >= $2
               group by code
               order by count(*) desc, max(alerted_at) desc, code"#,
            channel.as_str(),
            since.to_date_time(),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn try_prune_alerts(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, sqlx::Error> {
        let pruned = sqlx::query!(
            "with old as materialized (
                 -- One that is locked was alerted again, or another process prunes it.
                 select channel_id, sid
                 from callback_alerts
                 where alerted_at < $1
                 limit $2
                 for update skip locked
             )
             delete from callback_alerts
             using old
             where callback_alerts.channel_id = old.channel_id
                 and callback_alerts.sid = old.sid",
            before.to_date_time(),
            i64::from(limit.get()),
        )
        .execute(&self.pool)
        .await?;
        Ok(pruned.rows_affected())
    }
}
