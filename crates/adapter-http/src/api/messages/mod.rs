//! Messages and their reports.

pub mod view;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::page::{MessageCursor, MessageFilter, Page};
use domain::{
    ChannelId, DeliveryStatus, ErrorCode, IntegratorName, Message, MessageKey, MessageSid,
    Recipient, StatusSet, Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, valid};
use super::operator::Operator;
use super::path::message_key;
use super::query::{encode_cursor, page, time};
use super::reveal::{flag, reveal};
use view::{MessageDetailView, MessageView};

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageList {
    /// The messages, newest first by their first report. A page ends after 10,000 messages that
    /// were examined: with a filter it may have fewer than `limit`, or none, and still have a
    /// `next`.
    pub items: Vec<MessageView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl MessageList {
    /// Shows a page. Errors of channels whose integrator is known are explained.
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
            next: page
                .next
                .as_ref()
                .map(|next| encode_cursor(&cursor_text(next))),
        }
    }
}

/// The parameters of a list of messages.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Only those of this channel.
    channel: Option<String>,
    /// Only those in this status, or in one of several, separated by commas.
    #[param(example = "failed,undelivered")]
    status: Option<String>,
    /// Only those that are, or are not, contradicted.
    #[param(value_type = Option<bool>)]
    contradicted: Option<String>,
    /// Only those to this recipient: a number, with or without `whatsapp:`, or a user id.
    #[param(example = "whatsapp:+15550100001")]
    to: Option<String>,
    /// Only those with this error.
    error_code: Option<String>,
    /// Only those first reported at this time or later.
    #[param(example = "2026-11-22T18:06:17Z")]
    since: Option<String>,
    /// Only those first reported before this time.
    until: Option<String>,
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next` of the previous page.
    cursor: Option<String>,
    /// Whether addresses are shown unmasked.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

impl MessageQuery {
    fn filter(&self) -> Result<MessageFilter, ApiError> {
        let channel = self.channel.as_deref().map(ChannelId::parse).transpose();
        let to = self.to.as_deref().map(Recipient::parse).transpose();
        let error_code = self.error_code.as_deref().map(ErrorCode::parse).transpose();
        let contradicted = self.contradicted.as_deref();
        Ok(MessageFilter {
            channel: valid("channel", channel)?,
            status: self.status.as_deref().map(statuses).transpose()?,
            contradicted: contradicted
                .map(|text| flag("contradicted", text))
                .transpose()?,
            recipient: valid("to", to)?,
            error_code: valid("error_code", error_code)?,
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
        })
    }
}

fn statuses(words: &str) -> Result<StatusSet, ApiError> {
    let found = words.parse().ok();
    valid(
        "status",
        found.ok_or_else(|| {
            let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
            format!("one or several of {words}")
        }),
    )
}

fn cursor_text(cursor: &MessageCursor) -> String {
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

pub(crate) fn cursor_from_text(text: &str) -> Option<MessageCursor> {
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
    get, path = "/api/v1/messages",
    operation_id = "list_messages",
    tag = "messages",
    params(MessageQuery),
    responses((status = 200, body = MessageList)),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<MessageQuery>) -> ApiResult {
    let filter = query.filter()?;
    let reveal = reveal(query.reveal.as_deref())?;
    let (cursor, size) = (query.cursor.as_deref(), query.limit.as_deref());
    let (after, size) = page(cursor, size, cursor_from_text)?;
    let messages = operator.state.list.run(&filter, after.as_ref(), size);
    let page = operator.run(messages).await?;
    let integrator = |channel: &ChannelId| {
        let found = operator.state.directory.find(channel)?;
        Some(found.channel.integrator.clone())
    };
    Ok(HttpResponse::Ok().json(MessageList::new(&page, integrator, reveal)))
}

/// The parameters of a message.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShowQuery {
    /// Whether addresses and fields are shown unmasked.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// Show a message with all its reports
#[utoipa::path(
    get, path = "/api/v1/messages/{channel}/{sid}",
    operation_id = "show_message",
    tag = "messages",
    params(
        ("channel" = String, Path, description = "The channel id"),
        ("sid" = String, Path, description = "The integrator's message id"),
        ShowQuery,
    ),
    responses((status = 200, body = MessageDetailView)),
)]
pub(crate) async fn show(
    operator: Data<Operator>,
    path: Path<(String, String)>,
    query: Query<ShowQuery>,
) -> ApiResult {
    let reveal = reveal(query.reveal.as_deref())?;
    let (channel, sid) = path.into_inner();
    let key = message_key(&channel, &sid)?;
    let found = operator.run(operator.state.show.run(&key)).await?;
    Ok(HttpResponse::Ok().json(MessageDetailView::new(&found, reveal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::builders::{key, time};

    #[test]
    fn cursor_survives_a_round_trip() {
        let cursor = MessageCursor {
            first_reported_at: time(1_795_370_777_000_001),
            key: key("a:message id's/sid".replace(' ', "_").as_str()),
        };
        assert_eq!(cursor_from_text(&cursor_text(&cursor)), Some(cursor));
        for bad in ["", "1", "1 c", "x c s", "1 c s s", "1 / s"] {
            assert_eq!(cursor_from_text(bad), None, "{bad}");
        }
    }
}
