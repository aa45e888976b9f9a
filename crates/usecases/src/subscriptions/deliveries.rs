//! What became of events at a subscription, and having them sent again.

use domain::delivery::{Attempts, DeliveryFilter};
use domain::event::events_of;
use domain::page::{Page, PageSize};
use domain::{
    Delivery, DeliveryKey, DeliveryState, LogEntry, LogPosition, MessageKey, MessageState,
    SubscriptionId, Timestamp,
};
use ports::EventLog as _;

use super::{ManageSubscriptions, SubscriptionError};
use crate::CloudEvent;

/// From where events are sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// All behind a position.
    Position(LogPosition),
    /// All of reports that arrived at this time or later.
    Time(Timestamp),
    /// Those of one message.
    Message(MessageKey),
}

impl ManageSubscriptions {
    /// Sends events again; they have the same ids. Says how many if it is known.
    /// Nothing is passed by: what it has not come to is sent in its turn.
    pub async fn replay(
        &self,
        id: SubscriptionId,
        from: ReplayFrom,
    ) -> Result<Option<usize>, SubscriptionError> {
        let position = match from {
            ReplayFrom::Position(position) => self.reached(position).await?,
            ReplayFrom::Time(time) => self.0.log.position_at(time).await?,
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
        let now = self.0.clock.now();
        let (mut before, mut position) = (MessageState::default(), LogPosition::START);
        let mut deliveries: Vec<Delivery> = Vec::new();
        for report in reports {
            // The log never hands out a later revision before an earlier one.
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
                    rests_until: None,
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

    /// Masks the addresses in what is kept to be sent. None goes out plainly
    /// anyway; but people see dead letters.
    pub(super) async fn mask_bodies(&self, id: SubscriptionId) -> Result<(), SubscriptionError> {
        let states = DeliveryState::ALL.into_iter();
        for state in states.filter(|state| *state != DeliveryState::Delivered) {
            let filter = DeliveryFilter {
                state: Some(state),
                ..DeliveryFilter::of(id)
            };
            let mut after = None;
            loop {
                let page = self.0.deliveries.deliveries(&filter, after, PageSize::MAX);
                let page = page.await?;
                let plain = page.items.iter().filter_map(|delivery| {
                    let masked = CloudEvent::mask(delivery.body.as_deref()?)?;
                    Some((delivery.key, masked))
                });
                let masked: Vec<_> = plain.collect();
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

    /// One page of deliveries.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
    ) -> Result<Page<Delivery, DeliveryKey>, SubscriptionError> {
        self.find(filter.subscription).await?;
        Ok(self.0.deliveries.deliveries(filter, after, size).await?)
    }

    /// One delivery.
    pub async fn delivery(&self, key: DeliveryKey) -> Result<Delivery, SubscriptionError> {
        let found = self.0.deliveries.delivery(key).await?;
        found.ok_or(SubscriptionError::NoSuchDelivery(key))
    }

    /// Tries a delivery again now.
    pub async fn retry(&self, key: DeliveryKey) -> Result<(), SubscriptionError> {
        if self.0.deliveries.retry(key, self.0.clock.now()).await? {
            return Ok(());
        }
        self.delivery(key).await?;
        Err(SubscriptionError::NotRetriable)
    }

    /// Tries all deliveries again that a filter lets through, and says how many.
    pub async fn retry_all(&self, filter: &DeliveryFilter) -> Result<u64, SubscriptionError> {
        self.find(filter.subscription).await?;
        let (now, mut total) = (self.0.clock.now(), 0);
        loop {
            let some = self.0.deliveries.retry_all(filter, now).await?;
            total += some;
            if some == 0 {
                return Ok(total);
            }
        }
    }
}
