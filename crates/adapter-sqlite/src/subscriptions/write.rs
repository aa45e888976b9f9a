//! Writing deliveries.

use std::sync::LazyLock;

use domain::delivery::by_key;
use domain::{Delivery, SubscriptionId, Timestamp};
use sql_rows::attempts::attempts_to_json;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, SqliteConnection};

use crate::bulk::{BulkTexts, End, MAX_ROWS, placeholders};

const COLUMNS: usize = 17;

static TEXTS: LazyLock<BulkTexts> = LazyLock::new(|| BulkTexts::new(COLUMNS, statement));

/// Writes deliveries of a subscription and commits. Of several with the same key the last counts.
pub(crate) async fn write_and_commit(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    deliveries: &[Delivery],
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = by_key(deliveries).into_values().collect();
    let mut rest = rows.as_slice();
    loop {
        let (some, others) = rest.split_at(rest.len().min(MAX_ROWS));
        rest = others;
        let end = if rest.is_empty() {
            End::Commit
        } else {
            End::Open
        };
        let bind = |values: &mut SqliteArguments, _| {
            some.iter()
                .try_for_each(|delivery| bind(values, subscription, delivery))
        };
        TEXTS.execute(connection, some.len(), end, bind).await?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn bind(
    values: &mut SqliteArguments,
    subscription: SubscriptionId,
    delivery: &Delivery,
) -> Result<(), BoxDynError> {
    values.add(subscription.0)?;
    values.add(delivery.key.report_id)?;
    values.add(delivery.key.event_index)?;
    values.add(delivery.position.0)?;
    values.add(delivery.created_at.unix_micros())?;
    values.add(delivery.next_attempt_at.map(Timestamp::unix_micros))?;
    values.add(delivery.finished_at.map(Timestamp::unix_micros))?;
    values.add(delivery.revision)?;
    values.add(delivery.attempts.count())?;
    values.add(delivery.state.as_str())?;
    values.add(delivery.event_type.as_str())?;
    values.add(delivery.message.channel.as_str())?;
    values.add(delivery.message.sid.to_compact())?;
    values.add(attempts_to_json(&delivery.attempts))?;
    values.add(delivery.kept_body())?;
    let again = Some(delivery.retrying_since).filter(|since| *since != delivery.created_at);
    values.add(again.map(Timestamp::unix_micros))?;
    values.add(delivery.cooldown_until.map(Timestamp::unix_micros))
}

fn statement(rows: usize) -> String {
    let rows = placeholders(rows, COLUMNS);
    format!(
        "insert into deliveries (
             subscription_id, report_id, event_index, position, created_at, next_attempt_at,
             finished_at, revision, attempts, state, event_type, channel_id, sid,
             last_attempts, body, retrying_since, cooldown_until
         )
         select * from (values {rows}) where column1 is not null
         on conflict (subscription_id, report_id, event_index) do update
         set next_attempt_at = excluded.next_attempt_at,
             finished_at = excluded.finished_at,
             attempts = excluded.attempts,
             state = excluded.state,
             last_attempts = excluded.last_attempts,
             body = excluded.body,
             retrying_since = coalesce(excluded.retrying_since, excluded.created_at),
             cooldown_until = excluded.cooldown_until"
    )
}
