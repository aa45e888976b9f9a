//! Looks up messages of which the integrator says that it could not deliver a report.

use std::num::NonZeroU16;

use domain::reconciliation::CallbackAlert;
use domain::{Channel, Timestamp};
use ports::message_records::{MessageRecord, RecordsError};

use super::run::ReconcileError;
use super::session::Session;

/// How many messages are looked up before what they lack is recorded.
const STEP_ALERTS: NonZeroU16 = NonZeroU16::new(20).unwrap();

/// How many steps a run has, at most, so that it does not hold the lease for long. Later runs look
/// up the rest.
const MAX_STEPS: usize = 10;

/// Looks up the messages of alerts, the oldest first, and records what is missing. An alert whose
/// message cannot be recorded, or cannot be looked up because the integrator's API fails, stays
/// due.
///
/// Messages that are not known are recorded only if their sender is one that the channel lists: the
/// account may also belong to other channels, and sends other messages than those of WhatsApp.
/// Those that changed last before `expired_before` are not recorded: retention may have removed
/// them.
pub(super) async fn look_up_alerts(
    session: &mut Session<'_>,
    channel: &Channel,
    expired_before: Timestamp,
) -> Result<(), ReconcileError> {
    let accounts = &session.dependencies.accounts;
    for _ in 0..MAX_STEPS {
        let due = accounts.due_callback_alerts(session.channel, STEP_ALERTS);
        let due = due.await?;
        if due.is_empty() {
            break;
        }
        let before = session.done;
        let mut records = Vec::new();
        let mut looked_up = Vec::new();
        let outcome = find_all(session, &due, &mut records, &mut looked_up).await;
        let is_own = |record: &MessageRecord| {
            is_sent_by(channel, record) && record.updated_at.is_none_or(|at| at >= expired_before)
        };
        session.compare_records(&records, is_own).await?;
        if session.dry_run {
            outcome?;
            break;
        }
        if session.done.left == before.left {
            accounts.mark_alerts_looked_up(&looked_up).await?;
        }
        session.note(before, None, None).await?;
        outcome?;
        if session.done.left > before.left {
            break;
        }
    }
    Ok(())
}

/// Looks up the messages of alerts one by one. Adds the records to `records`, and the alerts that
/// need no further lookup to `looked_up`, also those of messages that the integrator does not know
/// and of a record that cannot be read.
async fn find_all(
    session: &mut Session<'_>,
    alerts: &[CallbackAlert],
    records: &mut Vec<MessageRecord>,
    looked_up: &mut Vec<CallbackAlert>,
) -> Result<(), RecordsError> {
    for alert in alerts {
        // Test messages exist here only.
        if !alert.sid.is_test() {
            if let Some(record) = session.requests.find(&alert.sid).await? {
                records.push(record);
            } else {
                session.done.checked += 1;
                session.done.unknown += 1;
            }
        }
        looked_up.push(alert.clone());
    }
    Ok(())
}

/// Returns whether a message was sent on WhatsApp by a sender that the channel lists.
fn is_sent_by(channel: &Channel, record: &MessageRecord) -> bool {
    !channel.senders.is_empty()
        && record
            .sender
            .as_ref()
            .is_some_and(|sender| sender.is_whatsapp() && channel.allows(Some(sender)))
}

#[cfg(test)]
mod tests {
    use domain::ReportedStatus;
    use testkit::builders::{CHANNEL, address, channel, key, report, twilio_sid};

    use super::*;

    #[test]
    fn only_whatsapp_messages_of_listed_senders_are_of_the_channel() {
        let listed: &[&str] = &["+15550109999"];
        for (senders, sender, expected) in [
            (listed, Some("whatsapp:+15550109999"), true),
            (
                &["whatsapp:+15550109999"],
                Some("WhatsApp:+15550109999"),
                true,
            ),
            (listed, Some("+15550109999"), false),
            (listed, Some("rcs:+15550109999"), false),
            (listed, Some("whatsapp:+15550100000"), false),
            (listed, None, false),
            (&[], Some("whatsapp:+15550109999"), false),
        ] {
            let channel = channel(CHANNEL).senders(senders).build();
            let record = MessageRecord {
                sid: key(&twilio_sid(1)).sid,
                status: ReportedStatus::parse("sent").unwrap(),
                error: None,
                recipient: report(&twilio_sid(1)).build().recipient,
                sender: sender.map(address),
                updated_at: None,
            };
            let is_own = is_sent_by(&channel, &record);
            assert_eq!(is_own, expected, "{senders:?} {sender:?}");
        }
    }
}
