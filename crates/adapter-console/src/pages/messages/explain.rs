//! Sentences about a message: its outcome, and the reason for the effect of each report.

use domain::error_code::{Actor, ErrorExplanation, Permanence};
use domain::{DeliveryStatus, Effect, Message, MessageState, ReportedStatus};

use crate::status::{self, StatusLook};
use crate::time;

/// The outcome of a message.
pub(crate) struct Verdict {
    pub(crate) look: StatusLook,
    pub(crate) sentence: String,
    pub(crate) more: Option<String>,
}

/// Describes the outcome of a message; `ago` is the time since its last report.
pub(crate) fn verdict(
    message: &Message,
    explanation: Option<&ErrorExplanation>,
    ago: &str,
) -> Verdict {
    let state = &message.state;
    let Some(status) = state.status() else {
        return Verdict {
            look: status::UNKNOWN,
            sentence: "The outcome of this message is not known.".to_owned(),
            more: Some(
                "None of its reports has a status that says so. They are listed below.".to_owned(),
            ),
        };
    };
    let look = status::look(status);
    if state.contradicted() {
        return Verdict {
            look: status::CONTRADICTED,
            sentence: format!(
                "This message was reported both as arrived and as failed. It counts as {}.",
                look.word.to_lowercase()
            ),
            more: Some(
                "A recipient with several devices can cause this: one of them failed, another \
                 received the message. If it happens often, ask the integrator."
                    .to_owned(),
            ),
        };
    }
    let (sentence, more) = match status {
        DeliveryStatus::Read => (read_sentence(state), None),
        DeliveryStatus::Delivered => (
            "Delivered to the recipient's device.".to_owned(),
            Some("Not reported as read so far. Recipients can turn read receipts off.".to_owned()),
        ),
        DeliveryStatus::PartiallyDelivered => (
            "Delivered in part.".to_owned(),
            Some("Some parts of this message have arrived, others not yet.".to_owned()),
        ),
        DeliveryStatus::Sent => (
            "Sent, but not delivered so far.".to_owned(),
            Some(format!(
                "The recipient's device may be off or without network. Last report: {ago}."
            )),
        ),
        DeliveryStatus::Accepted
        | DeliveryStatus::Scheduled
        | DeliveryStatus::Queued
        | DeliveryStatus::Sending => (
            "Still with the integrator, not sent so far.".to_owned(),
            Some(format!("Last report: {ago}.")),
        ),
        DeliveryStatus::Canceled => ("Canceled before it was sent.".to_owned(), None),
        DeliveryStatus::Failed if was_sent(state) => {
            failure("The message failed after it was sent", explanation)
        }
        DeliveryStatus::Failed => failure("The message was not sent", explanation),
        DeliveryStatus::Undelivered => failure("The message was not delivered", explanation),
    };
    Verdict {
        look,
        sentence,
        more,
    }
}

/// Returns whether a message was reported as sent.
fn was_sent(state: &MessageState) -> bool {
    state.timeline().first(DeliveryStatus::Sent).is_some()
}

fn read_sentence(state: &MessageState) -> String {
    let timeline = state.timeline();
    let first = |status| timeline.first(status);
    let times = first(DeliveryStatus::Delivered).zip(first(DeliveryStatus::Read));
    match times.map(|(delivered, read)| read.unix_micros() - delivered.unix_micros()) {
        Some(micros) if micros >= 0 => {
            let later = time::duration(micros);
            format!("Read by the recipient, {later} after it was delivered.")
        }
        _ => "Read by the recipient.".to_owned(),
    }
}

fn failure(what: &str, explanation: Option<&ErrorExplanation>) -> (String, Option<String>) {
    match explanation {
        Some(explanation) => (
            format!("{what}: {}.", explanation.title.trim_end_matches('.')),
            Some(format!(
                "{} {}",
                who_must_act(explanation),
                will_a_retry_help(explanation.permanence)
            )),
        ),
        None => (
            format!("{what}. No error code was reported."),
            Some("Ask the integrator for the reason.".to_owned()),
        ),
    }
}

/// Says who must act on an error.
pub(crate) fn who_must_act(explanation: &ErrorExplanation) -> &'static str {
    if !explanation.is_known() {
        return "Not known. Ask the integrator what the code means.";
    }
    match explanation.actor {
        Actor::Sender => "The sender must act.",
        Actor::Recipient => "Only the recipient can change this.",
        Actor::TemplateOwner => "The owner of the message template must act.",
        Actor::Integrator => "The integrator or its network must act.",
        Actor::Nobody => "Nothing has to be done.",
    }
}

