//! Who asked to be forgotten, and how far that has got.

use std::num::NonZeroU32;

use domain::erasure::ErasureReason;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, Recipient, Timestamp};
use ports::StoreError;
use ports::maintenance::ErasureOrder;

use crate::PostgresStore;
use crate::error::store_error;
use crate::maintenance::erasure_rows::{ERASURES, ErasureRow};
use crate::retry;
use crate::timeout::Operation as _;

impl PostgresStore {
    pub(crate) async fn begin_erasure(
        &self,
        id: ErasureId,
        asked: &ErasureOrder,
        addressee: &Recipient,
    ) -> Result<(), StoreError> {
        let begun = sqlx::query!(
            "insert into erasures (
                 id, asked_at, asked_through, reason, masked, recipient, log_after
             )
             values ($1, $2, $3, $4, $5, $6, 0)
             on conflict (id) do nothing",
            id.0,
            asked.at.to_date_time(),
            asked.through.as_str(),
            asked.reason.as_ref().map(ErasureReason::as_str),
            addressee.to_string(),
            addressee.address().reveal(),
        )
        .execute(&self.pool)
        .in_time(&self.runtime)
        .await;
        begun.map(drop).map_err(store_error(ERASURES))
    }

    pub(crate) async fn continue_erasure(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        retry::again(|| self.try_step(id, budget, now).in_time(&self.runtime)).await?;
        self.erasure(id).await
    }

    pub(crate) async fn unfinished_erasure(&self) -> Result<Option<ErasureId>, StoreError> {
        let id = sqlx::query_scalar!(
            "select id from erasures where finished_at is null order by id limit 1"
        )
        .fetch_optional(&self.pool)
        .in_time(&self.runtime)
        .await;
        Ok(id.map_err(store_error(ERASURES))?.map(ErasureId))
    }

    pub(crate) async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        let row = sqlx::query_as!(
            ErasureRow,
            "select id, asked_at, asked_through, reason, masked, looked_at, messages, reports,
                 deliveries, finished_at
             from erasures
             where id = $1",
            id.0,
        )
        .fetch_optional(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(ERASURES))?;
        row.map(Erasure::try_from).transpose()
    }

    pub(crate) async fn erasures(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        let rows = sqlx::query_as!(
            ErasureRow,
            "select id, asked_at, asked_through, reason, masked, looked_at, messages, reports,
                 deliveries, finished_at
             from erasures
             where id < $1 or $1 is null
             order by id desc
             limit $2",
            after.map(|after| after.0),
            i64::from(size.get()) + 1,
        )
        .fetch_all(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(ERASURES))?;
        let all: Vec<Erasure> = rows
            .into_iter()
            .map(Erasure::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(all, size, |erasure| erasure.id))
    }
}
