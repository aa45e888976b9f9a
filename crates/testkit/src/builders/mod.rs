//! Builders of valid values with defaults, so that a test names only the fields it is about.
//!
//! Invalid text panics: the test is wrong.

#![expect(clippy::missing_panics_doc, reason = "the module says when they panic")]

mod credentials;
mod subscriptions;

pub use credentials::{CredentialBuilder, credential};
pub use subscriptions::{delivery, failed_attempt, subscription, subscription_id};

use domain::crypto::{SealedSecret, ServerSecret};
use domain::report::{ReportError, ReportFields};
use domain::webhook::TargetUrl;
use domain::{
    Address, Alias, Channel, ChannelId, ChannelName, CredentialId, DeliveryStatus, ErrorCode,
    ErrorText, IntegratorName, MessageKey, MessageSid, PublicUrl, Recipient, Report,
    ReportedStatus, RetentionDays, Timestamp,
};
use uuid::Uuid;

/// The default channel of reports and credentials.
pub const CHANNEL: &str = "202105102694809992";

/// Returns a channel id.
#[must_use]
pub fn channel_id(text: &str) -> ChannelId {
    ChannelId::parse(text).expect("a channel id")
}

/// Returns an address.
#[must_use]
pub fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

/// Returns a recipient.
#[must_use]
pub fn recipient(text: &str) -> Recipient {
    Recipient::parse(text).expect("a valid recipient")
}

/// Returns a point in time from microseconds since 1970.
#[must_use]
pub fn time(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros).expect("a time in the years 1 to 9999")
}

/// Returns a retention of messages.
#[must_use]
pub fn keep_days(days: u16) -> RetentionDays {
    RetentionDays::new(days.into()).expect("1 to 36500 days")
}

/// Returns the key of a message on [`CHANNEL`].
#[must_use]
pub fn key(sid: &str) -> MessageKey {
    key_on(CHANNEL, sid)
}

/// Returns the key of a message on a channel.
#[must_use]
pub fn key_on(channel: &str, sid: &str) -> MessageKey {
    MessageKey {
        channel: channel_id(channel),
        sid: MessageSid::parse(sid).expect("a message id"),
    }
}

/// Returns a sid of Twilio's form, unique per number.
#[must_use]
pub fn twilio_sid(number: u64) -> String {
    format!("SM{number:032x}")
}

/// Returns the server secret of tests.
#[must_use]
pub fn server_secret() -> ServerSecret {
    ServerSecret::parse("a server secret for tests, no other").expect("long enough")
}

/// Builds a report of a delivered message on [`CHANNEL`], from the year 2026.
#[must_use]
pub fn report(sid: &str) -> ReportBuilder {
    ReportBuilder(Report {
        key: key(sid),
        alias: Alias::None,
        status: ReportedStatus::Delivery(DeliveryStatus::Delivered),
        error: None,
        recipient: address("whatsapp:+15550100001"),
        sender: Some(address("whatsapp:+15550109999")),
        arrived_at: time(1_795_370_777_000_001),
        happened_at: None,
        credential: CredentialId(Uuid::from_u128(1)),
        idempotency_token: None,
        fields: ReportFields::default(),
    })
}

/// Builds a [`Report`]; see [`report`].
#[derive(Clone, Debug)]
pub struct ReportBuilder(Report);

impl ReportBuilder {
    /// Sets the channel.
    #[must_use]
    pub fn channel(mut self, id: &str) -> Self {
        self.0.key.channel = channel_id(id);
        self
    }

    /// Sets that its id may be an alias.
    #[must_use]
    pub fn maybe_alias(mut self) -> Self {
        self.0.alias = Alias::Unknown;
        self
    }

    /// Sets another id of the message.
    #[must_use]
    pub fn alias(mut self, sid: &str) -> Self {
        self.0.alias = Alias::Known(key(sid).sid);
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, word: &str) -> Self {
        self.0.status = ReportedStatus::parse(word).expect("a status");
        self
    }

    /// Sets an error code without text.
    #[must_use]
    pub fn error(self, code: &str) -> Self {
        self.error_with_text(code, "")
    }

    /// Sets an error code and its text.
    #[must_use]
    pub fn error_with_text(mut self, code: &str, text: &str) -> Self {
        self.0.error = Some(ReportError {
            code: ErrorCode::parse(code).expect("an error code"),
            text: ErrorText::new(text),
        });
        self
    }

    /// Sets the recipient.
    #[must_use]
    pub fn to(mut self, recipient: &str) -> Self {
        self.0.recipient = address(recipient);
        self
    }

