//! Making room: messages that have been kept for long enough, by walks that remember where
//! they stand.

use std::num::NonZeroU32;

use domain::{RetentionDays, Timestamp};
use ports::maintenance::Pruning;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::PostgresStore;

/// What a step goes by.
#[derive(Clone, Copy)]
struct Step {
    now: OffsetDateTime,
    /// For how many days the service keeps messages.
    keep_days: i32,
    budget: i64,
}

/// A walk through all messages.
struct Walk {
    begun_at: OffsetDateTime,
    /// It is over, and it is time for the next one.
    finished: bool,
    /// The message that was looked at last; none at the beginning.
    after_first_reported_at: Option<OffsetDateTime>,
    after_channel_id: Option<String>,
    after_sid: Option<Vec<u8>>,
}

/// A walk through the messages of a channel.
struct ChannelWalk {
    channel_id: String,
    keep_days: i32,
    begun_at: OffsetDateTime,
    after_sid: Vec<u8>,
}

/// What one look has found, and the last message of it.
struct Looked {
    first_reported_at: OffsetDateTime,
    channel_id: String,
    sid: Vec<u8>,
    count: i64,
    gone: i64,
}

impl PostgresStore {
    /// Goes on with the walk through all messages, or else with one through the messages of
    /// a channel. The row of the walk is locked meanwhile: whoever takes a step at the same
    /// time finds another walk, or none.
    pub(crate) async fn try_prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, sqlx::Error> {
        let step = Step {
            now: now.to_date_time(),
            keep_days: keep.get().into(),
            budget: budget.get().into(),
        };
        let mut transaction = self.pool.begin().await?;
        let gone = if let Some(walk) = take_walk(&mut transaction, step).await? {
            Some(go_on(&mut transaction, step, walk).await?)
        } else if let Some(walk) = take_channel_walk(&mut transaction, step).await? {
            Some(go_on_with_channel(&mut transaction, step, walk).await?)
        } else {
            None
        };
        transaction.commit().await?;
        Ok(Pruning {
            rows: gone.map_or(0, i64::unsigned_abs),
            days: 0,
            done: gone.is_none(),
        })
    }
}

/// The walk through all messages, if it is under way or to be begun, and nobody else's.
async fn take_walk(connection: &mut PgConnection, step: Step) -> Result<Option<Walk>, sqlx::Error> {
    sqlx::query!(
        "insert into message_sweeps (keep_days, begun_at)
         values ($1, $2)
         on conflict (keep_days) do nothing",
        step.keep_days,
        step.now,
    )
    .execute(&mut *connection)
    .await?;
    let walk = sqlx::query_as!(
        Walk,
        "select begun_at, finished, after_first_reported_at, after_channel_id, after_sid
         from message_sweeps
         where keep_days = $1
             and (not finished or begun_at <= $2::timestamptz - interval '24 hours' or begun_at > $2)
         for update skip locked",
        step.keep_days,
        step.now,
    )
    .fetch_optional(connection)
    .await?;
    Ok(walk.map(|walk| {
        if walk.finished {
            Walk {
                begun_at: step.now,
                finished: false,
                after_first_reported_at: None,
                after_channel_id: None,
                after_sid: None,
            }
        } else {
            walk
        }
    }))
}

/// Looks at the next messages, the one first heard of first. How many of them it removed.
async fn go_on(connection: &mut PgConnection, step: Step, walk: Walk) -> Result<i64, sqlx::Error> {
    let looked = look_at_messages(connection, step, &walk).await?;
    let finished = looked.as_ref().is_none_or(|it| it.count < step.budget);
    let gone = looked.as_ref().map_or(0, |it| it.gone);
    sqlx::query!(
        "update message_sweeps
         set begun_at = $2, finished = $3, after_first_reported_at = $4, after_channel_id = $5,
             after_sid = $6
         where keep_days = $1",
        step.keep_days,
        walk.begun_at,
        finished,
        looked.as_ref().map(|it| it.first_reported_at),
        looked.as_ref().map(|it| &*it.channel_id),
        looked.as_ref().map(|it| &*it.sid),
    )
    .execute(connection)
    .await?;
    Ok(gone)
}

