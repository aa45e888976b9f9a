//! Rows of troubles, their settings, and operator events.

use std::collections::{BTreeMap, BTreeSet};

use domain::access::OperatorName;
use domain::trouble::rules::JournalUse;
use domain::trouble::{
    Finding, Notices, OperatorEvent, OperatorEventId, QuietHours, Snooze, SnoozeReason,
    StoredOperatorEvent, Thresholds, Trouble, TroubleId, TroubleKey, TroubleKind, TroubleSettings,
    TroubleState,
};
use domain::{ChannelId, SubscriptionId};
use ports::StoreError;
use ports::troubles::OperatorEventPosition;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::corrupt;
use crate::values::{StoredTime, count, optional_time, time};

/// The table of troubles.
pub const TROUBLES: &str = "troubles";

/// The table of the settings of rules.
pub const TROUBLE_SETTINGS: &str = "trouble_settings";

/// The table of journals.
pub const RECEIVER_JOURNALS: &str = "receiver_journals";

/// The table of operator events.
pub const OPERATOR_EVENTS: &str = "operator_events";

/// The table of positions in the operator events.
pub const OPERATOR_EVENT_POSITIONS: &str = "operator_event_positions";

/// A row of `troubles`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct TroubleRow<T> {
    pub id: Uuid,
    pub kind: String,
    pub subject: String,
    pub state: String,
    pub since: T,
    pub seen: String,
    pub judged_at: T,
    pub opened_at: Option<T>,
    pub resolved_at: Option<T>,
    pub notices: i64,
    pub noticed_at: Option<T>,
    pub snoozed_until: Option<T>,
    pub snooze_reason: Option<String>,
    pub snoozed_by: Option<String>,
}

impl<T: StoredTime> TryFrom<TroubleRow<T>> for Trouble {
    type Error = StoreError;

    fn try_from(row: TroubleRow<T>) -> Result<Self, StoreError> {
        let opened_at = optional_time(row.opened_at, TROUBLES, "opened_at")?;
        let resolved_at = optional_time(row.resolved_at, TROUBLES, "resolved_at")?;
        let state = TroubleState::from_parts(&row.state, opened_at, resolved_at);
        Ok(Self {
            id: TroubleId(row.id),
            key: TroubleKey {
                kind: row.kind.parse().map_err(corrupt(TROUBLES, "kind"))?,
                subject: row.subject.parse().map_err(corrupt(TROUBLES, "subject"))?,
            },
            finding: Finding {
                since: time(row.since, TROUBLES, "since")?,
                seen: row.seen,
            },
            state: state
                .ok_or("the times do not belong to the state")
                .map_err(corrupt(TROUBLES, "state"))?,
            judged: time(row.judged_at, TROUBLES, "judged_at")?,
            notices: Notices {
                count: u32::try_from(row.notices).map_err(corrupt(TROUBLES, "notices"))?,
                last_at: optional_time(row.noticed_at, TROUBLES, "noticed_at")?,
            },
            snooze: snooze(row.snoozed_until, row.snooze_reason, row.snoozed_by)?,
        })
    }
}

/// Converts the columns of a snooze; `None` unless all are there.
fn snooze<T: StoredTime>(
    until: Option<T>,
    reason: Option<String>,
    by: Option<String>,
) -> Result<Option<Snooze>, StoreError> {
    let (Some(until), Some(reason), Some(by)) = (until, reason, by) else {
        return Ok(None);
    };
    Ok(Some(Snooze {
        until: time(until, TROUBLES, "snoozed_until")?,
        reason: SnoozeReason::parse(&reason).map_err(corrupt(TROUBLES, "snooze_reason"))?,
        by: OperatorName::parse(&by).map_err(corrupt(TROUBLES, "snoozed_by"))?,
    }))
}

/// Returns the snoozes of troubles, of each key the one that ends last.
#[must_use]
pub fn last_snoozes(troubles: Vec<Trouble>) -> Vec<(TroubleKey, Snooze)> {
    let mut last = BTreeMap::<TroubleKey, Snooze>::new();
    for trouble in troubles {
        let Some(snooze) = trouble.snooze else {
            continue;
        };
        let known = last.get(&trouble.key);
        if known.is_none_or(|known| known.until < snooze.until) {
            last.insert(trouble.key, snooze);
        }
    }
    last.into_iter().collect()
}

/// [`TroubleSettings`] as they are stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredSettings {
    off: BTreeSet<String>,
    silence_minutes: u16,
    challenges: u32,
    code_share_percent: u8,
    quiet_hours: Option<String>,
}

