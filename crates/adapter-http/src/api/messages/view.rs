//! How messages are shown.

use domain::error_code::{ErrorExplanation, explain};
use domain::message::MessageError;
use domain::{DeliveryStatus, ErrorText, IntegratorName, LoggedReport, Message, ReportFields};
use serde::Serialize;
use serde_json::{Map, Value};
use usecases::messages::redacted_fields::shown_fields;
use usecases::messages::show::ShownMessage;
use utoipa::ToSchema;

use crate::api::reveal::shown;

/// A message, as derived from its reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageView {
    /// The channel it was sent through.
    #[schema(example = "202105102694809992")]
    pub channel_id: String,
    /// The integrator's id.
    #[schema(example = "SM0123456789abcdef0123456789abcdef")]
    pub message_sid: String,
    /// Whether it is the message of a test of the channel: it counts in no statistics and has no
    /// events.
    pub test: bool,
    /// The integrator of its channel; `null` if the channel was removed.
    #[schema(example = "twilio")]
    pub integrator: Option<String>,
    /// The highest reported status; `null` if no report had a known status.
    #[schema(example = "read")]
    pub status: Option<&'static str>,
    /// Whether it was reported both as arrived and as failed.
    pub contradicted: bool,
    /// The recipient, masked unless revealed.
    #[schema(example = "whatsapp:+***0001")]
    pub to: String,
    /// The sender, masked unless revealed; `null` if its first report has none.
    #[schema(example = "whatsapp:+***9999")]
    pub from: Option<String>,
    /// The error of its first failure report with an error code.
    pub error: Option<ErrorView>,
    /// When each status was first reported, from the lowest to the highest.
    pub timeline: Vec<StepView>,
    /// When its first report arrived.
    pub first_reported_at: String,
    /// When its last report arrived.
    pub last_reported_at: String,
    /// Counts of its reports.
    pub counters: CountersView,
}

/// An error and its explanation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorView {
    /// The integrator's code.
    #[schema(example = "63016")]
    pub code: String,
    /// The integrator's text, empty if it sent none; phone numbers in it are masked unless
    /// revealed.
    pub text: String,
    /// When the failure was reported.
    pub reported_at: String,
    /// A short description; `null` if the integrator is not known.
    pub title: Option<&'static str>,
    /// What happened and what to do about it.
    pub explanation: Option<&'static str>,
    /// Who has to act: the sender, the recipient, or another party.
    #[schema(example = "sender")]
    pub actor: Option<&'static str>,
    /// Whether sending the same message again can help.
    #[schema(example = "permanent")]
    pub permanence: Option<&'static str>,
}

impl ErrorView {
    fn new(error: &MessageError, explanation: Option<ErrorExplanation>, reveal: bool) -> Self {
        Self {
            code: error.error.code.to_string(),
            text: error_text(&error.error.text, reveal),
            reported_at: error.reported_at.to_string(),
            title: explanation.map(|each| each.title),
            explanation: explanation.map(|each| each.explanation),
            actor: explanation.map(|each| each.actor.as_str()),
            permanence: explanation.map(|each| each.permanence.as_str()),
        }
    }
}

/// A step in the timeline of a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// The status.
    #[schema(example = "delivered")]
    pub status: &'static str,
    /// When it was first reported.
    pub first_reported_at: String,
}

/// Counts of a message's reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountersView {
    /// Distinct reports.
    pub reports: u64,
    /// Repetitions of earlier reports.
    pub duplicates: u64,
}

impl MessageView {
    /// Shows a message. Its error is explained if its integrator is known.
    #[must_use]
    pub fn new(message: &Message, integrator: Option<&IntegratorName>, reveal: bool) -> Self {
        let state = &message.state;
        let error = state.error().map(|error| {
            let explanation = integrator.map(|name| explain(name, &error.error.code));
            ErrorView::new(error, explanation, reveal)
        });
        let sender = message.parties.sender.as_ref();
        let step = |(status, at): (DeliveryStatus, domain::Timestamp)| StepView {
            status: status.as_str(),
            first_reported_at: at.to_string(),
        };
        Self {
            channel_id: message.key.channel.to_string(),
            message_sid: message.key.sid.to_string(),
            test: message.key.sid.is_test(),
            integrator: integrator.map(ToString::to_string),
            status: state.status().map(DeliveryStatus::as_str),
            contradicted: state.contradicted(),
            to: shown(&message.parties.recipient, reveal),
            from: sender.map(|sender| shown(sender, reveal)),
            error,
            timeline: state.timeline().steps().map(step).collect(),
            first_reported_at: message.parties.first_reported_at.to_string(),
            last_reported_at: message.last_reported_at.to_string(),
            counters: CountersView {
                reports: message.revision(),
                duplicates: message.duplicates,
            },
        }
    }
}

