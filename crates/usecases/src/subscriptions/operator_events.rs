//! How far a subscription has received the operator events.

use domain::page::PageSize;
use domain::{Subscription, Timestamp};
use ports::StoreError;

use super::ManageSubscriptions;

/// What a subscription has not received of the operator events that it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorEventProgress {
    /// How many of the next 500 events of the sequence are for it.
    pub waiting: usize,
    /// Since when attempts to send the next one fail; `None` if none failed.
    pub failing_since: Option<Timestamp>,
    /// When it is sent again; `None` if no attempt failed.
    pub retry_at: Option<Timestamp>,
}

impl ManageSubscriptions {
    /// Returns how far a subscription has received the operator events; `None` if it does not ask
    /// for any.
    pub async fn operator_events(
        &self,
        subscription: &Subscription,
    ) -> Result<Option<OperatorEventProgress>, StoreError> {
        if subscription.filter.operator_types.is_empty() {
            return Ok(None);
        }
        let store = &self.0.operator_events;
        let positions = store.operator_event_positions().await?.into_iter();
        let mut positions = positions.filter(|(id, _)| *id == subscription.id);
        let stored = positions.next().map(|(_, position)| position);
        let sequence = if let Some(position) = &stored {
            position.sequence
        } else {
            // It is about to receive the events since it asks for them.
            store.last_operator_event(subscription.updated_at).await?
        };
        let events = store.operator_events(sequence, PageSize::MAX).await?;
        let wanted = events.iter().filter(|stored| {
            let filter = &subscription.filter;
            filter.passes_operator_event(&stored.event)
        });
        Ok(Some(OperatorEventProgress {
            waiting: wanted.count(),
            failing_since: stored.as_ref().and_then(|it| it.failing_since),
            retry_at: stored.as_ref().and_then(|it| it.retry_at),
        }))
    }
}
