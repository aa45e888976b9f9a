//! Leasing the evaluation of the rules, and saving what it changed.

use std::time::Duration;

use domain::trouble::{OperatorEvent, Trouble};
use domain::{ChannelId, Timestamp};
use ports::subscriptions::LEASE_MAX;
use ports::troubles::{EvaluationLease, TroubleChanges};
use sqlx::SqliteConnection;

use crate::SqliteStore;

impl SqliteStore {
    /// Returns the token; `None` if another holder has the lease.
    pub(super) async fn try_lease_evaluation(
        &self,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut write = self.begin().await?;
        let token = sqlx::query_scalar!(
            "update trouble_evaluation
             set token = case when holder = ?1 then token else token + 1 end,
                 holder = ?1,
                 free_at = (select now from clock) + ?2
             where holder is null or holder = ?1 or free_at <= (select now from clock)
                 -- A time further ahead than any lease lasts was written before the clock was
                 -- set back.
                 or free_at > (select now from clock) + ?3
             returning token",
            holder,
            micros(lease),
            micros(LEASE_MAX),
        )
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        Ok(token)
    }

    pub(super) async fn try_save_troubles(
        &self,
        lease: &EvaluationLease,
        changes: &TroubleChanges,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let token = sqlx::query_scalar!("select token from trouble_evaluation")
            .fetch_one(&mut *write)
            .await?;
        if token != lease.token {
            write.roll_back().await;
            return Ok(false);
        }
        save(&mut write, changes).await?;
        write.commit().await?;
        Ok(true)
    }
}

async fn save(
    connection: &mut SqliteConnection,
    changes: &TroubleChanges,
) -> Result<(), sqlx::Error> {
    for id in &changes.dropped {
        sqlx::query!("delete from troubles where id = ?1", id.0)
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

async fn save_trouble(
    connection: &mut SqliteConnection,
    trouble: &Trouble,
) -> Result<(), sqlx::Error> {
    let (key, state, snooze) = (&trouble.key, trouble.state, trouble.snooze.as_ref());
    sqlx::query!(
        // An operator may have changed the snooze since the trouble was read.
        "insert into troubles (
             id, kind, subject, channel_id, state, since, seen, judged_at, opened_at, resolved_at,
             notices, noticed_at, snoozed_until, snooze_reason, snoozed_by
         )
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
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
        trouble.finding.since.unix_micros(),
        trouble.finding.seen,
        trouble.judged.unix_micros(),
        state.opened_at().map(Timestamp::unix_micros),
        state.resolved_at().map(Timestamp::unix_micros),
        trouble.notices.count,
        trouble.notices.last_at.map(Timestamp::unix_micros),
        snooze.map(|snooze| snooze.until.unix_micros()),
        snooze.map(|snooze| snooze.reason.as_str()),
        snooze.map(|snooze| snooze.by.as_str()),
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_event(
    connection: &mut SqliteConnection,
    event: &OperatorEvent,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into operator_events (id, event_type, channel_id, at, body)
         values (?1, ?2, ?3, ?4, ?5)",
        event.id.0,
        event.event_type.as_str(),
        event.channel.as_ref().map(ChannelId::as_str),
        event.at.unix_micros(),
        event.body,
    )
    .execute(connection)
    .await
    .map(drop)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
