//! The state that a plan must lead to, by the domain's rules.

use anyhow::Result;
use domain::report::{ReportError, ReportFields};
use domain::{
    Address, Alias, ChannelId, CredentialId, ErrorCode, ErrorText, Message, MessageKey, MessageSid,
    Report, ReportedStatus, Timestamp,
};
use traffic::plan::{Plan, PlannedMessage, PlannedReport};
use uuid::Uuid;

/// Returns the messages of a plan after all its reports, in the plan's order. Their times are the
/// indices of the reports.
pub fn of(plan: &Plan, channel: &ChannelId) -> Result<Vec<Message>> {
    let mut messages: Vec<Option<Message>> = vec![None; plan.messages.len()];
    for (planned, time) in plan.reports.iter().zip(0..) {
        let Some((message, so_far)) = plan
            .messages
            .get(planned.message)
            .zip(messages.get_mut(planned.message))
        else {
            continue;
        };
        let report = report(
            channel,
            message,
            planned,
            Timestamp::from_unix_micros(time)?,
        )?;
        match so_far {
            Some(message) => {
                message.absorb(&report);
            }
            None => *so_far = Some(Message::begin(&report).0),
        }
    }
    Ok(messages.into_iter().flatten().collect())
}

fn report(
    channel: &ChannelId,
    message: &PlannedMessage,
    planned: &PlannedReport,
    arrived_at: Timestamp,
) -> Result<Report> {
    let error = planned.step.error.map(|error| {
        let code = ErrorCode::parse(error.code)?;
        anyhow::Ok(ReportError {
            code,
            text: ErrorText::new(error.text),
        })
    });
    Ok(Report {
        key: MessageKey {
            channel: channel.clone(),
            sid: MessageSid::parse(&message.sid)?,
        },
        alias: Alias::None,
        status: ReportedStatus::parse(planned.step.status)?,
        error: error.transpose()?,
        recipient: Address::parse(&message.recipient)?,
        sender: Some(Address::parse(message.sender)?),
        arrived_at,
        happened_at: None,
        credential: CredentialId(Uuid::nil()),
        idempotency_token: None,
        fields: ReportFields::default(),
    })
}

#[cfg(test)]
mod tests {
    use domain::DeliveryStatus;
    use traffic::integrator::Integrator;
    use traffic::plan::RunId;

    use super::*;

    fn expected() -> Vec<Message> {
        let plan = Plan::new(Integrator::Twilio, 1, RunId::from_random(&[1; 32]), 1000);
        of(&plan, &ChannelId::parse("1").unwrap()).unwrap()
    }

    #[test]
    fn every_planned_message_is_expected() {
        let expected = expected();
        assert_eq!(expected.len(), 1000);
        let reports: u64 = expected
            .iter()
            .map(|message| message.revision() + message.duplicates)
            .sum();
        let plan = Plan::new(Integrator::Twilio, 1, RunId::from_random(&[1; 32]), 1000);
        assert_eq!(usize::try_from(reports).unwrap(), plan.reports.len());
    }

    #[test]
    fn expected_states_follow_the_shares_of_the_histories() {
        let expected = expected();
        let count =
            |holds: &dyn Fn(&Message) -> bool| expected.iter().filter(|each| holds(each)).count();
        assert_eq!(
            count(&|each| each.state.status() == Some(DeliveryStatus::Read)),
            630
        );
        assert_eq!(count(&|each| each.state.contradicted()), 50);
        assert_eq!(count(&|each| each.state.status().is_none()), 10);
        assert_eq!(count(&|each| each.state.error().is_some()), 160);
        assert!(count(&|each| each.duplicates > 0) > 50);
    }
}
