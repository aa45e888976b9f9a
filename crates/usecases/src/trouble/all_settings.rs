//! The settings of the rules by channel, and quiet hours.

use std::collections::BTreeMap;

use domain::trouble::{TroubleSettings, TroubleSubject};
use domain::{ChannelId, Timestamp};
use ports::Calendar;

/// The settings of all channels.
#[derive(Debug, Default)]
pub(super) struct AllSettings {
    channels: BTreeMap<ChannelId, TroubleSettings>,
    others: TroubleSettings,
}

impl AllSettings {
    /// Takes what is stored.
    pub(super) fn new(stored: Vec<(Option<ChannelId>, TroubleSettings)>) -> Self {
        let mut all = Self::default();
        for (channel, settings) in stored {
            match channel {
                Some(channel) => {
                    all.channels.insert(channel, settings);
                }
                None => all.others = settings,
            }
        }
        all
    }

    /// Returns the settings that apply to a channel, or to what is not about one.
    pub(super) fn of(&self, channel: Option<&ChannelId>) -> &TroubleSettings {
        let own = channel.and_then(|channel| self.channels.get(channel));
        own.unwrap_or(&self.others)
    }

    /// Returns whether no notices are sent about a subject at `now`.
    pub(super) fn is_quiet(
        &self,
        subject: &TroubleSubject,
        calendar: &dyn Calendar,
        now: Timestamp,
    ) -> bool {
        let of_day = now.unix_micros() - calendar.day_start(now).unix_micros();
        let minute = u16::try_from(of_day / 60_000_000).unwrap_or_default();
        self.of(subject.channel()).is_quiet(minute)
    }
}
