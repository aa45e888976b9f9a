//! A set of statuses, for filters.

use std::fmt;
use std::str::FromStr;

use crate::DeliveryStatus;

/// A set of statuses of messages. It can contain "no known status" too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusSet(u16);

/// The text does not name statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("statuses are words like delivered or read, separated by commas")]
pub struct InvalidStatusSet;

impl StatusSet {
    /// The bit of messages without a known status in [`StatusSet::bits`].
    pub const UNKNOWN_BIT: u8 = 11;

    /// Returns whether it contains a status; `None` is no known status.
    #[must_use]
    pub fn contains(self, status: Option<DeliveryStatus>) -> bool {
        self.0 & bit(status) != 0
    }

    /// Returns whether it contains messages without a known status.
    #[must_use]
    pub fn contains_unknown(self) -> bool {
        self.contains(None)
    }

    /// Returns the known statuses in it, from the lowest to the highest.
    pub fn statuses(self) -> impl Iterator<Item = DeliveryStatus> {
        let all = DeliveryStatus::ALL.into_iter();
        all.filter(move |status| self.contains(Some(*status)))
    }

    /// Returns whether all of it are failures, and it is not empty.
    #[must_use]
    pub fn is_failures(self) -> bool {
        self.0 != 0 && !self.contains_unknown() && self.statuses().all(DeliveryStatus::is_failure)
    }

    /// Returns it as a number with a bit for each rank, and [`UNKNOWN_BIT`](Self::UNKNOWN_BIT).
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

const fn bit(status: Option<DeliveryStatus>) -> u16 {
    match status {
        Some(status) => 1 << status.rank(),
        None => 1 << StatusSet::UNKNOWN_BIT,
    }
}

impl From<DeliveryStatus> for StatusSet {
    fn from(status: DeliveryStatus) -> Self {
        Self(bit(Some(status)))
    }
}

impl FromIterator<Option<DeliveryStatus>> for StatusSet {
    fn from_iter<T: IntoIterator<Item = Option<DeliveryStatus>>>(statuses: T) -> Self {
        let bits = statuses.into_iter().map(bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

/// Parses words separated by commas: `failed,undelivered`.
impl FromStr for StatusSet {
    type Err = InvalidStatusSet;

    fn from_str(text: &str) -> Result<Self, InvalidStatusSet> {
        let words = text.split(',').map(str::trim);
        let statuses = words.map(|word| word.parse::<DeliveryStatus>().map(Some));
        let set: Result<Self, _> = statuses.collect();
        set.map_err(|_| InvalidStatusSet)
    }
}

/// Writes the known statuses as they are parsed.
impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.statuses().map(DeliveryStatus::as_str).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_is_parsed_from_words() {
        let set: StatusSet = "undelivered, failed".parse().unwrap();
        assert_eq!(set.to_string(), "failed,undelivered");
        assert!(set.is_failures() && set.contains(Some(DeliveryStatus::Failed)));
        assert!(!set.contains(Some(DeliveryStatus::Read)) && !set.contains_unknown());
        for wrong in ["", "failed,", "Read", "failed undelivered"] {
            assert_eq!(wrong.parse::<StatusSet>(), Err(InvalidStatusSet), "{wrong}");
        }
    }

    #[test]
    fn set_is_of_failures_only_if_each_status_is_one() {
        assert!(!StatusSet::default().is_failures());
        let unknown = [Some(DeliveryStatus::Failed), None];
        assert!(!StatusSet::from_iter(unknown).is_failures());
        assert!(!"failed,read".parse::<StatusSet>().unwrap().is_failures());
    }

    #[test]
    fn unknown_bit_is_after_the_highest_rank() {
        assert_eq!(
            usize::from(StatusSet::UNKNOWN_BIT),
            DeliveryStatus::ALL.len()
        );
    }
}
