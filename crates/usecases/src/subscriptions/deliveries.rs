//! Shows the deliveries of a subscription, and sends events again.

use std::num::NonZeroU32;

use domain::delivery::{Attempts, DeliveryFilter};
use domain::event::events_of;
use domain::page::{Page, PageSize, ScanLimit};
use domain::{
    Delivery, DeliveryKey, DeliveryState, LogEntry, LogPosition, MessageKey, MessageState,
    SubscriptionId, Timestamp,
};
use ports::StoreError;

use crate::events::cloud_event::CloudEvent;
use crate::subscriptions::manage::{ManageSubscriptions, SubscriptionError};

/// How many deliveries one page examines.
const SCAN: ScanLimit = ScanLimit(NonZeroU32::new(10_000).unwrap());

/// Which events to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// All after a position.
    Position(LogPosition),
    /// Those of reports that arrived at this time or later.
    Time(Timestamp),
    /// Those of one message.
    Message(MessageKey),
}

impl ManageSubscriptions {
    /// Sends events again, with the same ids. Returns how many, if it is known. The subscription's
    /// position never moves forwards.
    pub async fn replay(
        &self,
        id: SubscriptionId,
        from: ReplayFrom,
    ) -> Result<Option<usize>, SubscriptionError> {
        let position = match from {
            ReplayFrom::Position(position) => self.check_reached(position).await?,
            ReplayFrom::Time(time) => self.0.log.seek(time).await?,
            ReplayFrom::Message(key) => return self.replay_message(id, &key).await.map(Some),
        };
        if self.0.deliveries.rewind(id, position).await? {
            Ok(None)
        } else {
            Err(SubscriptionError::NoSuchSubscription(id))
        }
    }

    async fn replay_message(
        &self,
        id: SubscriptionId,
        key: &MessageKey,
    ) -> Result<usize, SubscriptionError> {
        let subscription = self.find(id).await?.subscription;
        let found = self.0.reports.message(key).await?;
        let reports = found
            .ok_or_else(|| SubscriptionError::NoSuchMessage(key.clone()))?
            .reports;
        let channel = self.0.directory.find(&key.channel);
        let integrator = channel.as_ref().map(|known| &known.channel.integrator);
        let now = self.0.environment.now();
        let (mut before, mut position) = (MessageState::default(), LogPosition::START);
        let mut deliveries: Vec<Delivery> = Vec::new();
        for report in reports {
            // The log returns the revisions of a message in order.
            position = position.max(LogPosition(report.id));
            let report_id = report.id;
            let entry = LogEntry {
                position,
                report,
                before,
            };
            before = entry.after();
            for event in events_of(&entry).filter(|event| subscription.filter.passes(event)) {
                let form = CloudEvent::new(&event, integrator, subscription.reveal);
                let first = deliveries.is_empty();
                deliveries.push(Delivery {
                    key: DeliveryKey::new(id, report_id, event.event_type),
                    position: event.position,
                    event_type: event.event_type,
                    message: event.key,
                    revision: event.revision,
                    state: if first {
                        DeliveryState::Retrying
                    } else {
                        DeliveryState::Waiting
                    },
                    attempts: Attempts::default(),
                    created_at: now,
                    retrying_since: now,
                    next_attempt_at: first.then_some(now),
                    cooldown_until: None,
                    finished_at: None,
                    body: Some(form.to_json()),
                });
            }
        }
        if deliveries.is_empty() {
            return Err(SubscriptionError::NoSuchMessage(key.clone()));
        }
        self.0.deliveries.enqueue(id, &deliveries).await?;
        Ok(deliveries.len())
    }

    /// Masks the addresses in stored events. Dispatchers mask them too before sending; but
    /// operators see dead letters.
    pub(super) async fn mask_bodies(&self, id: SubscriptionId) -> Result<(), StoreError> {
        let states = DeliveryState::ALL.into_iter();
        for state in states.filter(|state| *state != DeliveryState::Delivered) {
            let filter = DeliveryFilter {
                state: Some(state),
                ..DeliveryFilter::of(id)
            };
            let mut after = None;
            loop {
                let deliveries = &self.0.deliveries;
                let page = deliveries.deliveries(&filter, after, PageSize::MAX, SCAN);
                let page = page.await?;
                let masked = page.items.iter().filter_map(|delivery| {
                    let masked = CloudEvent::mask(delivery.body.as_deref()?)?;
                    Some((delivery.key, masked))
                });
                let masked: Vec<_> = masked.collect();
                if !masked.is_empty() {
                    self.0.deliveries.replace_bodies(id, &masked).await?;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns one page of deliveries, the newest first.
    ///
    /// A page ends after 10,000 deliveries that were examined: it may have fewer items than `size`,
    /// or none, and still have a next page.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
    ) -> Result<Page<Delivery, DeliveryKey>, SubscriptionError> {
        self.find(filter.subscription).await?;
        let page = self.0.deliveries.deliveries(filter, after, size, SCAN);
        Ok(page.await?)
    }

    /// Returns one delivery.
    pub async fn delivery(&self, key: DeliveryKey) -> Result<Delivery, SubscriptionError> {
        let found = self.0.deliveries.delivery(key).await?;
        found.ok_or(SubscriptionError::NoSuchDelivery(key))
    }

    /// Retries a delivery now.
    pub async fn retry(&self, key: DeliveryKey) -> Result<(), SubscriptionError> {
        if self
            .0
            .deliveries
            .retry(key, self.0.environment.now())
            .await?
        {
            return Ok(());
        }
        self.delivery(key).await?;
        Err(SubscriptionError::NotRetriable)
    }

    /// Retries all deliveries that `filter` passes, and returns how many.
    pub async fn retry_all(&self, filter: &DeliveryFilter) -> Result<u64, SubscriptionError> {
        self.find(filter.subscription).await?;
        let (now, mut total) = (self.0.environment.now(), 0);
        loop {
            let retried = self.0.deliveries.retry_all(filter, now).await?;
            total += retried;
            if retried == 0 {
                return Ok(total);
            }
        }
    }
}
