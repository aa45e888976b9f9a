//! The log of refused reports.

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::{MaskedFields, REJECTIONS_KEPT};
use domain::{ChannelId, IntegratorName, Rejection, RejectionReason};
use ports::StoreError;
use ports::rejections::{KeptRejection, RejectionStore};
use sqlx::QueryBuilder;
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::error::{corrupt, store_error};
use crate::rows::time;
use crate::timeout::Operation as _;

const REJECTIONS: &str = "rejections";

#[async_trait]
impl RejectionStore for PostgresStore {
    async fn keep(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        if rejections.is_empty() {
            return Ok(());
        }
        let fields = rejections.iter().map(fields_text);
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        self.try_keep(rejections, &fields)
            .in_time(&self.runtime)
            .await
            .map_err(store_error("rejection"))
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
            .in_time(&self.runtime)
            .await
            .map_err(store_error(REJECTIONS))?;
        let kept = rows
            .into_iter()
            .map(KeptRejection::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(kept, size, |kept| kept.id))
    }
}

impl PostgresStore {
    /// Of two that run at once neither sees the other's rows: some too many stay until the next.
    async fn try_keep(
        &self,
        rejections: &[Rejection],
        fields: &[String],
    ) -> Result<(), sqlx::Error> {
        let times = rejections.iter().map(|it| it.arrived_at.to_date_time());
        let times: Vec<_> = times.collect();
        let text = |of: fn(&Rejection) -> &str| -> Vec<String> {
            rejections.iter().map(|it| of(it).to_owned()).collect()
        };
        let channels = text(|it| it.channel.as_str());
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "insert into rejections (arrived_at, channel_id, integrator, reason, detail, fields)
             select arrived_at, channel_id, integrator, reason, detail, fields::json
             from unnest(
                 $1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]
             ) with ordinality
                 as new (arrived_at, channel_id, integrator, reason, detail, fields, nth)
             order by nth",
            &times,
            &channels,
            &text(|it| it.integrator.as_str()),
            &text(|it| it.reason.as_str()),
            &text(|it| it.detail.as_str()),
            fields,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "with surplus as materialized (
                 -- The newest rejection of each channel that is one too many.
                 select channel_id, (
                     select id from rejections as kept
                     where kept.channel_id = batch.channel_id
                     order by id desc
                     offset $2
                     limit 1
                 ) as through
                 from (select distinct unnest($1::text[]) as channel_id) as batch
             )
             delete from rejections
             using surplus
             where rejections.channel_id = surplus.channel_id
                 and rejections.id <= surplus.through",
            &channels,
            i64::from(REJECTIONS_KEPT),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }
}

fn fields_text(rejection: &Rejection) -> Result<String, StoreError> {
    let fields: Vec<(&str, &str)> = rejection.fields.iter().collect();
    serde_json::to_string(&fields).map_err(|error| StoreError::Rejected {
        what: "fields",
        source: error.into(),
    })
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