/// Says whether sending the message again can help.
pub(crate) const fn will_a_retry_help(permanence: Permanence) -> &'static str {
    match permanence {
        Permanence::Permanent => "Permanent: sending the same message again fails again.",
        Permanence::Temporary => "Temporary: sending it again later can succeed.",
        Permanence::Configuration => "Sending it again succeeds once the setting is corrected.",
        Permanence::Unknown => "It is not known whether sending it again helps.",
    }
}

/// Says why a report had its effect. `before` is the state of the message until then.
pub(crate) fn why(status: &ReportedStatus, effect: Effect, before: &MessageState) -> String {
    let known = before
        .status()
        .map(status::look)
        .map(|look| look.word.to_lowercase());
    match (effect, known) {
        (Effect::Advanced, None) => "the first report with a status".to_owned(),
        (Effect::Advanced, Some(known)) => format!("from {known}"),
        (Effect::Late, Some(known)) if same(status, before) => {
            format!("{known} was already known, with another error")
        }
        (Effect::Late, Some(known)) => format!("{known} was already known"),
        (Effect::Late, None) => "a higher status was already known".to_owned(),
        (Effect::Duplicate, _) => "the same status and error came before".to_owned(),
        (Effect::UnknownStatus, _) => {
            "this word is not a known status; stored, and nothing changed".to_owned()
        }
        (Effect::Inbound, _) => {
            "it is about an incoming message; stored, and nothing changed".to_owned()
        }
    }
}

fn same(status: &ReportedStatus, before: &MessageState) -> bool {
    status.delivery().is_some() && status.delivery() == before.status()
}

/// Returns the word and the colour of an effect.
pub(crate) const fn effect_look(effect: Effect) -> StatusLook {
    let (tone, shape, word) = match effect {
        Effect::Advanced => ("delivered", "sent", "Advanced"),
        Effect::Late => ("waiting", "quiet", "Late"),
        Effect::Duplicate => ("waiting", "new", "Repeated"),
        Effect::UnknownStatus => ("caution", "unknown", "Unknown status"),
        Effect::Inbound => ("waiting", "info", "Incoming"),
    };
    StatusLook { tone, shape, word }
}

#[cfg(test)]
mod tests {
    use testkit::builders::report;

    use super::*;

    fn message(reports: &[(&str, i64)]) -> Message {
        let mut reports = reports
            .iter()
            .map(|(word, at)| report("SM1").status(word).at(*at).build());
        let (mut message, _) = Message::begin(&reports.next().unwrap());
        for report in reports {
            message.absorb(&report);
        }
        message
    }

    fn sentence(reports: &[(&str, i64)]) -> String {
        verdict(&message(reports), None, "2 min ago").sentence
    }

    #[test]
    fn verdict_says_what_became_of_the_message() {
        assert_eq!(
            sentence(&[("delivered", 0), ("read", 2_100_000)]),
            "Read by the recipient, 2.1 s after it was delivered."
        );
        assert_eq!(
            sentence(&[("read", 0), ("delivered", 1)]),
            "Read by the recipient."
        );
        assert_eq!(sentence(&[("sent", 0)]), "Sent, but not delivered so far.");
        assert_eq!(
            sentence(&[("failed", 0), ("delivered", 1)]),
            "This message was reported both as arrived and as failed. It counts as delivered."
        );
        assert_eq!(
            sentence(&[("queued", 0), ("failed", 1)]),
            "The message was not sent. No error code was reported."
        );
        assert_eq!(
            sentence(&[("sent", 0), ("failed", 1)]),
            "The message failed after it was sent. No error code was reported."
        );
        assert_eq!(
            sentence(&[("teleported", 0)]),
            "The outcome of this message is not known."
        );
    }

    #[test]
    fn late_report_says_what_was_known() {
        let before = message(&[("read", 0)]).state;
        let late = ReportedStatus::parse("delivered").unwrap();
        assert_eq!(why(&late, Effect::Late, &before), "read was already known");
        let again = ReportedStatus::parse("read").unwrap();
        let why = why(&again, Effect::Late, &before);
        assert_eq!(why, "read was already known, with another error");
    }
}
