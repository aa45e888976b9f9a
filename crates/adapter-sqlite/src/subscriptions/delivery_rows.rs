//! Deliveries as they stand in their table.

use std::sync::LazyLock;

use domain::delivery::{Attempts, PendingDelivery, by_key};
use domain::{Delivery, DeliveryKey, LogPosition, SubscriptionId, Timestamp};
use ports::StoreError;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, SqliteConnection};

use crate::bulk::{MOST, SIZES, Then, placeholders};
use crate::error::corrupt;
use crate::rows::{key, optional_time, time, uuid};

const DELIVERIES: &str = "deliveries";
const COLUMNS: usize = 17;

#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) subscription_id: Vec<u8>,
    pub(crate) report_id: i64,
    pub(crate) part: i64,
    pub(crate) position: i64,
    pub(crate) created_at: i64,
    pub(crate) retrying_since: Option<i64>,
    pub(crate) next_attempt_at: Option<i64>,
    pub(crate) rests_until: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) attempts: i64,
    pub(crate) state: String,
    pub(crate) event_type: String,
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
    pub(crate) last_attempts: String,
    pub(crate) body: Option<String>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let subscription = uuid(&row.subscription_id, DELIVERIES, "subscription_id")?;
        let attempts = u32::try_from(row.attempts).map_err(corrupt(DELIVERIES, "attempts"))?;
        let event_type = row.event_type.parse();
        let created_at = time(row.created_at, DELIVERIES, "created_at")?;
        let retrying_since = optional_time(row.retrying_since, DELIVERIES, "retrying_since")?;
        Ok(Self {
            key: DeliveryKey {
                subscription: SubscriptionId(subscription),
                report_id: row.report_id,
                part: u8::try_from(row.part).map_err(corrupt(DELIVERIES, "part"))?,
            },
            position: LogPosition(row.position),
            event_type: event_type.map_err(corrupt(DELIVERIES, "event_type"))?,
            message: key(&row.channel_id, &row.sid, DELIVERIES)?,
            revision: row.revision,
            state: row.state.parse().map_err(corrupt(DELIVERIES, "state"))?,
            attempts: Attempts::from_parts(attempts, &row.last_attempts)
                .map_err(corrupt(DELIVERIES, "last_attempts"))?,
            created_at,
            retrying_since: retrying_since.unwrap_or(created_at),
            next_attempt_at: optional_time(row.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            rests_until: optional_time(row.rests_until, DELIVERIES, "rests_until")?,
            finished_at: optional_time(row.finished_at, DELIVERIES, "finished_at")?,
            body: row.body,
        })
    }
}

/// What is read of an open delivery to choose the next one.
#[derive(Debug)]
pub(crate) struct OpenRow {
    pub(crate) report_id: i64,
    pub(crate) part: i64,
    pub(crate) position: i64,
    pub(crate) next_attempt_at: Option<i64>,
    pub(crate) rests_until: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
}

impl OpenRow {
    pub(crate) fn delivery(
        self,
        subscription: SubscriptionId,
    ) -> Result<PendingDelivery, StoreError> {
        Ok(PendingDelivery {
            key: DeliveryKey {
                subscription,
                report_id: self.report_id,
                part: u8::try_from(self.part).map_err(corrupt(DELIVERIES, "part"))?,
            },
            position: LogPosition(self.position),
            message: key(&self.channel_id, &self.sid, DELIVERIES)?,
            revision: self.revision,
            next_attempt_at: optional_time(self.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            rests_until: optional_time(self.rests_until, DELIVERIES, "rests_until")?,
        })
    }
}

/// Writes deliveries of a subscription, and ends the step: the way of [`crate::bulk`].
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    deliveries: &[Delivery],
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = by_key(deliveries).into_values().collect();
    let mut rest = rows.as_slice();
    loop {
        let (some, others) = rest.split_at(rest.len().min(MOST));
        rest = others;
        let last = rest.is_empty();
        let then = if last { Then::Commit } else { Then::GoOn };
        write_some(connection, subscription, some, then).await?;
        if last {
            return Ok(());
        }
    }
}

/// At most [`MOST`] rows.
async fn write_some(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    rows: &[&Delivery],
    then: Then,
) -> Result<(), sqlx::Error> {
    let Some(texts) = TEXTS.iter().find(|texts| texts.rows >= rows.len()) else {
        return Err(sqlx::Error::Encode("more rows than any text has".into()));
    };
    let mut values = SqliteArguments::default();
    values.reserve(texts.rows * COLUMNS, 0);
    // What is not bound at the end is null, and a row without a value is none.
    let bound = rows
        .iter()
        .try_for_each(|delivery| bind(&mut values, subscription, delivery));
    bound.map_err(sqlx::Error::Encode)?;
    let text = match then {
        Then::GoOn => texts.going_on.as_str(),
        Then::Commit => texts.committing.as_str(),
    };
    sqlx::query_with(text, values).execute(connection).await?;
    Ok(())
}

fn bind(
    values: &mut SqliteArguments,
    subscription: SubscriptionId,
    delivery: &Delivery,
) -> Result<(), BoxDynError> {
    values.add(subscription.0)?;
    values.add(delivery.key.report_id)?;
    values.add(delivery.key.part)?;
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
    values.add(delivery.attempts.last_to_json())?;
    values.add(delivery.kept_body())?;
    let again = Some(delivery.retrying_since).filter(|since| *since != delivery.created_at);
    values.add(again.map(Timestamp::unix_micros))?;
    values.add(delivery.rests_until.map(Timestamp::unix_micros))
}

/// The texts for some number of rows.
struct Texts {
    rows: usize,
    going_on: String,
    committing: String,
}

static TEXTS: LazyLock<[Texts; SIZES.len()]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        let going_on = text(rows);
        let committing = format!("{going_on}; commit");
        Texts {
            rows,
            going_on,
            committing,
        }
    })
});

fn text(rows: usize) -> String {
    let rows = placeholders(rows, COLUMNS);
    format!(
        "insert into deliveries (
             subscription_id, report_id, part, position, created_at, next_attempt_at,
             finished_at, revision, attempts, state, event_type, channel_id, sid,
             last_attempts, body, retrying_since, rests_until
         )
         select * from (values {rows}) where column1 is not null
         on conflict (subscription_id, report_id, part) do update
         set next_attempt_at = excluded.next_attempt_at,
             finished_at = excluded.finished_at,
             attempts = excluded.attempts,
             state = excluded.state,
             last_attempts = excluded.last_attempts,
             body = excluded.body,
             retrying_since = coalesce(excluded.retrying_since, excluded.created_at),
             rests_until = excluded.rests_until"
    )
}
