//! Who asked to be forgotten, and how far that has got.

use std::num::NonZeroU32;

use domain::erasure::ErasureReason;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, Recipient, Timestamp};
use ports::StoreError;
use ports::maintenance::ErasureOrder;

use crate::SqliteStore;
use crate::error::store_error;
use crate::maintenance::erasure_rows::{ERASURES, ErasureRow};
use crate::rows::uuid;
use crate::runtime::Operation as _;

impl SqliteStore {
    pub(crate) async fn begin_erasure(
        &self,
        id: ErasureId,
        asked: &ErasureOrder,
        addressee: &Recipient,
    ) -> Result<(), StoreError> {
        let begun = self.try_begin(id, asked, addressee).await;
        begun.map_err(store_error(ERASURES))
    }

    pub(crate) async fn continue_erasure(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        self.take_step(id, budget, now).await?;
        self.erasure(id).await
    }

    pub(crate) async fn unfinished_erasure(&self) -> Result<Option<ErasureId>, StoreError> {
        let id = sqlx::query_scalar!(
            "select id from erasures where finished_at is null order by id limit 1"
        )
        .fetch_optional(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(ERASURES))?;
        let id = id.map(|id| uuid(&id, ERASURES, "id")).transpose()?;
        Ok(id.map(ErasureId))
    }

    pub(crate) async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        let id = id.0.as_bytes().as_slice();
        let row = sqlx::query_as!(
            ErasureRow,
            "select id, asked_at, asked_through, reason, masked, looked_at, messages, reports,
                 deliveries, finished_at
             from erasures
             where id = ?",
            id,
        )
        .fetch_optional(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(ERASURES))?;
        row.map(Erasure::try_from).transpose()
    }

    pub(crate) async fn erasures(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        let after = after.map(|after| after.0.as_bytes().to_vec());
        let limit = i64::from(size.get()) + 1;
        let rows = sqlx::query_as!(
            ErasureRow,
            "select id, asked_at, asked_through, reason, masked, looked_at, messages, reports,
                 deliveries, finished_at
             from erasures
             where ?1 is null or id < ?1
             order by id desc
             limit ?2",
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(ERASURES))?;
        let all: Vec<Erasure> = rows
            .into_iter()
            .map(Erasure::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(all, size, |erasure| erasure.id))
    }
}

impl SqliteStore {
    async fn try_begin(
        &self,
        id: ErasureId,
        asked: &ErasureOrder,
        addressee: &Recipient,
    ) -> Result<(), sqlx::Error> {
        let (id, at) = (id.0.as_bytes().as_slice(), asked.at.unix_micros());
        let through = asked.through.as_str();
        let reason = asked.reason.as_ref().map(ErasureReason::as_str);
        let (masked, recipient) = (addressee.to_string(), addressee.address().reveal());
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into erasures (
                 id, asked_at, asked_through, reason, masked, recipient, log_after
             )
             values (?, ?, ?, ?, ?, ?, 0)
             on conflict (id) do nothing",
            id,
            at,
            through,
            reason,
            masked,
            recipient,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}
