//! Alerts of the integrator that it could not deliver a report.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

use domain::reconciliation::{CALLBACK_ALERTS_KEPT, CallbackAlert, CallbackAlertCount};
use domain::{ChannelId, MessageSid, Timestamp};

#[derive(Debug, Default)]
pub(super) struct CallbackAlerts {
    by_channel: BTreeMap<ChannelId, BTreeMap<MessageSid, Stored>>,
}

#[derive(Debug)]
struct Stored {
    alert: CallbackAlert,
    looked_up: bool,
}

fn order(alert: &CallbackAlert) -> (Timestamp, Vec<u8>) {
    (alert.alerted_at, alert.sid.to_compact())
}

impl CallbackAlerts {
    pub(super) fn add(&mut self, alert: &CallbackAlert) {
        let of_channel = self.by_channel.entry(alert.channel.clone()).or_default();
        let stored = of_channel
            .entry(alert.sid.clone())
            .or_insert_with(|| Stored {
                alert: alert.clone(),
                looked_up: false,
            });
        stored.looked_up = false;
        if alert.alerted_at >= stored.alert.alerted_at {
            stored.alert = alert.clone();
        }
        while of_channel.len() > usize::try_from(CALLBACK_ALERTS_KEPT).unwrap_or(usize::MAX) {
            let oldest = of_channel
                .values()
                .map(|it| &it.alert)
                .min_by_key(|it| order(it));
            let Some(sid) = oldest.map(|it| it.sid.clone()) else {
                return;
            };
            of_channel.remove(&sid);
        }
    }

    pub(super) fn remove(&mut self, channel: &ChannelId) {
        self.by_channel.remove(channel);
    }

    pub(super) fn due(&self, channel: &ChannelId) -> Vec<CallbackAlert> {
        let due = self.stored(channel).filter(|it| !it.looked_up);
        let mut due: Vec<_> = due.map(|it| it.alert.clone()).collect();
        due.sort_by_key(order);
        due
    }

    pub(super) fn mark(&mut self, alert: &CallbackAlert) {
        let of_channel = self.by_channel.get_mut(&alert.channel);
        let stored = of_channel.and_then(|alerts| alerts.get_mut(&alert.sid));
        if let Some(stored) = stored.filter(|it| it.alert.alerted_at == alert.alerted_at) {
            stored.looked_up = true;
        }
    }

    pub(super) fn counts(&self, channel: &ChannelId, since: Timestamp) -> Vec<CallbackAlertCount> {
        let mut by_code: BTreeMap<_, CallbackAlertCount> = BTreeMap::new();
        let alerts = self.stored(channel).map(|it| &it.alert);
        let mut alerts: Vec<_> = alerts.filter(|it| it.alerted_at >= since).collect();
        alerts.sort_by_key(|it| order(it));
        for alert in alerts {
            let count = by_code
                .entry(&alert.code)
                .or_insert_with(|| CallbackAlertCount {
                    code: alert.code.clone(),
                    messages: 0,
                    first_at: alert.alerted_at,
                    newest: alert.sid.clone(),
                    newest_at: alert.alerted_at,
                });
            count.messages += 1;
            count.newest = alert.sid.clone();
            count.newest_at = alert.alerted_at;
        }
        let mut counts: Vec<_> = by_code.into_values().collect();
        counts.sort_by_key(|it| (Reverse(it.messages), Reverse(it.newest_at)));
        counts
    }

    pub(super) fn prune(&mut self, before: Timestamp, limit: NonZeroU16) -> u64 {
        let mut pruned = 0;
        for of_channel in self.by_channel.values_mut() {
            of_channel.retain(|_, stored| {
                let is_kept = stored.alert.alerted_at >= before || pruned >= u64::from(limit.get());
                pruned += u64::from(!is_kept);
                is_kept
            });
        }
        pruned
    }

    fn stored(&self, channel: &ChannelId) -> impl Iterator<Item = &Stored> {
        let of_channel = self.by_channel.get(channel).into_iter();
        of_channel.flat_map(BTreeMap::values)
    }
}
