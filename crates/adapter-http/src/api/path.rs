//! The ids in paths. A text that is not an id names nothing: it is answered 404.

use actix_web::http::StatusCode;
use domain::{
    ChannelId, CredentialId, CursorName, DeliveryKey, ErasureId, MessageKey, MessageSid,
    SubscriptionId,
};

use super::error::{ApiError, NO_SUCH_CURSOR, NO_SUCH_MESSAGE};
use crate::problem::Problem;

pub(crate) fn channel_id(text: &str) -> Result<ChannelId, ApiError> {
    let expected = "a channel id is 1 to 64 letters, digits and -._~";
    ChannelId::parse(text).map_err(|_| missing("no_such_channel", expected))
}

pub(crate) fn credential_id(text: &str) -> Result<CredentialId, ApiError> {
    let id = text.parse().map(CredentialId);
    id.map_err(|_| missing("no_such_credential", "a credential id is a UUID"))
}

pub(crate) fn cursor_name(text: &str) -> Result<CursorName, ApiError> {
    let expected = "a cursor name is 1 to 64 letters, digits and -._~";
    CursorName::parse(text).map_err(|_| missing(NO_SUCH_CURSOR, expected))
}

pub(crate) fn delivery_key(text: &str) -> Result<DeliveryKey, ApiError> {
    let expected = "take the delivery id from the list of deliveries";
    text.parse()
        .map_err(|_| missing("no_such_delivery", expected))
}

pub(crate) fn erasure_id(text: &str) -> Result<ErasureId, ApiError> {
    text.parse().map_err(|_| no_such_erasure())
}

pub(crate) fn no_such_erasure() -> ApiError {
    missing("no_such_erasure", "there is no erasure with this id")
}

pub(crate) fn message_key(channel: &str, sid: &str) -> Result<MessageKey, ApiError> {
    let missing = |expected: String| missing(NO_SUCH_MESSAGE, expected);
    Ok(MessageKey {
        channel: ChannelId::parse(channel).map_err(|error| missing(error.to_string()))?,
        sid: MessageSid::parse(sid).map_err(|error| missing(error.to_string()))?,
    })
}

pub(crate) fn subscription_id(text: &str) -> Result<SubscriptionId, ApiError> {
    let id = text.parse().map(SubscriptionId);
    id.map_err(|_| missing("no_such_subscription", "a subscription id is a UUID"))
}

fn missing(code: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    Problem::new(StatusCode::NOT_FOUND, code, detail).into()
}