/// Encodes settings.
pub fn settings_to_json(settings: &TroubleSettings) -> Result<String, StoreError> {
    let thresholds = settings.thresholds;
    let stored = StoredSettings {
        off: settings.off.iter().map(ToString::to_string).collect(),
        silence_minutes: thresholds.silence_minutes(),
        challenges: thresholds.challenges(),
        code_share_percent: thresholds.code_share_percent(),
        quiet_hours: settings.quiet_hours.map(|hours| hours.to_string()),
    };
    serde_json::to_string(&stored).map_err(|error| StoreError::Rejected {
        what: "settings of rules",
        source: error.into(),
    })
}

/// Decodes a row of settings; an empty id is that of all channels.
pub fn settings(
    channel_id: &str,
    json: &str,
) -> Result<(Option<ChannelId>, TroubleSettings), StoreError> {
    let stored: StoredSettings =
        serde_json::from_str(json).map_err(corrupt(TROUBLE_SETTINGS, "settings"))?;
    let off = stored.off.iter().map(|kind| kind.parse::<TroubleKind>());
    let thresholds = Thresholds::new(
        stored.silence_minutes,
        stored.challenges,
        stored.code_share_percent,
    );
    let quiet_hours = stored.quiet_hours.as_deref().map(str::parse::<QuietHours>);
    let settings = TroubleSettings {
        off: off
            .collect::<Result<_, _>>()
            .map_err(corrupt(TROUBLE_SETTINGS, "settings"))?,
        thresholds: thresholds.map_err(corrupt(TROUBLE_SETTINGS, "settings"))?,
        quiet_hours: quiet_hours
            .transpose()
            .map_err(corrupt(TROUBLE_SETTINGS, "settings"))?,
    };
    let channel = (!channel_id.is_empty()).then(|| ChannelId::parse(channel_id));
    let channel = channel.transpose();
    Ok((
        channel.map_err(corrupt(TROUBLE_SETTINGS, "channel_id"))?,
        settings,
    ))
}

/// A row of `receiver_journals`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct JournalRow<T> {
    pub receiver: String,
    pub entries: i64,
    pub since: T,
    pub last_used_at: T,
}

impl<T: StoredTime> TryFrom<JournalRow<T>> for JournalUse {
    type Error = StoreError;

    fn try_from(row: JournalRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            receiver: row.receiver,
            entries: count(row.entries, RECEIVER_JOURNALS, "entries")?,
            since: time(row.since, RECEIVER_JOURNALS, "since")?,
            last_used_at: time(row.last_used_at, RECEIVER_JOURNALS, "last_used_at")?,
        })
    }
}

/// A row of `operator_events`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct OperatorEventRow<T> {
    pub sequence: i64,
    pub id: Uuid,
    pub event_type: String,
    pub channel_id: Option<String>,
    pub at: T,
    pub body: String,
}

impl<T: StoredTime> TryFrom<OperatorEventRow<T>> for StoredOperatorEvent {
    type Error = StoreError;

    fn try_from(row: OperatorEventRow<T>) -> Result<Self, StoreError> {
        let event_type = row.event_type.parse();
        let channel = row.channel_id.as_deref().map(ChannelId::parse).transpose();
        Ok(Self {
            sequence: row.sequence,
            event: OperatorEvent {
                id: OperatorEventId(row.id),
                event_type: event_type.map_err(corrupt(OPERATOR_EVENTS, "event_type"))?,
                channel: channel.map_err(corrupt(OPERATOR_EVENTS, "channel_id"))?,
                at: time(row.at, OPERATOR_EVENTS, "at")?,
                body: row.body,
            },
        })
    }
}

/// A row of `operator_event_positions`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct PositionRow<T> {
    pub subscription_id: Uuid,
    pub sequence: i64,
    pub failures: i64,
    pub retry_at: Option<T>,
    pub failing_since: Option<T>,
}

impl<T: StoredTime> PositionRow<T> {
    /// Converts the row.
    pub fn position(self) -> Result<(SubscriptionId, OperatorEventPosition), StoreError> {
        let table = OPERATOR_EVENT_POSITIONS;
        let position = OperatorEventPosition {
            sequence: self.sequence,
            failures: u32::try_from(self.failures).map_err(corrupt(table, "failures"))?,
            retry_at: optional_time(self.retry_at, table, "retry_at")?,
            failing_since: optional_time(self.failing_since, table, "failing_since")?,
        };
        Ok((SubscriptionId(self.subscription_id), position))
    }
}
