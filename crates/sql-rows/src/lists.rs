//! Parts of the statements that list messages, newest first.

use domain::Timestamp;
use domain::page::{MessageCursor, MessageFilter};
use sqlx::{Database, Encode, QueryBuilder, Type};

/// Adds the conditions that leave of a list what the times of a filter and the cursor select.
/// `column` is the time by which the list is sorted, then by `channel_id` and `sid`; `stored`
/// converts times to the engine's.
pub fn push_times<DB, T>(
    query: &mut QueryBuilder<DB>,
    column: &'static str,
    stored: impl Fn(Timestamp) -> T,
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
) where
    DB: Database,
    T: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Vec<u8>: for<'q> Encode<'q, DB> + Type<DB>,
{
    if let Some(since) = filter.since {
        query.push(" and ").push(column).push(" >= ");
        query.push_bind(stored(since));
    }
    if let Some(until) = filter.until {
        query.push(" and ").push(column).push(" < ");
        query.push_bind(stored(until));
    }
    if let Some(after) = after {
        query
            .push(" and (")
            .push(column)
            .push(", channel_id, sid) < (")
            .push_bind(stored(after.first_reported_at))
            .push(", ")
            .push_bind(after.key.channel.as_str().to_owned())
            .push(", ")
            .push_bind(after.key.sid.to_compact())
            .push(")");
    }
}

/// Adds the condition that selects entries of `problem_messages` along one index: those of the
/// filter's code, of its status, or the contradicted ones.
pub fn push_indexed_problems<DB>(query: &mut QueryBuilder<DB>, filter: &MessageFilter)
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
{
    if let Some(code) = &filter.error_code {
        query
            .push(" and code = ")
            .push_bind(code.as_str().to_owned());
    } else if let Some(status) = filter.status {
        query
            .push(" and rank = ")
            .push_bind(i64::from(status.rank()));
    } else {
        query.push(" and contradicted");
    }
}

/// Adds the conditions that select entries of `problem_messages` by anything but their time.
pub fn push_problems<DB>(query: &mut QueryBuilder<DB>, filter: &MessageFilter)
where
    DB: Database,
    bool: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
{
    if let Some(channel) = &filter.channel {
        query
            .push(" and problem.channel_id = ")
            .push_bind(channel.as_str().to_owned());
    }
    if let Some(status) = filter.status {
        query
            .push(" and rank = ")
            .push_bind(i64::from(status.rank()));
    }
    if let Some(contradicted) = filter.contradicted {
        query.push(" and contradicted = ").push_bind(contradicted);
    }
}
