//! Messages, and what was reported of them.

pub mod view;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use domain::page::{MessageCursor, MessageFilter, Page};
use domain::{
    ChannelId, DeliveryStatus, ErrorCode, IntegratorName, Message, MessageKey, MessageSid,
    Recipient, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Operator;
use super::error::{ApiError, NO_SUCH_MESSAGE, valid};
use super::query::{cursor, flag, from_cursor, limit, reveal, with_plus};
use crate::problem::Problem;
use view::{MessageDetailView, MessageView};

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageList {
    /// The messages, the one first heard of last first.
    pub items: Vec<MessageView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl MessageList {
    /// A page as it is shown. Errors of channels whose integrator is known are
    /// explained.
    #[must_use]
    pub fn new(
        page: &Page<Message, MessageCursor>,
        integrator: impl Fn(&ChannelId) -> Option<IntegratorName>,
        reveal: bool,
    ) -> Self {
        let view = |message: &Message| {
            let integrator = integrator(&message.key.channel);
            MessageView::new(message, integrator.as_ref(), reveal)
        };
        Self {
            items: page.items.iter().map(view).collect(),
            next: page.next.as_ref().map(|next| cursor(&to_text(next))),
        }
    }
}

/// Which messages are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Those of one channel.
    channel: Option<String>,
    /// Those that stand at one status.
    status: Option<String>,
    /// Those that are, or are not, contradicted.
    #[param(value_type = Option<bool>)]
    contradicted: Option<String>,
    /// Those to one recipient: a number, with or without `whatsapp:`, or a user id.
    #[param(example = "whatsapp:+15550100001")]
    to: Option<String>,
    /// Those with one error.
    error_code: Option<String>,
    /// Those first heard of at this time or later.
    #[param(example = "2026-11-22T18:06:17Z")]
    since: Option<String>,
    /// Those first heard of before this time.
    until: Option<String>,
    /// How many at a time, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Whether addresses are shown in the clear.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

impl MessageQuery {
    fn filter(&self) -> Result<MessageFilter, ApiError> {
        let channel = self.channel.as_deref().map(ChannelId::parse).transpose();
        let to = self.to.as_deref().map(Recipient::parse).transpose();
        let error_code = self.error_code.as_deref().map(ErrorCode::parse).transpose();
        let time = |text: &Option<String>| {
            let text = text.as_deref().map(with_plus);
            text.map(|text| Timestamp::parse(&text)).transpose()
        };
        let contradicted = self.contradicted.as_deref();
        Ok(MessageFilter {
            channel: valid("channel", channel)?,
            status: self.status.as_deref().map(status).transpose()?,
            contradicted: contradicted
                .map(|text| flag("contradicted", text))
                .transpose()?,
            recipient: valid("to", to)?,
            error_code: valid("error_code", error_code)?,
            since: valid("since", time(&self.since))?,
            until: valid("until", time(&self.until))?,
        })
    }
}

fn status(word: &str) -> Result<DeliveryStatus, ApiError> {
    let found = DeliveryStatus::from_word(word);
    valid(
        "status",
        found.ok_or_else(|| {
            let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
            format!("one of {words}")
        }),
    )
}

fn to_text(cursor: &MessageCursor) -> String {
    let MessageCursor {
        first_reported_at,
        key,
    } = cursor;
    format!(
        "{} {} {}",
        first_reported_at.unix_micros(),
        key.channel,
        key.sid
    )
}

pub(crate) fn from_text(text: &str) -> Option<MessageCursor> {
    let mut parts = text.split(' ');
    let found = MessageCursor {
        first_reported_at: Timestamp::from_unix_micros(parts.next()?.parse().ok()?).ok()?,
        key: MessageKey {
            channel: ChannelId::parse(parts.next()?).ok()?,
            sid: MessageSid::parse(parts.next()?).ok()?,
        },
    };
    parts.next().is_none().then_some(found)
}

/// List messages
#[utoipa::path(
    get,
    path = "/api/v1/messages",
    operation_id = "list_messages",
    tag = "messages",
    params(MessageQuery),
    responses(
        (status = 200, body = MessageList),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(
    operator: web::Data<Operator>,
    query: web::Query<MessageQuery>,
) -> Result<HttpResponse, ApiError> {
    let filter = query.filter()?;
    let reveal = reveal(query.reveal.as_deref())?;
    let after = query.cursor.as_deref();
    let after = after.map(|text| from_cursor(text, from_text)).transpose()?;
    let size = limit(query.limit.as_deref())?;
    let listing = operator.state.list.run(&filter, after.as_ref(), size);
    let page = operator.run(listing).await?;
    let integrator = |channel: &ChannelId| {
        let found = operator.state.directory.find(channel)?;
        Some(found.channel.integrator.clone())
    };
    Ok(HttpResponse::Ok().json(MessageList::new(&page, integrator, reveal)))
}

/// How a message is shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShowQuery {
    /// Whether addresses and fields are shown in the clear.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// Show a message with all its reports
#[utoipa::path(
    get,
    path = "/api/v1/messages/{channel}/{sid}",
    operation_id = "show_message",
    tag = "messages",
    params(
        ("channel" = String, Path, description = "The channel id"),
        ("sid" = String, Path, description = "The integrator's message id"),
        ShowQuery,
    ),
    responses(
        (status = 200, body = MessageDetailView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(
    operator: web::Data<Operator>,
    path: web::Path<(String, String)>,
    query: web::Query<ShowQuery>,
) -> Result<HttpResponse, ApiError> {
    let reveal = reveal(query.reveal.as_deref())?;
    let (channel, sid) = path.into_inner();
    // What is no id names no message.
    let missing = |expected: String| {
        ApiError::Problem(Problem::new(
            StatusCode::NOT_FOUND,
            NO_SUCH_MESSAGE,
            expected,
        ))
    };
    let key = MessageKey {
        channel: ChannelId::parse(&channel).map_err(|error| missing(error.to_string()))?,
        sid: MessageSid::parse(&sid).map_err(|error| missing(error.to_string()))?,
    };
    let found = operator.run(operator.state.show.run(&key)).await?;
    Ok(HttpResponse::Ok().json(MessageDetailView::new(&found, reveal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::builders::{key, time};

    #[test]
    fn a_cursor_survives_the_way_out_and_back() {
        let there = MessageCursor {
            first_reported_at: time(1_795_370_777_000_001),
            key: key("a:message id's/sid".replace(' ', "_").as_str()),
        };
        assert_eq!(from_text(&to_text(&there)), Some(there));
        for bad in ["", "1", "1 c", "x c s", "1 c s s", "1 / s"] {
            assert_eq!(from_text(bad), None, "{bad}");
        }
    }
}
