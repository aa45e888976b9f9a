//! Reading troubles, and snoozing them.

use domain::page::PageSize;
use domain::trouble::{Snooze, TroubleId};
use domain::{ChannelId, Timestamp};
use ports::troubles::TroubleFilter;

use crate::PostgresStore;
use crate::rows::TroubleRow;

impl PostgresStore {
    pub(super) async fn unresolved_rows(&self) -> Result<Vec<TroubleRow>, sqlx::Error> {
        sqlx::query_as!(
            TroubleRow,
            r#"select id, kind, subject, state, since, seen, judged_at, opened_at, resolved_at,
                 notices::bigint as "notices!", noticed_at, snoozed_until, snooze_reason, snoozed_by
               from troubles
               where state <> 'resolved'
               order by id"#,
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn snoozed_rows(
        &self,
        now: Timestamp,
    ) -> Result<Vec<TroubleRow>, sqlx::Error> {
        sqlx::query_as!(
            TroubleRow,
            r#"select id, kind, subject, state, since, seen, judged_at, opened_at, resolved_at,
                 notices::bigint as "notices!", noticed_at, snoozed_until, snooze_reason, snoozed_by
               from troubles
               where state = 'resolved' and snoozed_until > $1"#,
            now.to_date_time(),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn trouble_row(
        &self,
        id: TroubleId,
    ) -> Result<Option<TroubleRow>, sqlx::Error> {
        sqlx::query_as!(
            TroubleRow,
            r#"select id, kind, subject, state, since, seen, judged_at, opened_at, resolved_at,
                 notices::bigint as "notices!", noticed_at, snoozed_until, snooze_reason, snoozed_by
               from troubles
               where id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// Returns one row more than a page has, if there are as many.
    pub(super) async fn trouble_rows(
        &self,
        filter: &TroubleFilter,
        after: Option<TroubleId>,
        size: PageSize,
    ) -> Result<Vec<TroubleRow>, sqlx::Error> {
        sqlx::query_as!(
            TroubleRow,
            r#"select id, kind, subject, state, since, seen, judged_at, opened_at, resolved_at,
                 notices::bigint as "notices!", noticed_at, snoozed_until, snooze_reason, snoozed_by
               from troubles
               where state <> 'pending'
                   and ($1::uuid is null or id < $1)
                   and ($2::boolean is null or (state = 'resolved') = $2)
                   and ($3::text is null or channel_id = $3)
               order by id desc
               limit $4"#,
            after.map(|after| after.0),
            filter.resolved,
            filter.channel.as_ref().map(ChannelId::as_str),
            i64::from(size.get()) + 1,
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn update_snooze(
        &self,
        id: TroubleId,
        snooze: Option<&Snooze>,
    ) -> Result<bool, sqlx::Error> {
        let updated = sqlx::query!(
            "update troubles
             set snoozed_until = $2, snooze_reason = $3, snoozed_by = $4
             where id = $1 and state <> 'resolved'",
            id.0,
            snooze.map(|snooze| snooze.until.to_date_time()),
            snooze.map(|snooze| snooze.reason.as_str()),
            snooze.map(|snooze| snooze.by.as_str()),
        )
        .execute(&self.pool)
        .await?;
        Ok(updated.rows_affected() > 0)
    }
}
