//! Erasures of recipients.

use domain::erasure::ErasureReason;
use domain::page::PageSize;
use domain::{ErasureId, Recipient};
use ports::maintenance::ErasureOrder;
use uuid::Uuid;

use crate::PostgresStore;
use crate::rows::ErasureRow;

impl PostgresStore {
    pub(crate) async fn insert_erasure(
        &self,
        id: ErasureId,
        order: &ErasureOrder,
        recipient: &Recipient,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into erasures (
                 id, requested_at, requested_via, reason, masked, recipient, recipient_hash, log_after
             )
             values ($1, $2, $3, $4, $5, $6, $7, 0)
             on conflict (id) do nothing",
            id.0,
            order.at.to_date_time(),
            order.through.as_str(),
            order.reason.as_ref().map(ErasureReason::as_str),
            recipient.to_string(),
            recipient.address().reveal(),
            order.recipient_hash.0,
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(crate) async fn unfinished_erasure_id(&self) -> Result<Option<Uuid>, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select id from erasures where finished_at is null order by id limit 1"#
        )
        .fetch_optional(&self.pool)
        .await
    }

    pub(crate) async fn erasure_row(
        &self,
        id: ErasureId,
    ) -> Result<Option<ErasureRow>, sqlx::Error> {
        sqlx::query_as!(
            ErasureRow,
            r#"select id, requested_at, requested_via, reason, masked, examined,
                   messages, reports, deliveries, finished_at
               from erasures
               where id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// Returns one row more than a page has, if there are as many.
    pub(crate) async fn erasure_rows(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Vec<ErasureRow>, sqlx::Error> {
        sqlx::query_as!(
            ErasureRow,
            r#"select id, requested_at, requested_via, reason, masked, examined,
                   messages, reports, deliveries, finished_at
               from erasures
               where $1::uuid is null or id < $1
               order by id desc
               limit $2"#,
            after.map(|after| after.0),
            i64::from(size.get()) + 1,
        )
        .fetch_all(&self.pool)
        .await
    }
}
