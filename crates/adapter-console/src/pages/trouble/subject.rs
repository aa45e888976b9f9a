//! What troubles are about, by name.

use domain::SubscriptionId;
use domain::trouble::{TroubleKind, TroubleSubject};
use ports::subscriptions::SubscriptionStatus;

use crate::console::ChannelNames;
use crate::pages::{channels, subscriptions};

/// The names of channels and subscriptions.
pub(crate) struct Subjects<'a> {
    names: &'a ChannelNames,
    subscriptions: &'a [SubscriptionStatus],
}

impl<'a> Subjects<'a> {
    /// Takes all channels and subscriptions.
    pub(crate) const fn new(
        names: &'a ChannelNames,
        subscriptions: &'a [SubscriptionStatus],
    ) -> Self {
        Self {
            names,
            subscriptions,
        }
    }

    /// Returns what people call a subject.
    pub(crate) fn name(&self, subject: &TroubleSubject) -> String {
        let channel = subject.channel().map(|id| {
            let name = self.names.get(id);
            name.map_or_else(|| id.to_string(), ToString::to_string)
        });
        match subject {
            TroubleSubject::Service => "This installation".to_owned(),
            TroubleSubject::Subscription(id) => self.subscription(*id),
            TroubleSubject::Code(_, code) => {
                let channel = channel.unwrap_or_default();
                format!("{channel}: error {}", code.as_str())
            }
            TroubleSubject::Channel(_) | TroubleSubject::Credential(..) => {
                channel.unwrap_or_default()
            }
        }
    }

    fn subscription(&self, id: SubscriptionId) -> String {
        let mut all = self.subscriptions.iter().map(|status| &status.subscription);
        let found = all.find(|subscription| subscription.id == id);
        found.map_or_else(|| id.to_string(), subscriptions::label)
    }
}

/// Returns the page where an operator sees more of a trouble.
pub(super) fn path(kind: TroubleKind, subject: &TroubleSubject) -> String {
    match subject {
        TroubleSubject::Service => "/console/about".to_owned(),
        TroubleSubject::Subscription(id) => subscriptions::path(*id),
        TroubleSubject::Code(channel, code) => {
            let query = crate::fields::Fields::default()
                .with("channel", Some(channel.as_str()))
                .with("code", Some(code.as_str()));
            format!("/console/messages{}", query.query())
        }
        TroubleSubject::Credential(channel, _) => {
            format!("{}#credentials", channels::path(channel))
        }
        TroubleSubject::Channel(channel) if kind == TroubleKind::StuckAtSent => {
            let query = crate::fields::Fields::default()
                .with("channel", Some(channel.as_str()))
                .with("status", Some("sent"));
            format!("/console/messages{}", query.query())
        }
        TroubleSubject::Channel(channel)
            if matches!(
                kind,
                TroubleKind::CallbacksFailing | TroubleKind::ReconciliationFailing
            ) =>
        {
            format!("{}#reconciliation", channels::path(channel))
        }
        TroubleSubject::Channel(channel) => channels::path(channel),
    }
}
