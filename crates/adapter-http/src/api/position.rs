//! Positions in the log, as the API reads and shows them.

use domain::{LogPosition, Timestamp};

use super::error::{ApiError, invalid, valid};
use super::operator::Operator;
use super::query::{encode_cursor, parameter_cursor, with_plus};

/// Encodes a position in the form that `after` takes.
#[must_use]
pub fn position_text(position: LogPosition) -> String {
    encode_cursor(&position.to_string())
}

/// Reads the decoded text of a position; `None` if it is not one.
pub(crate) fn position_from_text(text: &str) -> Option<LogPosition> {
    text.parse()
        .ok()
        .filter(|number| *number >= 0)
        .map(LogPosition)
}

/// Finds the position that a field names: a `next`, `latest` or `oldest`.
pub(crate) async fn named_position(
    operator: &Operator,
    field: &'static str,
    text: &str,
) -> Result<LogPosition, ApiError> {
    let log = operator.state.events.log();
    match text {
        "latest" => Ok(operator.run(log.head()).await?),
        "oldest" => Ok(operator.run(log.seek(Timestamp::EPOCH)).await?),
        text => parameter_cursor(field, text, position_from_text),
    }
}

/// Finds the position that `after` or `since` names; `None` without either.
pub(crate) async fn start_position(
    operator: &Operator,
    after: Option<&str>,
    since: Option<&str>,
) -> Result<Option<LogPosition>, ApiError> {
    match (after, since) {
        (Some(_), Some(_)) => Err(invalid("since", "give either after or since, not both")),
        (Some(text), None) => named_position(operator, "after", text).await.map(Some),
        (None, Some(text)) => {
            let time = valid("since", Timestamp::parse(&with_plus(text)))?;
            let log = operator.state.events.log();
            Ok(Some(operator.run(log.seek(time)).await?))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_survives_a_round_trip() {
        for position in [LogPosition::START, LogPosition(i64::MAX)] {
            let text = position_text(position);
            let read = parameter_cursor("after", &text, position_from_text);
            assert_eq!(read.ok(), Some(position));
        }
        for bad in ["", "-1", "1.5", "x"] {
            assert_eq!(position_from_text(bad), None, "{bad}");
        }
    }
}