/// Messages are looked at and then locked. What has changed between the two, since it was
/// just reported on, is looked at again by the conditions that stand beside the lock; what is
/// being reported on is passed over.
///
/// A message that is heard of at an earlier time meanwhile may move to where this walk has
/// been; the next one finds it.
async fn look_at_messages(
    connection: &mut PgConnection,
    step: Step,
    walk: &Walk,
) -> Result<Option<Looked>, sqlx::Error> {
    // `greatest` takes no notice of a channel that has no time of its own.
    sqlx::query_as!(
        Looked,
        r#"with looked as materialized (
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
           last as (
               select first_reported_at, channel_id, sid
               from looked
               order by first_reported_at desc, channel_id desc, sid desc
               limit 1
           ),
           old as (
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
           gone as (
               delete from messages as message
               using old
               where message.channel_id = old.channel_id and message.sid = old.sid
               returning 1
           )
           select first_reported_at, channel_id, sid, (select count(*) from looked) as "count!",
               (select count(*) from gone) as "gone!"
           from last"#,
        walk.after_first_reported_at,
        walk.after_channel_id,
        walk.after_sid,
        step.budget,
        step.now,
        step.keep_days,
    )
    .fetch_optional(connection)
    .await
}

/// A walk through the messages of a channel that keeps them for a shorter time than the
/// service does, if there is one under way or to be begun, and nobody else's.
async fn take_channel_walk(
    connection: &mut PgConnection,
    step: Step,
) -> Result<Option<ChannelWalk>, sqlx::Error> {
    // A channel that is being changed or removed has its turn later.
    sqlx::query!(
        "insert into channel_sweeps (channel_id, keep_days, begun_at)
         select channel.id, channel.keep_messages_days, $2
         from channels as channel
         where channel.keep_messages_days < $1
             and not exists (
                 select from channel_sweeps as sweep where sweep.channel_id = channel.id
             )
         order by channel.id
         for key share of channel skip locked
         on conflict (channel_id) do nothing",
        step.keep_days,
        step.now,
    )
    .execute(&mut *connection)
    .await?;
    let walk = sqlx::query!(
        r#"select sweep.channel_id, channel.keep_messages_days as "keep_days!", sweep.begun_at,
               sweep.after_sid,
               (sweep.finished or sweep.keep_days <> channel.keep_messages_days) as "anew!"
           from channel_sweeps as sweep
           join channels as channel on channel.id = sweep.channel_id
           where channel.keep_messages_days < $1
               and (
                   not sweep.finished
                   or sweep.keep_days <> channel.keep_messages_days
                   or sweep.begun_at <= $2::timestamptz - interval '24 hours'
                   or sweep.begun_at > $2
               )
           order by sweep.begun_at, sweep.channel_id
           limit 1
           for update of sweep skip locked"#,
        step.keep_days,
        step.now,
    )
    .fetch_optional(connection)
    .await?;
    Ok(walk.map(|walk| ChannelWalk {
        channel_id: walk.channel_id,
        keep_days: walk.keep_days,
        begun_at: if walk.anew { step.now } else { walk.begun_at },
        after_sid: if walk.anew {
            Vec::new()
        } else {
            walk.after_sid
        },
    }))
}

/// Looks at the next messages of a channel, and removes what is old, as [`look_at_messages`]
/// does. How many of them it removed.
async fn go_on_with_channel(
    connection: &mut PgConnection,
    step: Step,
    walk: ChannelWalk,
) -> Result<i64, sqlx::Error> {
    let looked = sqlx::query!(
        r#"with looked as materialized (
               select sid
               from messages
               where channel_id = $1 and sid > $2
               order by sid
               limit $3
           ),
           last as (
               select sid from looked order by sid desc limit 1
           ),
           old as (
               select message.channel_id, message.sid
               from messages as message
               where message.channel_id = $1
                   and message.sid > $2
                   and message.sid <= (select sid from last)
                   and message.last_reported_at
                       < $4::timestamptz - $5::integer * interval '24 hours'
                   and not exists (
                       select from unnest(message.report_ids) as id
                       where id > (select pruned_through from report_log)
                   )
               for update skip locked
           ),
           gone as (
               delete from messages as message
               using old
               where message.channel_id = old.channel_id and message.sid = old.sid
               returning 1
           )
           select sid, (select count(*) from looked) as "count!",
               (select count(*) from gone) as "gone!"
           from last"#,
        walk.channel_id,
        walk.after_sid,
        step.budget,
        step.now,
        walk.keep_days,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let finished = looked.as_ref().is_none_or(|it| it.count < step.budget);
    let gone = looked.as_ref().map_or(0, |it| it.gone);
    sqlx::query!(
        "update channel_sweeps
         set keep_days = $2, begun_at = $3, finished = $4, after_sid = $5
         where channel_id = $1",
        walk.channel_id,
        walk.keep_days,
        walk.begun_at,
        finished,
        looked.map_or(walk.after_sid, |it| it.sid),
    )
    .execute(connection)
    .await?;
    Ok(gone)
}
