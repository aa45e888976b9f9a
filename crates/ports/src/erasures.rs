//! Forgetting a person, a little at a time.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, Recipient, Timestamp};

use crate::StoreError;

/// Erases whoever asks to be forgotten, and remembers that it did.
///
/// An erasure finds the messages that go to a person, and those of which some
/// report names the person as recipient or as the value of a field. Of each
/// such message
///
/// - the recipient becomes [`Address::erased`](domain::Address::erased), and so
///   does that of all its reports in the log;
/// - the fields of its reports and the words of their errors go, as
///   [`Report::erase`](domain::Report::erase) says;
/// - what is still to be sent about it is given up, as
///   [`DeliveryRetention::forget_bodies`](crate::subscriptions::DeliveryRetention::forget_bodies)
///   says, and each worker loses its lease;
/// - everything else stays: statuses, times, error codes, counts, positions.
///
/// Whatever is recorded of such a message later is erased before it is kept.
/// Messages first heard of after the erasure are none of its business.
#[async_trait]
pub trait Erasures: Send + Sync {
    /// Takes an erasure down, with nothing done yet. From now on any process may
    /// go on with it, so the address is kept until it is finished, and not
    /// longer. Beginning one of an id that is there changes nothing.
    async fn begin(
        &self,
        id: ErasureId,
        asked: &ErasureOrder,
        addressee: &Recipient,
    ) -> Result<(), StoreError>;

    /// Goes on with an erasure: looks at the next messages or reports, `budget`
    /// of them at most, and erases what it finds there. Whole or not at all: a
    /// process that dies in the middle leaves no step half done. Steps that race
    /// are taken one after the other. It is finished when there was nothing more
    /// to look at; then this changes nothing. `None` if there is no such erasure.
    async fn step(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError>;

    /// The oldest erasure that is not finished.
    async fn unfinished(&self) -> Result<Option<ErasureId>, StoreError>;

    /// One erasure.
    async fn find(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError>;

    /// All erasures, the latest first. `after` is the last one of the page
    /// before.
    async fn list(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError>;
}

/// When, where and why somebody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureOrder {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub through: domain::erasure::RequestedVia,
    /// Why, if they said so.
    pub reason: Option<domain::erasure::ErasureReason>,
}
