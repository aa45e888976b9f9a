//! The outcomes of messages that a list can be of: those that the overview counts.

use domain::page::MessageFilter;
use domain::statistics::Outcome;

use crate::status::{self, StatusLook, look};

/// Which outcomes to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeFilter {
    Open,
    /// Delivered or read.
    Arrived,
    Delivered,
    Read,
    Failed,
    Canceled,
    Contradicted,
}

impl OutcomeFilter {
    /// All filters.
    pub(crate) const ALL: [Self; 7] = [
        Self::Open,
        Self::Arrived,
        Self::Delivered,
        Self::Read,
        Self::Failed,
        Self::Canceled,
        Self::Contradicted,
    ];

    /// Returns the name in URLs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Arrived => "arrived",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Contradicted => "contradicted",
        }
    }

    /// Returns how it looks among the filters of the list.
    pub(crate) const fn look(self) -> StatusLook {
        use domain::DeliveryStatus as Status;
        let (of, word) = match self {
            Self::Open => (look(Status::Queued), "Still open"),
            Self::Arrived => (look(Status::Delivered), "Arrived, not contradicted"),
            Self::Delivered => (look(Status::Delivered), "Delivered, not contradicted"),
            Self::Read => (look(Status::Read), "Read, not contradicted"),
            Self::Failed => (
                look(Status::Failed),
                "Failed or undelivered, not contradicted",
            ),
            Self::Canceled => (look(Status::Canceled), "Canceled"),
            Self::Contradicted => (status::CONTRADICTED, "Contradicted"),
        };
        StatusLook { word, ..of }
    }

    /// Parses a name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == word)
    }

    /// Returns the outcomes that it passes.
    pub(crate) const fn outcomes(self) -> &'static [Outcome] {
        match self {
            Self::Open => &[Outcome::Open],
            Self::Arrived => &[Outcome::Delivered, Outcome::Read],
            Self::Delivered => &[Outcome::Delivered],
            Self::Read => &[Outcome::Read],
            Self::Failed => &[Outcome::Failed],
            Self::Canceled => &[Outcome::Canceled],
            Self::Contradicted => &[Outcome::Contradicted],
        }
    }

    /// Restricts a filter to messages with these outcomes.
    pub(crate) fn restrict(self, filter: MessageFilter) -> MessageFilter {
        let contradicted = self == Self::Contradicted;
        let statuses = (!contradicted).then(|| Outcome::statuses(self.outcomes()));
        MessageFilter {
            status: statuses,
            contradicted: Some(contradicted),
            ..filter
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::DeliveryStatus;
    use domain::statistics::MessageCell;

    use super::*;

    #[test]
    fn list_of_an_outcome_has_the_messages_that_are_counted_with_it() {
        for each in OutcomeFilter::ALL {
            assert_eq!(OutcomeFilter::from_word(each.as_str()), Some(each));
            let filter = each.restrict(MessageFilter::default());
            let known = DeliveryStatus::ALL.into_iter().map(Some);
            for status in known.chain([None]) {
                for contradicted in [false, true] {
                    let passes = filter.status.is_none_or(|set| set.contains(status))
                        && filter.contradicted == Some(contradicted);
                    let cell = MessageCell {
                        status,
                        contradicted,
                    };
                    let counts = each.outcomes().contains(&cell.outcome());
                    assert_eq!(passes, counts, "{each:?}: {cell:?}");
                }
            }
        }
    }
}