    /// Sets the sender.
    #[must_use]
    pub fn from(mut self, sender: &str) -> Self {
        self.0.sender = Some(address(sender));
        self
    }

    /// Sets the time of arrival, in microseconds since 1970.
    #[must_use]
    pub fn at(mut self, micros: i64) -> Self {
        self.0.arrived_at = time(micros);
        self
    }

    /// Sets the integrator's own time, in microseconds since 1970.
    #[must_use]
    pub fn happened_at(mut self, micros: i64) -> Self {
        self.0.happened_at = Some(time(micros));
        self
    }

    /// Removes the sender.
    #[must_use]
    pub fn without_sender(mut self) -> Self {
        self.0.sender = None;
        self
    }

    /// Sets the credential, by its number.
    #[must_use]
    pub fn credential(mut self, number: u128) -> Self {
        self.0.credential = CredentialId(Uuid::from_u128(number));
        self
    }

    /// Sets the integrator's idempotency token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.0.idempotency_token = Some(token.to_owned());
        self
    }

    /// Sets the other fields.
    #[must_use]
    pub fn fields<'a>(mut self, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fields: Vec<_> = fields.into_iter().collect();
        self.0.fields = ReportFields::new(&fields);
        self
    }

    /// Returns the report.
    #[must_use]
    pub fn build(self) -> Report {
        self.0
    }
}

/// Builds an enabled Twilio channel that accepts every sender.
#[must_use]
pub fn channel(id: &str) -> ChannelBuilder {
    ChannelBuilder(Channel {
        id: channel_id(id),
        integrator: IntegratorName::parse("twilio").expect("a name"),
        name: ChannelName::parse("Service desk").expect("a name"),
        enabled: true,
        senders: Vec::new(),
        public_url: None,
        signing_token: None,
        keep_messages_days: None,
        forward_url: None,
        created_at: time(1_795_370_000_000_001),
        updated_at: time(1_795_370_000_000_001),
        version: 1,
    })
}

/// Builds a [`Channel`]; see [`channel`].
#[derive(Clone, Debug)]
pub struct ChannelBuilder(Channel);

impl ChannelBuilder {
    /// Sets the integrator.
    #[must_use]
    pub fn integrator(mut self, name: &str) -> Self {
        self.0.integrator = IntegratorName::parse(name).expect("an integrator's name");
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.0.name = ChannelName::parse(name).expect("a channel name");
        self
    }

    /// Disables the channel.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.0.enabled = false;
        self
    }

    /// Sets the accepted senders.
    #[must_use]
    pub fn senders(mut self, senders: &[&str]) -> Self {
        self.0.senders = senders.iter().map(|sender| address(sender)).collect();
        self
    }

    /// Sets the public URL.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        self.0.public_url = Some(PublicUrl::parse(url).expect("a public URL"));
        self
    }

    /// Sets the sealed signing token.
    #[must_use]
    pub fn signing_token(mut self, sealed: SealedSecret) -> Self {
        self.0.signing_token = Some(sealed);
        self
    }

    /// Sets the retention of its messages.
    #[must_use]
    pub fn keep_messages_days(mut self, days: u16) -> Self {
        self.0.keep_messages_days = Some(keep_days(days));
        self
    }

    /// Sets the URL that requests are forwarded to.
    #[must_use]
    pub fn forward_url(mut self, url: &str) -> Self {
        self.0.forward_url = Some(TargetUrl::parse(url).expect("a URL"));
        self
    }

    /// Sets the times of creation and change, in microseconds since 1970.
    #[must_use]
    pub fn at(mut self, micros: i64) -> Self {
        self.0.created_at = time(micros);
        self.0.updated_at = time(micros);
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.0.version = version;
        self
    }

    /// Returns the channel.
    #[must_use]
    pub fn build(self) -> Channel {
        self.0
    }
}

/// Forms of the number `+15550107777` in reports.
pub const SPELLINGS: [&str; 11] = [
    "whatsapp:+15550107777",
    "WhatsApp:+15550107777",
    " whatsapp:+15550107777 ",
    "whatsapp: 15550107777",
    "WHATSAPP : +1 (555) 010-7777\u{a0}",
    "+15550107777",
    "15550107777",
    "+1/555.010.7777",
    "rcs:+15550107777",
    "sms:15550107777",
    "viber:+15550107777",
];

/// Texts that are not forms of that number.
pub const NOT_SPELLINGS: [&str; 6] = [
    "whatsapp:+155501077771",
    "whatsapp:+1555010777",
    "whatsapp:x15550107777",
    "call +15550107777 please",
    "Rcs : Brand-agent\u{a0}",
    "rcs:brand-agent",
];
