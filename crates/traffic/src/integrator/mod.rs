//! How each integrator sends reports: its words, its bodies and its credentials.
//!
//! The steps of a history have the words with which a receiver shows them; each module here writes
//! them as its integrator does. It shares no code with the receiver, so that the two check each
//! other.

mod gupshup;
mod infobip;
mod koomessage;
mod meta;

use serde_json::Value;

use crate::form::{self, Subject};
use crate::history::{self, Step};
use crate::request::authorization;

/// A company whose requests are generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrator {
    /// One form per request, and user and password after a challenge.
    Twilio,
    /// Batches, and the password in a header of its own.
    Infobip,
    /// One event per request in two versions, and the password alone.
    Gupshup,
    /// One object per request, and the password alone.
    KooMessage,
    /// Meta's envelope, and user and password unasked.
    Dialog360,
    /// Meta's envelope, signed with the app secret.
    Meta,
}

/// A report on a message.
#[derive(Clone, Copy, Debug)]
pub struct ReportedStep<'a> {
    /// The message.
    pub subject: Subject<'a>,
    /// What happened to it.
    pub step: Step,
}

/// When the reports of a request happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTime {
    /// Seconds since 1970.
    pub unix_seconds: i64,
    /// The same as RFC 3339.
    pub text: String,
}

impl Integrator {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Twilio,
        Self::Infobip,
        Self::Gupshup,
        Self::KooMessage,
        Self::Dialog360,
        Self::Meta,
    ];

    /// Returns the one of this name in the report path.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.name() == name)
    }

    /// Returns its name in the report path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Infobip => "infobip",
            Self::Gupshup => "gupshup",
            Self::KooMessage => "koomessage",
            Self::Dialog360 => "360dialog",
            Self::Meta => "meta",
        }
    }

    /// Returns how many of 100 messages have which history.
    #[must_use]
    pub const fn histories(self) -> &'static [(usize, &'static [Step])] {
        match self {
            Self::Twilio => &history::HISTORIES,
            Self::Infobip => &infobip::HISTORIES,
            Self::Gupshup => &gupshup::HISTORIES,
            Self::KooMessage => &koomessage::HISTORIES,
            Self::Dialog360 | Self::Meta => &meta::HISTORIES,
        }
    }

    /// Returns histories with reports in the wrong order, failures and unknown statuses.
    #[must_use]
    pub(crate) const fn disorderly_histories(self) -> &'static [[Step; 3]; 8] {
        match self {
            Self::Infobip => &infobip::DISORDERLY,
            _ => &history::DISORDERLY,
        }
    }

    /// Returns the largest number of reports in one generated request.
    #[must_use]
    pub const fn batch_max(self) -> usize {
        match self {
            Self::Twilio | Self::Gupshup | Self::KooMessage => 1,
            Self::Infobip => 20,
            Self::Dialog360 | Self::Meta => 5,
        }
    }

    /// Returns whether it sends requests again that were not answered with success, and some that
    /// were.
    #[must_use]
    pub const fn redelivers(self) -> bool {
        !matches!(self, Self::Twilio | Self::KooMessage)
    }

    /// Returns the HTTP status with which its requests are accepted.
    #[must_use]
    pub const fn success(self) -> u16 {
        match self {
            Self::Twilio | Self::KooMessage => 204,
            Self::Infobip | Self::Gupshup | Self::Dialog360 | Self::Meta => 200,
        }
    }

    /// Returns the media type of its bodies.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Twilio => "application/x-www-form-urlencoded; charset=utf-8",
            _ => "application/json; charset=UTF-8",
        }
    }

    /// Returns the word before the channel in its report path.
    #[must_use]
    pub const fn path_word(self) -> &'static str {
        match self {
            Self::Gupshup => "message",
            _ => "report",
        }
    }

    /// Returns the `User-Agent` of its requests.
    #[must_use]
    pub(crate) const fn user_agent(self) -> &'static str {
        match self {
            Self::Twilio => "TwilioProxy/1.1",
            _ => "java/socket",
        }
    }

    /// Returns the header line that authenticates a request with this body: the credentials of a
    /// channel, or a signature with its app secret, which is given as the password.
    #[must_use]
    pub fn credentials(self, user: &str, password: &str, body: &str) -> (&'static str, String) {
        match self {
            Self::Meta => ("X-Hub-Signature-256", meta::sign(password, body)),
            Self::Twilio | Self::Dialog360 => ("Authorization", authorization(user, password)),
            Self::Infobip => ("AccountKey", password.to_owned()),
            Self::Gupshup | Self::KooMessage => ("Authorization", password.to_owned()),
        }
    }

    /// Returns a message id in its form, made from random bits.
    #[must_use]
    pub fn message_id(self, bits: u128, has_media: bool) -> String {
        match self {
            Self::Twilio if has_media => format!("MM{bits:032x}"),
            Self::Twilio => format!("SM{bits:032x}"),
            Self::Infobip | Self::Gupshup => uuid::Uuid::from_u128(bits).to_string(),
            Self::KooMessage => format!("0{bits:032x}"),
            Self::Dialog360 | Self::Meta => format!("wamid.HBgL{bits:032X}AA=="),
        }
    }

    /// Returns an address in its form; `address` is in Twilio's.
    #[must_use]
    pub fn address(self, address: &'static str) -> &'static str {
        match self {
            Self::Twilio => address,
            _ => bare(address),
        }
    }

    /// Returns the body of a request with these reports, of which there are one to
    /// [`batch_max`](Self::batch_max).
    #[must_use]
    pub fn body(self, reports: &[ReportedStep<'_>], time: &ReportTime) -> String {
        let [first, ..] = reports else {
            return String::new();
        };
        match self {
            Self::Twilio => form::body(first.subject, first.step),
            Self::Infobip => infobip::body(reports, time).to_string(),
            Self::Gupshup => gupshup::body(first, time).to_string(),
            Self::KooMessage => koomessage::body(first).to_string(),
            Self::Dialog360 | Self::Meta => meta::body(reports, time, meta::status).to_string(),
        }
    }
}

/// Adds a field to an object.
fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
    object
}

