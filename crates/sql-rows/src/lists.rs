//! Parts of the statements that list messages, newest first.

use domain::page::{MessageCursor, MessageFilter};
use domain::{DeliveryStatus, ErrorCode, StatusSet, Timestamp};
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

/// A part of an index of `problem_messages` that has all entries of a filter in the order of a
/// list, or those of one of its statuses.
#[derive(Clone, Debug)]
pub enum ProblemIndex {
    /// Those with a code.
    Code(ErrorCode),
    /// Those with a status.
    Status(DeliveryStatus),
    /// The contradicted ones.
    Contradicted,
}

impl ProblemIndex {
    /// Returns the parts that have the entries of a filter, each entry in one of them.
    #[must_use]
    pub fn of(filter: &MessageFilter) -> Vec<Self> {
        if let Some(code) = &filter.error_code {
            return vec![Self::Code(code.clone())];
        }
        match filter.status {
            Some(statuses) if filter.contradicted != Some(true) => {
                statuses.statuses().map(Self::Status).collect()
            }
            _ => vec![Self::Contradicted],
        }
    }

    /// Adds the condition that selects the part.
    pub fn push<DB>(&self, query: &mut QueryBuilder<DB>)
    where
        DB: Database,
        i64: for<'q> Encode<'q, DB> + Type<DB>,
        String: for<'q> Encode<'q, DB> + Type<DB>,
    {
        match self {
            Self::Code(code) => query
                .push(" and code = ")
                .push_bind(code.as_str().to_owned()),
            Self::Status(status) => query
                .push(" and rank = ")
                .push_bind(i64::from(status.rank())),
            Self::Contradicted => query.push(" and contradicted"),
        };
    }
}

/// Adds the condition that `column`, a rank or null, is of a set of statuses.
pub fn push_statuses<DB>(query: &mut QueryBuilder<DB>, column: &'static str, statuses: StatusSet)
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    query
        .push(" and (")
        .push_bind(i64::from(statuses.bits()))
        .push(" >> coalesce(")
        .push(column)
        .push(", ")
        .push(StatusSet::UNKNOWN_BIT)
        .push(")) & 1 = 1");
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
    if let Some(statuses) = filter.status {
        push_statuses(query, "rank", statuses);
    }
    if let Some(contradicted) = filter.contradicted {
        query.push(" and contradicted = ").push_bind(contradicted);
    }
}
