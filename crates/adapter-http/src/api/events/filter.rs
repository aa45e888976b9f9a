//! Which events are returned, and how they are shown.

use domain::ChannelId;
use domain::event::{EventFilter, EventType, MessageEvent};
use usecases::CloudEvent;

use crate::api::error::ApiError;
use crate::api::operator::Operator;
use crate::api::query::set;

/// Reads a filter from lists of channels and types, separated by commas.
pub(super) fn filter(channels: Option<&str>, types: Option<&str>) -> Result<EventFilter, ApiError> {
    let channels = channels.map(|text| set("channel", text.split(','), ChannelId::parse));
    let types = types.map(|text| set("types", text.split(','), str::parse::<EventType>));
    Ok(EventFilter {
        channels: channels.transpose()?,
        types: types.transpose()?,
        ..EventFilter::default()
    })
}

/// Shows an event. Its error is explained if its channel is known.
pub(super) fn cloud_event(operator: &Operator, event: &MessageEvent, reveal: bool) -> CloudEvent {
    let channel = operator.state.directory.find(&event.key.channel);
    let integrator = channel.as_ref().map(|known| &known.channel.integrator);
    CloudEvent::new(event, integrator, reveal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_filter_is_named() {
        for (channel, types, field) in [
            (Some("a,"), None, "channel"),
            (None, Some("message.delivered,message.teleported"), "types"),
            (None, Some(""), "types"),
        ] {
            let Err(ApiError::Problem(problem)) = filter(channel, types) else {
                panic!("{channel:?} {types:?} are valid");
            };
            assert_eq!(serde_json::to_value(problem).unwrap()["field"], field);
        }
    }
}
