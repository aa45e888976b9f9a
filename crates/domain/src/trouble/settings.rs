//! What may be changed about the rules, for all channels or for one.

use std::collections::BTreeSet;

use super::{QuietHours, TroubleKind};

/// Which rules apply, from which limits on, and when notices are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TroubleSettings {
    /// The kinds whose rules are switched off.
    pub off: BTreeSet<TroubleKind>,
    /// The limits.
    pub thresholds: Thresholds,
    /// When no notices are sent.
    pub quiet_hours: Option<QuietHours>,
}

/// The limits from which on rules find trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    silence_minutes: u16,
    challenges: u32,
    code_share_percent: u8,
}

/// A number is not a valid limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidThreshold {
    /// The minutes of silence are not valid.
    #[error("silence is 1 to 10080 minutes")]
    SilenceMinutes,
    /// The number of challenges is not valid.
    #[error("the number of challenges is 1 to 1000000")]
    Challenges,
    /// The share of a code is not valid.
    #[error("the share of an error code is 1 to 100 percent")]
    CodeShare,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            silence_minutes: 10,
            challenges: 10,
            code_share_percent: 3,
        }
    }
}

impl Thresholds {
    /// Checks limits.
    pub fn new(
        silence_minutes: u16,
        challenges: u32,
        code_share_percent: u8,
    ) -> Result<Self, InvalidThreshold> {
        if !(1..=7 * 24 * 60).contains(&silence_minutes) {
            return Err(InvalidThreshold::SilenceMinutes);
        }
        if !(1..=1_000_000).contains(&challenges) {
            return Err(InvalidThreshold::Challenges);
        }
        if !(1..=100).contains(&code_share_percent) {
            return Err(InvalidThreshold::CodeShare);
        }
        Ok(Self {
            silence_minutes,
            challenges,
            code_share_percent,
        })
    }

    /// Returns how long a channel must be silent, at least.
    #[must_use]
    pub const fn silence_minutes(self) -> u16 {
        self.silence_minutes
    }

    /// Returns how many challenges there must be.
    #[must_use]
    pub const fn challenges(self) -> u32 {
        self.challenges
    }

    /// Returns which share of the messages an error code must have, in percent.
    #[must_use]
    pub const fn code_share_percent(self) -> u8 {
        self.code_share_percent
    }
}

impl TroubleSettings {
    /// Returns whether the rule of a kind applies.
    #[must_use]
    pub fn is_on(&self, kind: TroubleKind) -> bool {
        !self.off.contains(&kind)
    }

    /// Returns whether no notices are sent at a time of day, in minutes since midnight.
    #[must_use]
    pub fn is_quiet(&self, minute_of_day: u16) -> bool {
        let hours = self.quiet_hours;
        hours.is_some_and(|hours| hours.contain(minute_of_day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_checked() {
        assert_eq!(Thresholds::new(10, 10, 3), Ok(Thresholds::default()));
        assert_eq!(
            Thresholds::new(0, 10, 3),
            Err(InvalidThreshold::SilenceMinutes)
        );
        assert_eq!(Thresholds::new(10, 0, 3), Err(InvalidThreshold::Challenges));
        assert_eq!(
            Thresholds::new(10, 10, 101),
            Err(InvalidThreshold::CodeShare)
        );
    }
}
