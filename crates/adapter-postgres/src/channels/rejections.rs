//! Refused reports.

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::REJECTIONS_KEPT;
use domain::{ChannelId, Rejection};
use ports::StoreError;
use ports::rejections::{RejectionStore, StoredRejection};
use sql_rows::rejections::fields_json;
use sqlx::QueryBuilder;

use crate::PostgresStore;
use crate::rows::RejectionRow;
use crate::runtime::Query as _;

const REJECTIONS: &str = "rejections";

#[async_trait]
impl RejectionStore for PostgresStore {
    async fn store_rejections(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        if rejections.is_empty() {
            return Ok(());
        }
        let fields = rejections.iter().map(fields_json);
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let kept = self.try_keep(rejections, &fields);
        kept.run(&self.runtime, "store rejections", "rejection")
            .await
    }

    async fn list(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<StoredRejection, i64>, StoreError> {
        let mut query = QueryBuilder::new(
            "select id, arrived_at, channel_id, integrator, reason, detail, fields::text as fields,
                 sender
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
            .run(&self.runtime, "list rejections", REJECTIONS)
            .await?;
        let kept = rows
            .into_iter()
            .map(StoredRejection::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(kept, size, |kept| kept.id))
    }

    async fn rejection(&self, id: i64) -> Result<Option<StoredRejection>, StoreError> {
        let row = self.rejection_row(id);
        let row = row.run(&self.runtime, "find rejection", REJECTIONS).await?;
        row.map(StoredRejection::try_from).transpose()
    }
}

impl PostgresStore {
    async fn rejection_row(&self, id: i64) -> Result<Option<RejectionRow>, sqlx::Error> {
        sqlx::query_as!(
            RejectionRow,
            r#"select id, arrived_at, channel_id, integrator, reason, detail,
                   fields::text as "fields!", sender
               from rejections
               where id = $1"#,
            id,
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// Adds rejections and deletes those beyond the limit of each channel. Concurrent calls do
    /// not see each other's rows; then some rows too many stay until the next call.
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
        let senders = rejections.iter().map(|it| it.sender.as_ref());
        let senders: Vec<_> = senders.map(|it| it.map(|it| it.0.clone())).collect();
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "insert into rejections (
                 arrived_at, channel_id, integrator, reason, detail, fields, sender
             )
             select arrived_at, channel_id, integrator, reason, detail, fields::json, sender
             from unnest(
                 $1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                 $7::bytea[]
             ) with ordinality
                 as new (arrived_at, channel_id, integrator, reason, detail, fields, sender, nth)
             order by nth",
            &times,
            &channels,
            &text(|it| it.integrator.as_str()),
            &text(|it| it.reason.as_str()),
            &text(|it| it.detail.as_str()),
            fields,
            &senders as &[Option<Vec<u8>>],
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "with surplus as materialized (
                 -- Per channel, the newest rejection beyond the limit.
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
