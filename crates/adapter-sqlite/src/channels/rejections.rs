//! The log of refused reports.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::{MaskedFields, REJECTIONS_KEPT};
use domain::{ChannelId, IntegratorName, Rejection, RejectionReason};
use ports::StoreError;
use ports::rejections::{KeptRejection, RejectionStore};

use crate::SqliteStore;
use crate::error::{corrupt, store_error};
use crate::rows::time;
use crate::runtime::Operation as _;

const REJECTIONS: &str = "rejections";

#[async_trait]
impl RejectionStore for SqliteStore {
    async fn keep(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        let fields = rejections.iter().map(fields_text);
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        self.try_keep(rejections, &fields)
            .await
            .map_err(store_error("rejection"))
    }

    async fn list(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<KeptRejection, i64>, StoreError> {
        let rows = self.rejection_rows(channel, after, size).await;
        let rows = rows.map_err(store_error(REJECTIONS))?;
        let kept = rows
            .into_iter()
            .map(KeptRejection::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(kept, size, |kept| kept.id))
    }
}

impl SqliteStore {
    async fn try_keep(
        &self,
        rejections: &[Rejection],
        fields: &[String],
    ) -> Result<(), sqlx::Error> {
        if rejections.is_empty() {
            return Ok(());
        }
        let mut write = self.begin().await?;
        for (rejection, fields) in rejections.iter().zip(fields) {
            let arrived_at = rejection.arrived_at.unix_micros();
            let channel = rejection.channel.as_str();
            let integrator = rejection.integrator.as_str();
            let reason = rejection.reason.as_str();
            sqlx::query!(
                "insert into rejections (
                     arrived_at, channel_id, integrator, reason, detail, fields
                 )
                 values (?, ?, ?, ?, ?, ?)",
                arrived_at,
                channel,
                integrator,
                reason,
                rejection.detail,
                fields,
            )
            .execute(&mut *write)
            .await?;
        }
        let channels: BTreeSet<_> = rejections
            .iter()
            .map(|each| each.channel.as_str())
            .collect();
        for channel in channels {
            sqlx::query!(
                "delete from rejections
                 where channel_id = ?1 and id <= (
                     select id from rejections
                     where channel_id = ?1
                     order by id desc
                     limit 1 offset ?2
                 )",
                channel,
                REJECTIONS_KEPT,
            )
            .execute(&mut *write)
            .await?;
        }
        write.commit().await
    }

    /// One row more than a page has, if there are as many.
    async fn rejection_rows(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Vec<RejectionRow>, sqlx::Error> {
        let limit = i64::from(size.get()) + 1;
        let after = after.unwrap_or(i64::MAX);
        // Two statements, since only one of them can go along the index of a channel.
        let Some(channel) = channel.map(ChannelId::as_str) else {
            return sqlx::query_as!(
                RejectionRow,
                "select id, arrived_at, channel_id, integrator, reason, detail, fields
                 from rejections
                 where id < ?
                 order by id desc
                 limit ?",
                after,
                limit,
            )
            .fetch_all(&self.readers)
            .run_in(&self.runtime)
            .await;
        };
        sqlx::query_as!(
            RejectionRow,
            "select id, arrived_at, channel_id, integrator, reason, detail, fields
             from rejections
             where channel_id = ? and id < ?
             order by id desc
             limit ?",
            channel,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .run_in(&self.runtime)
        .await
    }
}

fn fields_text(rejection: &Rejection) -> Result<String, StoreError> {
    let fields: Vec<(&str, &str)> = rejection.fields.iter().collect();
    serde_json::to_string(&fields).map_err(|error| StoreError::Rejected {
        what: "fields",
        source: error.into(),
    })
}

#[derive(Debug)]
struct RejectionRow {
    id: i64,
    arrived_at: i64,
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