/// A message and its reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageDetailView {
    /// The message.
    #[serde(flatten)]
    pub message: MessageView,
    /// The integrator's other id of the same message, if reports on this one arrived before that
    /// was known. The two are counted separately.
    #[schema(example = "5a7e0000-0000-4000-8000-000000000001")]
    pub alias_of: Option<String>,
    /// Its reports in the order in which they were recorded.
    pub reports: Vec<ReportView>,
}

impl MessageDetailView {
    /// Shows a message with its reports.
    #[must_use]
    pub fn new(found: &ShownMessage, reveal: bool) -> Self {
        let reports = found.message.reports.iter();
        Self {
            message: MessageView::new(&found.message.message, found.integrator.as_ref(), reveal),
            alias_of: found.message.alias_of.as_ref().map(ToString::to_string),
            reports: reports.map(|each| ReportView::new(each, reveal)).collect(),
        }
    }
}

/// A report in the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// Its id; later reports have greater ids.
    pub id: i64,
    /// The number of the change of its message, from 1.
    pub revision: i64,
    /// When it arrived.
    pub arrived_at: String,
    /// When it happened, by the integrator's clock; `null` if the integrator does not say.
    pub happened_at: Option<String>,
    /// The status as it was reported; phone numbers in an unknown status are masked unless
    /// revealed.
    #[schema(example = "delivered")]
    pub status: String,
    /// Its effect on the message.
    #[schema(example = "advanced")]
    pub effect: &'static str,
    /// The integrator's error code.
    pub error_code: Option<String>,
    /// The integrator's error text; phone numbers in it are masked unless revealed.
    pub error_text: Option<String>,
    /// The recipient, masked unless revealed.
    pub to: String,
    /// The sender, masked unless revealed; `null` if the report has none.
    pub from: Option<String>,
    /// Where it comes from: `callback`, or `reconciled` if it did not arrive and was read from the
    /// integrator's records.
    #[schema(example = "callback")]
    pub provenance: &'static str,
    /// The credential that authenticated the caller; of a reconciled report a fixed id.
    #[schema(format = "uuid")]
    pub credential_id: String,
    /// The integrator's token for the call.
    pub idempotency_token: Option<String>,
    /// All other fields as they were sent; an array if a name was sent more than once. Values that
    /// may be personal are masked unless revealed.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
}

impl ReportView {
    fn new(logged: &LoggedReport, reveal: bool) -> Self {
        let report = &logged.report;
        let error = report.error.as_ref();
        Self {
            id: logged.id,
            revision: logged.revision,
            arrived_at: report.arrived_at.to_string(),
            happened_at: report.happened_at.map(|at| at.to_string()),
            status: if reveal {
                report.status.as_str().to_owned()
            } else {
                report.status.to_string()
            },
            effect: logged.effect.as_str(),
            error_code: error.map(|error| error.code.to_string()),
            error_text: error.map(|error| error_text(&error.text, reveal)),
            to: shown(&report.recipient, reveal),
            from: report.sender.as_ref().map(|it| shown(it, reveal)),
            provenance: report.provenance().as_str(),
            credential_id: report.credential.to_string(),
            idempotency_token: report.idempotency_token.clone(),
            fields: fields(&report.fields, reveal),
        }
    }
}

fn error_text(text: &ErrorText, reveal: bool) -> String {
    if reveal {
        text.reveal().to_owned()
    } else {
        text.to_string()
    }
}

fn fields(fields: &ReportFields, reveal: bool) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in shown_fields(fields, reveal) {
        let value = Value::from(value);
        match object.get_mut(&name) {
            None => {
                object.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_repeated_field_are_an_array() {
        let pairs = [
            ("ApiVersion", "2010-04-01"),
            ("Body", "hello"),
            ("Body", "you"),
        ];
        let sent = ReportFields::new(&pairs);
        let shown = |reveal| Value::Object(fields(&sent, reveal)).to_string();
        assert_eq!(
            shown(false),
            r#"{"ApiVersion":"2010-04-01","Body":["***","***"]}"#
        );
        assert_eq!(
            shown(true),
            r#"{"ApiVersion":"2010-04-01","Body":["hello","you"]}"#
        );
    }
}
