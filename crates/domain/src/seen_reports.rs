//! Which reports of a message have been seen, in as few bytes as it takes.
//!
//! Two reports of one message are *duplicates* when status and error code are
//! the same. The row of a message remembers what it has seen, so that the log
//! of reports needs no index to find duplicates with.

use sha2::{Digest as _, Sha256};

use crate::{InboundStatus, Report, ReportedStatus};

/// What makes two reports of one message the same report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportIdentity {
    /// One of the thirteen known words without an error code: one bit of the
    /// mask. Nearly every report is one.
    Plain(u32),
    /// A word with an error code, or an unknown word: 64 bits of the SHA-256 of
    /// both.
    Fingerprint(i64),
}

impl ReportIdentity {
    /// The identity of a report among those of its message.
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

/// The reports of one message that have been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenReports {
    mask: u32,
    fingerprints: Vec<i64>,
}

impl SeenReports {
    /// Puts together what a store has kept.
    #[must_use]
    pub const fn from_parts(mask: u32, fingerprints: Vec<i64>) -> Self {
        Self { mask, fingerprints }
    }

    /// Remembers a report. `false` if it was remembered already.
    pub fn insert(&mut self, identity: ReportIdentity) -> bool {
        let new = !self.contains(identity);
        if new {
            match identity {
                ReportIdentity::Plain(bit) => self.mask |= bit,
                ReportIdentity::Fingerprint(print) => self.fingerprints.push(print),
            }
        }
        new
    }

    /// Whether a report is remembered.
    #[must_use]
    pub fn contains(&self, identity: ReportIdentity) -> bool {
        match identity {
            ReportIdentity::Plain(bit) => self.mask & bit != 0,
            ReportIdentity::Fingerprint(print) => self.fingerprints.contains(&print),
        }
    }

    /// The bits of [`ReportIdentity::Plain`] that were seen.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        self.mask
    }

    /// The [`ReportIdentity::Fingerprint`]s that were seen, in the order they came.
    #[must_use]
    pub fn fingerprints(&self) -> &[i64] {
        &self.fingerprints
    }

    /// How many different reports were seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.mask.count_ones())
            .saturating_add(u64::try_from(self.fingerprints.len()).unwrap_or(u64::MAX))
    }
}
