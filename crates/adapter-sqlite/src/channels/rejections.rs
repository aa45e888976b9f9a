//! Refused reports.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::REJECTIONS_KEPT;
use domain::{ChannelId, Rejection};
use ports::StoreError;
use ports::rejections::{RejectionStore, StoredRejection};
use sql_rows::rejections::fields_json;

use crate::SqliteStore;
use crate::rows::RejectionRow;
use crate::runtime::Query as _;

const REJECTIONS: &str = "rejections";

#[async_trait]
impl RejectionStore for SqliteStore {
    async fn store_rejections(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
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
        let rows = self.rejection_rows(channel, after, size);
        let rows = rows
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

impl SqliteStore {
    async fn rejection_row(&self, id: i64) -> Result<Option<RejectionRow>, sqlx::Error> {
        sqlx::query_as!(
            RejectionRow,
            "select id, arrived_at, channel_id, integrator, reason, detail, fields, sender
             from rejections
             where id = ?",
            id,
        )
        .fetch_optional(&self.readers)
        .await
    }

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
            sqlx::query!(
                "insert into rejections (
                     arrived_at, channel_id, integrator, reason, detail, fields, sender
                 )
                 values (?, ?, ?, ?, ?, ?, ?)",
                rejection.arrived_at.unix_micros(),
                rejection.channel.as_str(),
                rejection.integrator.as_str(),
                rejection.reason.as_str(),
                rejection.detail,
                fields,
                rejection.sender.as_ref().map(|sender| sender.0.as_slice()),
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

    /// Returns one row more than a page has, if there are as many.
    async fn rejection_rows(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Vec<RejectionRow>, sqlx::Error> {
        let after = after.unwrap_or(i64::MAX);
        let limit = i64::from(size.get()) + 1;
        // Two statements, since only one of them can use the index of channels.
        match channel {
            None => {
                sqlx::query_as!(
                    RejectionRow,
                    "select id, arrived_at, channel_id, integrator, reason, detail, fields, sender
                 from rejections
                 where id < ?
                 order by id desc
                 limit ?",
                    after,
                    limit,
                )
                .fetch_all(&self.readers)
                .await
            }
            Some(channel) => {
                sqlx::query_as!(
                    RejectionRow,
                    "select id, arrived_at, channel_id, integrator, reason, detail, fields, sender
                 from rejections
                 where channel_id = ? and id < ?
                 order by id desc
                 limit ?",
                    channel.as_str(),
                    after,
                    limit,
                )
                .fetch_all(&self.readers)
                .await
            }
        }
    }
}
