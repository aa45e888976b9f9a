//! Leasing the evaluation of the rules, and saving what it changed.

use std::time::Duration;

use domain::trouble::{OperatorEvent, Trouble};
use domain::{ChannelId, Timestamp};
use ports::subscriptions::LEASE_MAX;
use ports::troubles::{EvaluationLease, TroubleChanges};
use sqlx::PgConnection;

use crate::PostgresStore;

impl PostgresStore {
    /// Returns the token; `None` if another holder has the lease.
    pub(super) async fn try_lease_evaluation(
        &self,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar!(
            "update trouble_evaluation
             set token = case when holder = $1 then token else token + 1 end,
                 holder = $1,
                 free_at = now() + make_interval(secs => $2)
             where holder is null or holder = $1 or free_at <= now()
                 -- A time further ahead than any lease lasts was written before the clock was
                 -- set back.
                 or free_at > now() + make_interval(secs => $3)
             returning token",
            holder,
            lease.as_secs_f64(),
            LEASE_MAX.as_secs_f64(),
        )
        .fetch_optional(&self.pool)
        .await
    }

    pub(super) async fn try_save_troubles(
        &self,
        lease: &EvaluationLease,
        changes: &TroubleChanges,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let token = sqlx::query_scalar!("select token from trouble_evaluation for update")
            .fetch_one(&mut *transaction)
            .await?;
        if token != lease.token {
            return Ok(false);
        }
        save(&mut transaction, changes).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

async fn save(connection: &mut PgConnection, changes: &TroubleChanges) -> Result<(), sqlx::Error> {
    for id in &changes.dropped {
        sqlx::query!("delete from troubles where id = $1", id.0)
            .execute(&mut *connection)
            .await?;
    }
    for trouble in &changes.saved {
        save_trouble(connection, trouble).await?;
    }
    for event in &changes.events {
        insert_event(connection, event).await?;
    }
    Ok(())
}

async fn save_trouble(connection: &mut PgConnection, trouble: &Trouble) -> Result<(), sqlx::Error> {
    let (key, state, snooze) = (&trouble.key, trouble.state, trouble.snooze.as_ref());
    sqlx::query!(
        // An operator may have changed the snooze since the trouble was read.
        "insert into troubles (
             id, kind, subject, channel_id, state, since, seen, judged_at, opened_at, resolved_at,
             notices, noticed_at, snoozed_until, snooze_reason, snoozed_by
         )
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         on conflict (id) do update set
             state = excluded.state, since = excluded.since, seen = excluded.seen,
             judged_at = excluded.judged_at, opened_at = excluded.opened_at,
             resolved_at = excluded.resolved_at, notices = excluded.notices,
             noticed_at = excluded.noticed_at",
        trouble.id.0,
        key.kind.as_str(),
        key.subject.to_string(),
        key.subject.channel().map(ChannelId::as_str),
        state.as_str(),
        trouble.finding.since.to_date_time(),
        trouble.finding.seen,
        trouble.judged.to_date_time(),
        state.opened_at().map(Timestamp::to_date_time),
        state.resolved_at().map(Timestamp::to_date_time),
        i32::try_from(trouble.notices.count).unwrap_or(i32::MAX),
        trouble.notices.last_at.map(Timestamp::to_date_time),
        snooze.map(|snooze| snooze.until.to_date_time()),
        snooze.map(|snooze| snooze.reason.as_str()),
        snooze.map(|snooze| snooze.by.as_str()),
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_event(
    connection: &mut PgConnection,
    event: &OperatorEvent,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into operator_events (id, event_type, channel_id, at, body)
         values ($1, $2, $3, $4, $5)",
        event.id.0,
        event.event_type.as_str(),
        event.channel.as_ref().map(ChannelId::as_str),
        event.at.to_date_time(),
        event.body,
    )
    .execute(connection)
    .await
    .map(drop)
}
