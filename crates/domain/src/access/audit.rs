//! The audit log: what operators changed and saw.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use uuid::Uuid;

use super::OperatorName;
use crate::{Timestamp, mask_numbers};

/// The longest object and the longest details, in characters.
const TEXT_MAX: usize = 200;

/// The id of an audit entry. Later ones are greater, as far as the clocks of servers agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditEntryId(pub Uuid);

impl fmt::Display for AuditEntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AuditEntryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// What an operator did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AuditAction {
            $($(#[$doc])* $variant,)*
        }

        impl AuditAction {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the name used in the API and in tables, such as `channel.add`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

actions! {
    /// Added a channel.
    ChannelAdd = "channel.add",
    /// Changed a channel.
    ChannelChange = "channel.change",
    /// Removed a channel.
    ChannelRemove = "channel.remove",
    /// Sent a test report to a channel.
    ChannelTest = "channel.test",
    /// Compared the messages of a channel with the integrator's records.
    ChannelReconcile = "channel.reconcile",
    /// Added a credential of a channel.
    CredentialAdd = "credential.add",
    /// Removed a credential of a channel.
    CredentialRemove = "credential.remove",
    /// Set a cursor.
    CursorSet = "cursor.set",
    /// Removed a cursor.
    CursorRemove = "cursor.remove",
    /// Added a subscription.
    SubscriptionAdd = "subscription.add",
    /// Changed a subscription.
    SubscriptionChange = "subscription.change",
    /// Removed a subscription.
    SubscriptionRemove = "subscription.remove",
    /// Paused a subscription.
    SubscriptionPause = "subscription.pause",
    /// Resumed a subscription.
    SubscriptionResume = "subscription.resume",
    /// Gave a subscription a new signing secret.
    SubscriptionRotateSecret = "subscription.rotate_secret",
    /// Sent a test event to a subscription.
    SubscriptionTest = "subscription.test",
    /// Replayed events to a subscription.
    SubscriptionReplay = "subscription.replay",
    /// Retried one or several deliveries.
    DeliveryRetry = "delivery.retry",
    /// Erased a recipient.
    RecipientErase = "recipient.erase",
    /// Declared that the clock is right, so that retention continues.
    RetentionRelease = "retention.release",
    /// Snoozed a trouble.
    TroubleSnooze = "trouble.snooze",
    /// Ended the snooze of a trouble.
    TroubleEndSnooze = "trouble.end_snooze",
    /// Changed the settings of the rules that find trouble.
    TroubleSettings = "trouble.settings",
    /// Added an operator's token.
    TokenAdd = "token.add",
    /// Revoked an operator's token.
    TokenRevoke = "token.revoke",
    /// Signed in to the console.
    SessionStart = "session.start",
    /// Signed out of the console, or ended another session.
    SessionEnd = "session.end",
    /// Saved a view of the console.
    ViewSave = "view.save",
    /// Removed a saved view.
    ViewRemove = "view.remove",
    /// Saw unmasked data.
    DataReveal = "data.reveal",
    /// Exported data.
    DataExport = "data.export",
}

/// The text is not an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an action is a name such as channel.add; the API documentation lists them")]
pub struct InvalidAuditAction;

impl FromStr for AuditAction {
    type Err = InvalidAuditAction;

    fn from_str(text: &str) -> Result<Self, InvalidAuditAction> {
        let mut all = Self::ALL.iter();
        let found = all.find(|action| action.as_str() == text);
        found.copied().ok_or(InvalidAuditAction)
    }
}

/// An entry of the audit log. It contains no personal data of recipients, and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditEntryId,
    /// When it happened.
    pub at: Timestamp,
    /// The operator.
    pub operator: OperatorName,
    /// What the operator did.
    pub action: AuditAction,
    /// The id of what it was done to.
    pub object: Option<AuditObject>,
    /// More about it.
    pub details: Option<AuditDetails>,
    /// The address that the request came from; `None` on the command line.
    pub source: Option<IpAddr>,
}

/// The id of what something was done to, such as a channel's or a message's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditObject(String);

impl AuditObject {
    /// Takes an id, cut to 200 characters.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(plain(id))
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// More about an audited action, for people. Phone numbers in it are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDetails(String);

impl AuditDetails {
    /// Takes a text, masks what may be a phone number, and cuts it to 200 characters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(plain(&mask_numbers(text)))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn plain(text: &str) -> String {
    let shown = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it });
    shown.take(TEXT_MAX).collect()
}

/// Which entries to list; `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The operator.
    pub operator: Option<OperatorName>,
    /// The action.
    pub action: Option<AuditAction>,
    /// The object.
    pub object: Option<AuditObject>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Returns whether an entry matches.
    #[must_use]
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        self.operator
            .as_ref()
            .is_none_or(|operator| *operator == entry.operator)
            && self.action.is_none_or(|action| action == entry.action)
            && (self.object.is_none() || self.object == entry.object)
            && self.since.is_none_or(|since| since <= entry.at)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_parsed_from_its_name() {
        for action in AuditAction::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        assert_eq!("channel".parse::<AuditAction>(), Err(InvalidAuditAction));
    }

    #[test]
    fn details_contain_no_phone_number_and_no_control_character() {
        let details = AuditDetails::new("senders: whatsapp:+15550100001\n\0");
        assert_eq!(details.as_str(), "senders: whatsapp:+***0001  ");
        let long = AuditDetails::new(&"ä".repeat(300));
        assert_eq!(long.as_str().chars().count(), 200);
    }

    #[test]
    fn object_is_an_id_and_stays_as_it_is() {
        assert_eq!(
            AuditObject::new("202105102694809992").as_str(),
            "202105102694809992"
        );
    }
}
