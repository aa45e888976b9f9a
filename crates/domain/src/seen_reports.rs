//! The set of reports of a message that were seen, in few bytes.
//!
//! Two reports of one message are *duplicates* if status and error code are the same. The row of a
//! message stores what was seen, so that duplicates are found without an index on the log.

use sha2::{Digest as _, Sha256};

use crate::{InboundStatus, Report, ReportedStatus};

/// How many fingerprints a message has. Status and error code are free text, so a caller could
/// invent any number of them, and a reader of the log looks up all earlier reports of a message.
/// Real messages have fewer than ten.
pub const MAX_FINGERPRINTS: u16 = 100;

/// The identity of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportIdentity {
    /// A known status without an error code: one bit of the mask. Nearly every report is one.
    Plain(u32),
    /// A status with an error code, or an unknown status: 64 bits of the SHA-256 of both.
    Fingerprint(i64),
}

impl ReportIdentity {
    /// Returns the identity of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let place = match (&report.status, &report.error) {
            (ReportedStatus::Delivery(status), None) => Some(u32::from(status.rank())),
            (ReportedStatus::Inbound(InboundStatus::Receiving), None) => Some(11),
            (ReportedStatus::Inbound(InboundStatus::Received), None) => Some(12),
            (_, Some(_)) | (ReportedStatus::Unknown(_), None) => None,
        };
        if let Some(place) = place {
            return Self::Plain(1 << place);
        }
        let mut hash = Sha256::new();
        hash.update(report.status.as_str());
        hash.update([0]);
        hash.update(
            report
                .error
                .as_ref()
                .map_or("", |error| error.code.as_str()),
        );
        let first = hash.finalize().into_iter().take(8);
        Self::Fingerprint(first.fold(0, |print, byte| print << 8 | i64::from(byte)))
    }
}

/// The seen reports of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenReports {
    mask: u32,
    fingerprints: Vec<i64>,
}

impl SeenReports {
    /// Creates a set from stored parts.
    #[must_use]
    pub const fn from_parts(mask: u32, fingerprints: Vec<i64>) -> Self {
        Self { mask, fingerprints }
    }

    /// Adds a report. Returns `false` if it was there already, or if it has a fingerprint and there
    /// are [`MAX_FINGERPRINTS`]: it counts as a duplicate then.
    pub fn insert(&mut self, identity: ReportIdentity) -> bool {
        let is_full = matches!(identity, ReportIdentity::Fingerprint(_))
            && self.fingerprints.len() >= usize::from(MAX_FINGERPRINTS);
        let new = !is_full && !self.contains(identity);
        if new {
            match identity {
                ReportIdentity::Plain(bit) => self.mask |= bit,
                ReportIdentity::Fingerprint(print) => self.fingerprints.push(print),
            }
        }
        new
    }

    /// Returns whether a report was seen.
    #[must_use]
    pub fn contains(&self, identity: ReportIdentity) -> bool {
        match identity {
            ReportIdentity::Plain(bit) => self.mask & bit != 0,
            ReportIdentity::Fingerprint(print) => self.fingerprints.contains(&print),
        }
    }

    /// Returns the bits of the seen [`ReportIdentity::Plain`].
    #[must_use]
    pub const fn mask(&self) -> u32 {
        self.mask
    }

    /// Returns the seen [`ReportIdentity::Fingerprint`]s, in the order of arrival.
    #[must_use]
    pub fn fingerprints(&self) -> &[i64] {
        &self.fingerprints
    }

    /// Returns how many different reports were seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.mask.count_ones())
            .saturating_add(u64::try_from(self.fingerprints.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_beyond_the_limit_are_duplicates() {
        let mut seen = SeenReports::default();
        let prints = 0..i64::from(MAX_FINGERPRINTS);
        for print in prints.clone() {
            assert!(seen.insert(ReportIdentity::Fingerprint(print)));
        }
        for print in prints.start..=prints.end {
            assert!(!seen.insert(ReportIdentity::Fingerprint(print)));
        }
        assert_eq!(seen.fingerprints().len(), usize::from(MAX_FINGERPRINTS));
        // A status without error code needs no fingerprint.
        assert!(seen.insert(ReportIdentity::Plain(1)));
        assert!(!seen.insert(ReportIdentity::Plain(1)));
        assert_eq!(seen.count(), 101);
    }
}
