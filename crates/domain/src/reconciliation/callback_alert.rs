//! Alerts of the integrator that it could not deliver a report.

use crate::{ChannelId, ErrorCode, MessageSid, Timestamp};

/// How many alerts of a channel are kept: the newest.
pub const CALLBACK_ALERTS_KEPT: u32 = 10_000;

/// How long an alert is kept: 7 days.
pub const CALLBACK_ALERT_RETENTION_MICROS: i64 = 7 * 86_400 * 1_000_000;

/// The integrator says that it could not deliver a report of a message.
///
/// It contains no address, so it stays when a recipient is erased: a report that its lookup finds
/// is stored in erased form, like any other of an erased message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAlert {
    /// The channel whose callback URL failed.
    pub channel: ChannelId,
    /// The message.
    pub sid: MessageSid,
    /// Why the report could not be delivered, like `11200`.
    pub code: ErrorCode,
    /// When the alert arrived, by the receiver's clock.
    pub alerted_at: Timestamp,
}

/// The alerts of a channel that have the same code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAlertCount {
    /// The code.
    pub code: ErrorCode,
    /// How many messages have an alert with this code as their latest one.
    pub messages: u64,
    /// When the first of these alerts arrived.
    pub first_at: Timestamp,
    /// The message of the newest of these alerts.
    pub newest: MessageSid,
    /// When that one arrived.
    pub newest_at: Timestamp,
}

/// Returns the latest alert of each message, by channel and message; of alerts of the same time the
/// last one.
#[must_use]
pub fn latest_alerts(alerts: &[CallbackAlert]) -> Vec<&CallbackAlert> {
    let mut latest: Vec<_> = alerts.iter().collect();
    // Stable: alerts of the same message and time keep their order.
    latest.sort_by_key(|it| (&it.channel, &it.sid, it.alerted_at));
    latest.reverse();
    latest.dedup_by_key(|it| (&it.channel, &it.sid));
    latest.reverse();
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(channel: &str, sid: &str, code: &str, at: i64) -> CallbackAlert {
        CallbackAlert {
            channel: ChannelId::parse(channel).unwrap(),
            sid: MessageSid::parse(sid).unwrap(),
            code: ErrorCode::parse(code).unwrap(),
            alerted_at: Timestamp::from_unix_micros(at).unwrap(),
        }
    }

    #[test]
    fn latest_alert_of_each_message_is_chosen() {
        let alerts = [
            alert("2", "a", "11200", 1),
            alert("1", "b", "11200", 5),
            alert("1", "b", "11205", 4),
            alert("1", "a", "11210", 6),
            alert("1", "a", "11215", 6),
        ];
        let codes: Vec<_> = latest_alerts(&alerts)
            .into_iter()
            .map(|it| (it.channel.as_str(), it.sid.as_str(), it.code.as_str()))
            .collect();
        let expected = [
            ("1", "a", "11215"),
            ("1", "b", "11200"),
            ("2", "a", "11200"),
        ];
        assert_eq!(codes, expected);
        assert!(latest_alerts(&[]).is_empty());
    }
}
