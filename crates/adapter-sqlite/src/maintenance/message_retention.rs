//! Making room: messages that have been kept for long enough, by walks that remember where
//! they stand.

use std::num::NonZeroU32;

use domain::retention_days::DAY_MICROS;
use domain::{RetentionDays, Timestamp};
use ports::maintenance::Pruning;

use crate::SqliteStore;
use crate::connection::Write;

/// What a step goes by.
#[derive(Clone, Copy)]
struct Step {
    now: i64,
    /// For how many days the service keeps messages.
    keep_days: u16,
    budget: u32,
}

/// A walk through all messages.
struct Walk {
    begun_at: i64,
    /// It is over, and it is time for the next one.
    finished: bool,
    /// The message that was looked at last; none at the beginning.
    after_first_reported_at: Option<i64>,
    after_channel_id: Option<String>,
    after_sid: Option<Vec<u8>>,
}

/// A walk through the messages of a channel.
struct ChannelWalk {
    channel_id: String,
    keep_days: i64,
    begun_at: i64,
    after_sid: Vec<u8>,
}

impl SqliteStore {
    /// Goes on with the walk through all messages, or else with one through the messages of
    /// a channel.
    pub(crate) async fn try_prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, sqlx::Error> {
        let step = Step {
            now: now.unix_micros(),
            keep_days: keep.get(),
            budget: budget.get(),
        };
        let mut write = self.begin().await?;
        let gone = if let Some(walk) = take_walk(&mut write, step).await? {
            Some(go_on(&mut write, step, walk).await?)
        } else if let Some(walk) = take_channel_walk(&mut write, step).await? {
            Some(go_on_with_channel(&mut write, step, walk).await?)
        } else {
            None
        };
        write.commit().await?;
        Ok(Pruning {
            rows: gone.unwrap_or_default(),
            days: 0,
            done: gone.is_none(),
        })
    }
}

/// The walk through all messages, if it is under way or to be begun.
async fn take_walk(write: &mut Write<'_>, step: Step) -> Result<Option<Walk>, sqlx::Error> {
    let day_ago = step.now.saturating_sub(DAY_MICROS);
    sqlx::query!(
        "insert into message_sweeps (keep_days, begun_at)
         values (?, ?)
         on conflict (keep_days) do nothing",
        step.keep_days,
        step.now,
    )
    .execute(&mut **write)
    .await?;
    let walk = sqlx::query_as!(
        Walk,
        r#"select begun_at, finished as "finished: bool", after_first_reported_at,
               after_channel_id, after_sid
           from message_sweeps
           where keep_days = ?1 and (not finished or begun_at <= ?2 or begun_at > ?3)"#,
        step.keep_days,
        day_ago,
        step.now,
    )
    .fetch_optional(&mut **write)
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
///
/// A message that is heard of at an earlier time later on may move to where this walk has
/// been; the next one finds it.
async fn go_on(write: &mut Write<'_>, step: Step, walk: Walk) -> Result<u64, sqlx::Error> {
    let from = walk.after_first_reported_at.unwrap_or(i64::MIN);
    let cut = step
        .now
        .saturating_sub(i64::from(step.keep_days) * DAY_MICROS);
    let looked = sqlx::query!(
        "select first_reported_at, channel_id, sid
         from messages
         where first_reported_at >= ?1
             and first_reported_at < ?5
             and (?2 is null or first_reported_at > ?1 or (channel_id, sid) > (?2, ?3))
         order by first_reported_at, channel_id, sid
         limit ?4",
        from,
        walk.after_channel_id,
        walk.after_sid,
        step.budget,
        cut,
    )
    .fetch_all(&mut **write)
    .await?;
    let mut gone = 0;
    let last = looked.last();
    if let Some(last) = last {
        gone = sqlx::query!(
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
            walk.after_channel_id,
            walk.after_sid,
            last.first_reported_at,
            last.channel_id,
            last.sid,
            step.now,
            step.keep_days,
            DAY_MICROS,
        )
        .execute(&mut **write)
        .await?
        .rows_affected();
    }
    let finished = looked.len() < usize::try_from(step.budget).unwrap_or(usize::MAX);
    let time = last.map(|last| last.first_reported_at);
    let channel = last.map(|last| &last.channel_id);
    let sid = last.map(|last| &last.sid);
    sqlx::query!(
        "update message_sweeps
         set begun_at = ?2, finished = ?3, after_first_reported_at = ?4, after_channel_id = ?5,
             after_sid = ?6
         where keep_days = ?1",
        step.keep_days,
        walk.begun_at,
        finished,
        time,
        channel,
        sid,
    )
    .execute(&mut **write)
    .await?;
    Ok(gone)
}

/// A walk through the messages of a channel that keeps them for a shorter time than the
/// service does, if there is one under way or to be begun.
async fn take_channel_walk(
    write: &mut Write<'_>,
    step: Step,
) -> Result<Option<ChannelWalk>, sqlx::Error> {
    let day_ago = step.now.saturating_sub(DAY_MICROS);
    sqlx::query!(
        "insert into channel_sweeps (channel_id, keep_days, begun_at)
         select id, keep_messages_days, ?2
         from channels
         where keep_messages_days < ?1
         on conflict (channel_id) do nothing",
        step.keep_days,
        step.now,
    )
    .execute(&mut **write)
    .await?;
    let walk = sqlx::query!(
        r#"select sweep.channel_id, channel.keep_messages_days as "keep_days!", sweep.begun_at,
               sweep.after_sid,
               (sweep.finished or sweep.keep_days <> channel.keep_messages_days) as "anew!: bool"
           from channel_sweeps as sweep
           join channels as channel on channel.id = sweep.channel_id
           where channel.keep_messages_days < ?1
               and (
                   not sweep.finished
                   or sweep.keep_days <> channel.keep_messages_days
                   or sweep.begun_at <= ?2
                   or sweep.begun_at > ?3
               )
           order by sweep.begun_at, sweep.channel_id
           limit 1"#,
        step.keep_days,
        day_ago,
        step.now,
    )
    .fetch_optional(&mut **write)
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

/// Looks at the next messages of a channel. How many of them it removed.
async fn go_on_with_channel(
    write: &mut Write<'_>,
    step: Step,
    walk: ChannelWalk,
) -> Result<u64, sqlx::Error> {
    let cut = step.now.saturating_sub(walk.keep_days * DAY_MICROS);
    let looked = sqlx::query_scalar!(
        "select sid from messages where channel_id = ? and sid > ? order by sid limit ?",
        walk.channel_id,
        walk.after_sid,
        step.budget,
    )
    .fetch_all(&mut **write)
    .await?;
    let mut gone = 0;
    if let Some(last) = looked.last() {
        gone = sqlx::query!(
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
            walk.channel_id,
            walk.after_sid,
            last,
            cut,
        )
        .execute(&mut **write)
        .await?
        .rows_affected();
    }
    let finished = looked.len() < usize::try_from(step.budget).unwrap_or(usize::MAX);
    let place = looked.last().unwrap_or(&walk.after_sid);
    sqlx::query!(
        "update channel_sweeps
         set keep_days = ?2, begun_at = ?3, finished = ?4, after_sid = ?5
         where channel_id = ?1",
        walk.channel_id,
        walk.keep_days,
        walk.begun_at,
        finished,
        place,
    )
    .execute(&mut **write)
    .await?;
    Ok(gone)
}
