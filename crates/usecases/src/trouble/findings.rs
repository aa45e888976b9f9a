//! Collects what the rules found in one evaluation, and which kinds could not be judged.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use domain::statistics::{QUARTER_HOUR_MICROS, quarter_hour};
use domain::trouble::{Finding, TroubleKey, TroubleKind, Window};

/// What the rules found, and what they could not judge.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: BTreeMap<TroubleKey, Option<Finding>>,
    unknown: BTreeSet<TroubleKind>,
}

impl Findings {
    /// Adds the result of a rule.
    pub(super) fn add(&mut self, key: TroubleKey, finding: Option<Finding>) {
        self.found.insert(key, finding);
    }

    /// Notes that there was no evidence for a kind: troubles of it stay as they are unless they
    /// were judged.
    pub(super) fn not_judged(&mut self, kind: TroubleKind) {
        self.unknown.insert(kind);
    }

    /// Removes and returns what was found about a trouble. `None` if it could not be judged. A
    /// subject that was not looked at has no trouble: it was removed, or its rule is off.
    #[expect(
        clippy::option_option,
        reason = "not judged and not found are two things"
    )]
    pub(super) fn take(&mut self, key: &TroubleKey) -> Option<Option<Finding>> {
        match self.found.remove(key) {
            Some(judged) => Some(judged),
            None if self.unknown.contains(&key.kind) => None,
            None => Some(None),
        }
    }

    /// Returns what was found and not taken.
    pub(super) fn rest(self) -> impl Iterator<Item = (TroubleKey, Finding)> {
        let found = self.found.into_iter();
        found.filter_map(|(key, finding)| Some((key, finding?)))
    }
}

/// Returns the window that a rule judges: the last complete quarter of an hour for those about
/// shares of messages, and the present interval of evaluation for the others.
pub(super) fn window(kind: TroubleKind, now: Timestamp, interval_micros: i64) -> Window {
    match kind {
        TroubleKind::ErrorCode | TroubleKind::StuckAtSent => Window {
            start: quarter_hour(now).plus_micros(-QUARTER_HOUR_MICROS),
            length_micros: QUARTER_HOUR_MICROS,
        },
        TroubleKind::Silence
        | TroubleKind::ChallengedOnly
        | TroubleKind::SubscriptionStopped
        | TroubleKind::SubscriptionLagging
        | TroubleKind::JournalInUse
        | TroubleKind::CredentialExpiring
        | TroubleKind::CertificateExpiring
        | TroubleKind::CallbacksFailing
        | TroubleKind::ReconciliationFailing
        | TroubleKind::ForwardingFailing => Window::around(now, interval_micros),
    }
}