/// Returns an address without the parts that only Twilio writes.
fn bare(address: &str) -> &str {
    let address = address.strip_prefix("whatsapp:").unwrap_or(address);
    address.strip_prefix('+').unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::history::{failure, step};

    fn time() -> ReportTime {
        ReportTime {
            unix_seconds: 1_795_166_142,
            text: "2026-11-20T09:15:42Z".to_owned(),
        }
    }

    #[test]
    fn shares_of_histories_add_up_to_100() {
        for integrator in Integrator::ALL {
            let shares = integrator.histories().iter().map(|(share, _)| share);
            assert_eq!(shares.sum::<usize>(), 100, "{integrator:?}");
            assert_eq!(Integrator::named(integrator.name()), Some(integrator));
        }
    }

    #[test]
    fn every_step_of_a_history_has_a_body_of_its_own() {
        for integrator in Integrator::ALL {
            let steps = integrator.histories().iter().flat_map(|(_, steps)| *steps);
            let bodies: HashSet<_> = steps
                .map(|step| {
                    let subject = Subject::new("id-1");
                    let report = ReportedStep {
                        subject,
                        step: *step,
                    };
                    let step = (step.status, step.error.map(|error| error.code));
                    (step, integrator.body(&[report], &time()))
                })
                .collect();
            let texts: HashSet<_> = bodies.iter().map(|(_, body)| body).collect();
            assert_eq!(bodies.len(), texts.len(), "{integrator:?}");
            assert!(
                texts.iter().all(|text| text.contains("id-1")),
                "{integrator:?}"
            );
        }
    }

    #[test]
    fn batch_has_an_element_for_each_report() {
        let reports = ["1", "2", "3"].map(|sid| ReportedStep {
            subject: Subject::new(sid),
            step: step("sent"),
        });
        let body = Integrator::Infobip.body(&reports, &time());
        assert_eq!(body.matches("messageId").count(), 3, "{body}");
        let body = Integrator::Dialog360.body(&reports, &time());
        assert_eq!(body.matches("recipient_id").count(), 3, "{body}");
    }

    #[test]
    fn failures_have_their_code() {
        let report = ReportedStep {
            subject: Subject::new("1"),
            step: failure("failed", "131047", "Too late"),
        };
        for integrator in [Integrator::Gupshup, Integrator::Dialog360] {
            let body = integrator.body(&[report], &time());
            assert!(body.contains("131047"), "{body}");
        }
    }

    #[test]
    fn addresses_other_than_twilio_s_are_bare() {
        let sender = "whatsapp:+15550109001";
        assert_eq!(Integrator::Twilio.address(sender), sender);
        assert_eq!(Integrator::Infobip.address(sender), "15550109001");
    }
}
