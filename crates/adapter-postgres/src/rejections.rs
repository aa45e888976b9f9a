//! The log of refused reports.

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::{MaskedFields, REJECTIONS_KEPT};
use domain::{ChannelId, IntegratorName, Rejection, RejectionReason};
use ports::StoreError;
use ports::rejections::{KeptRejection, RejectionLog};
use sqlx::QueryBuilder;
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::error::{corrupt, store_error};
use crate::patience::Operation as _;
use crate::rows::time;

const REJECTIONS: &str = "rejections";

#[async_trait]
impl RejectionLog for PostgresStore {
    async fn keep(&self, rejection: &Rejection) -> Result<(), StoreError> {
        let fields: Vec<(&str, &str)> = rejection.fields.iter().collect();
        let fields = serde_json::to_string(&fields).map_err(|error| StoreError::Rejected {
            what: "fields",
            source: error.into(),
        })?;
        // The delete does not see the new row yet, so it leaves one place for it. Of two that
        // run at once neither sees the other's: one row too many stays until the next.
        sqlx::query!(
            "with kept as (
                 insert into rejections (arrived_at, channel_id, integrator, reason, detail, fields)
                 values ($1, $2, $3, $4, $5, $6::text::json)
             )
             delete from rejections
             where channel_id = $2 and id <= (
                 select id from rejections
                 where channel_id = $2
                 order by id desc
                 offset $7::bigint - 1
                 limit 1
             )",
            rejection.arrived_at.to_date_time(),
            rejection.channel.as_str(),
            rejection.integrator.as_str(),
            rejection.reason.as_str(),
            rejection.detail,
            fields,
            i64::from(REJECTIONS_KEPT),
        )
        .execute(&self.pool)
        .in_time(self.patience)
        .await
        .map_err(store_error("rejection"))?;
        Ok(())
    }

    async fn list(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<KeptRejection, i64>, StoreError> {
        let mut query = QueryBuilder::new(
            "select id, arrived_at, channel_id, integrator, reason, detail, fields::text as fields
             from rejections
             where true",
        );
        if let Some(channel) = channel {
            query
                .push(" and channel_id = ")
                .push_bind(channel.as_str().to_owned());
        }
        if let Some(after) = after {
            query.push(" and id < ").push_bind(after);
        }
        query
            .push(" order by id desc limit ")
            .push_bind(i64::from(size.get()) + 1);
        let rows: Vec<RejectionRow> = query
            .build_query_as()
            .fetch_all(&self.pool)
            .in_time(self.patience)
            .await
            .map_err(store_error(REJECTIONS))?;
        let kept = rows
            .into_iter()
            .map(KeptRejection::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(kept, size, |kept| kept.id))
    }
}

#[derive(sqlx::FromRow)]
struct RejectionRow {
    id: i64,
    arrived_at: OffsetDateTime,
    channel_id: String,
    integrator: String,
    reason: String,
    detail: String,
    fields: String,
}

impl TryFrom<RejectionRow> for KeptRejection {
    type Error = StoreError;

    fn try_from(row: RejectionRow) -> Result<Self, StoreError> {
        let fields: Vec<(String, String)> =
            serde_json::from_str(&row.fields).map_err(corrupt(REJECTIONS, "fields"))?;
        Ok(Self {
            id: row.id,
            rejection: Rejection {
                arrived_at: time(row.arrived_at, REJECTIONS, "arrived_at")?,
                channel: ChannelId::parse(&row.channel_id)
                    .map_err(corrupt(REJECTIONS, "channel_id"))?,
                integrator: IntegratorName::parse(&row.integrator)
                    .map_err(corrupt(REJECTIONS, "integrator"))?,
                reason: RejectionReason::from_word(&row.reason)
                    .ok_or_else(|| corrupt(REJECTIONS, "reason")("no reason is called so"))?,
                detail: row.detail,
                fields: MaskedFields::new(fields),
            },
        })
    }
}
