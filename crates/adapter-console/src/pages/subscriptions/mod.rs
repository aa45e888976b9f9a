//! Subscriptions: the list, one subscription with its deliveries, and the forms that change it.

pub(crate) mod actions;
pub(crate) mod condition;
pub(crate) mod create;
pub(crate) mod csv;
pub(crate) mod deliveries;
pub(crate) mod edit;
pub(crate) mod list;
pub(crate) mod secrets;
pub(crate) mod show;

use domain::access::Permission;
use domain::{Subscription, SubscriptionId};
use usecases::subscriptions::SubscriptionError;

use crate::error::PageError;

/// Parses the id in a path. A text that is not an id names nothing.
fn subscription_id(text: &str) -> Result<SubscriptionId, PageError> {
    let missing = |_| PageError::NotFound("such subscription".to_owned());
    text.parse().map(SubscriptionId).map_err(missing)
}

/// Returns the path of the page of a subscription.
pub(crate) fn path(id: SubscriptionId) -> String {
    format!("/console/subscriptions/{id}")
}

/// Returns what people call a subscription: its description, or its URL without the query.
pub(crate) fn label(subscription: &Subscription) -> String {
    let description = subscription.description.as_str();
    if description.is_empty() {
        subscription.url.to_string()
    } else {
        description.to_owned()
    }
}

impl From<SubscriptionError> for PageError {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::NoSuchSubscription(id) => {
                Self::NotFound(format!("subscription {id}"))
            }
            SubscriptionError::NoSuchDelivery(key) => Self::NotFound(format!("delivery {key}")),
            SubscriptionError::NoSuchMessage(key) => Self::NotFound(format!(
                "event of message {} on channel {}",
                key.sid, key.channel
            )),
            SubscriptionError::RevealRequired => Self::Forbidden(Permission::Reveal),
            SubscriptionError::PrivateTarget(_) | SubscriptionError::BeyondEnd => {
                Self::Invalid(error.to_string())
            }
            SubscriptionError::Outdated
            | SubscriptionError::NotRetriable
            | SubscriptionError::PreviousSecretSigns(_)
            | SubscriptionError::UnreadableSecret => Self::Conflict(error.to_string()),
            SubscriptionError::Store(error) => Self::Store(error),
        }
    }
}
