//! The state of a channel, with the evidence for it.

use domain::trouble::{Finding, Trouble, TroubleState};
use domain::{ChannelCalls, ChannelId, Timestamp};
use ports::ChannelWithCredentials;

use crate::html::Html;
use crate::number::count;
use crate::status::StatusLook;
use crate::time::{Times, duration};

/// A channel that was used within this time is receiving.
const RECEIVING_MICROS: i64 = 3_600_000_000;

/// How a channel was called.
pub(crate) struct Activity {
    pub(super) calls: ChannelCalls,
    /// When it was last called with valid credentials.
    pub(crate) last: Option<Timestamp>,
    /// How many requests of the last 24 hours had no credentials, and since when.
    challenges: Option<(u64, Timestamp)>,
    /// That no report arrives though some were expected, and whether it is confirmed.
    silence: Option<(Finding, bool)>,
}

impl Activity {
    /// Takes the counts of unsuccessful calls, and when the last report arrived as far as the
    /// statistics know.
    pub(crate) fn new(
        found: &ChannelWithCredentials,
        calls: ChannelCalls,
        last_report: Option<Timestamp>,
    ) -> Self {
        let used = found
            .credentials
            .iter()
            .filter_map(|each| each.last_used_at);
        let last = used.chain(last_report).max();
        Self {
            calls,
            last,
            challenges: None,
            silence: None,
        }
    }

    /// Adds how many requests of the last 24 hours had no credentials, and since when.
    #[must_use]
    pub(crate) const fn with_challenges(mut self, challenges: Option<(u64, Timestamp)>) -> Self {
        self.challenges = challenges;
        self
    }

    /// Adds whether the channel is silent by the rules that find trouble; `silences` are all
    /// troubles of this kind.
    #[must_use]
    pub(crate) fn with_silence(mut self, channel: &ChannelId, silences: &[Trouble]) -> Self {
        let mut of_channel = silences
            .iter()
            .filter(|trouble| trouble.key.subject.channel() == Some(channel));
        self.silence = of_channel.find_map(|trouble| {
            let confirmed = match trouble.state {
                TroubleState::Pending => false,
                TroubleState::Open { .. } => true,
                TroubleState::Clearing { .. } | TroubleState::Resolved { .. } => return None,
            };
            Some((trouble.finding.clone(), confirmed))
        });
        self
    }
}

/// The state of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// Its reports are refused.
    Off,
    /// Every credential has expired.
    NoCredential,
    /// No request has reached it.
    New,
    /// It was called without credentials only.
    ChallengedOnly,
    /// It was called with wrong credentials only.
    WrongCredentials,
    /// Credentials were used lately.
    Receiving,
    /// They were not, and nothing says that they should have been.
    Quiet,
    /// No report arrives though some were expected; not confirmed yet.
    Late,
    /// No report arrives though some were expected.
    Silent,
}

impl ChannelState {
    /// Returns the state of a channel.
    pub(crate) fn of(found: &ChannelWithCredentials, activity: &Activity, now: Timestamp) -> Self {
        let Activity {
            calls,
            last,
            silence,
            ..
        } = activity;
        if !found.channel.enabled {
            return Self::Off;
        }
        if !found.credentials.iter().any(|each| each.is_live(now)) {
            return Self::NoCredential;
        }
        match silence {
            Some((_, false)) => return Self::Late,
            Some((_, true)) => return Self::Silent,
            None => {}
        }
        match last {
            Some(last) if now.unix_micros() - last.unix_micros() <= RECEIVING_MICROS => {
                Self::Receiving
            }
            Some(_) => Self::Quiet,
            None if calls.refused > 0 => Self::WrongCredentials,
            None if calls.challenged > 0 => Self::ChallengedOnly,
            None => Self::New,
        }
    }

    /// Returns how it looks.
    pub(crate) const fn look(self) -> StatusLook {
        let (tone, shape, word) = match self {
            Self::Off => ("waiting", "off", "Off"),
            Self::NoCredential => ("failed", "key", "No valid credential"),
            Self::New => ("waiting", "new", "New"),
            Self::ChallengedOnly => ("caution", "key", "Challenged only"),
            Self::WrongCredentials => ("failed", "key", "Wrong credentials"),
            Self::Receiving => ("delivered", "on", "Receiving"),
            Self::Quiet => ("waiting", "quiet", "Quiet"),
            Self::Late => ("caution", "quiet", "Late"),
            Self::Silent => ("failed", "quiet", "Silent"),
        };
        StatusLook { tone, shape, word }
    }

    /// Says what shows that the channel is in this state.
    pub(crate) fn evidence(
        self,
        found: &ChannelWithCredentials,
        activity: &Activity,
        times: &Times,
    ) -> Html {
        let calls = &activity.calls;
        let integrator = found.channel.integrator.title();
        if self == Self::ChallengedOnly
            && let Some((requests, since)) = activity.challenges
        {
            return challenged(integrator, requests, &times.minute(since));
        }
        let text = match self {
            Self::Off => "Reports are refused and kept as rejections.".to_owned(),
            Self::NoCredential => "Every call is answered 401. Make a new credential.".to_owned(),
            Self::New => "No request has reached its URL.".to_owned(),
            Self::ChallengedOnly => {
                let requests = count(calls.challenged, "request", "requests");
                format!(
                    "{requests} without credentials, and none with valid ones. Check user and \
                     password in the callback URL at {integrator}."
                )
            }
            Self::WrongCredentials => {
                let requests = count(calls.refused, "request", "requests");
                format!(
                    "{requests} with a wrong user or password, and none with valid ones. Compare \
                     the callback URL at {integrator} with the credentials."
                )
            }
            Self::Receiving | Self::Quiet => return last_request(activity, times),
            Self::Late | Self::Silent => return silent(activity, times),
        };
        Html::trusted(crate::html::Escaped(text).to_string())
    }
}

fn challenged(integrator: &str, requests: u64, since: &Html) -> Html {
    let integrator = crate::html::Escaped(integrator);
    let requests = count(requests, "time", "times");
    Html::trusted(format!(
        "{integrator} asked {requests} since {since} and never came back with valid credentials. \
         Check user and password in the callback URL."
    ))
}

fn silent(activity: &Activity, times: &Times) -> Html {
    let Some((finding, _)) = &activity.silence else {
        return Html::default();
    };
    let last = times.relative(finding.since);
    let seen = crate::html::Escaped(&finding.seen);
    Html::trusted(format!("Last report {last}. {seen}"))
}

fn last_request(activity: &Activity, times: &Times) -> Html {
    let Some(used) = activity.last else {
        return Html::default();
    };
    let ago = times.now().unix_micros().saturating_sub(used.unix_micros());
    let relative = times.relative(used);
    if ago <= RECEIVING_MICROS {
        return Html::trusted(format!("Last request {relative}."));
    }
    let silent = duration(ago);
    Html::trusted(format!(
        "No request for {silent}, since {}.",
        times.minute(used)
    ))
}

#[cfg(test)]
mod tests {
    use domain::trouble::{TroubleId, TroubleKey, TroubleKind, TroubleSubject, Window};
    use testkit::builders::{channel, channel_id, credential, time};

    use super::*;

    const NOW: i64 = 1_795_370_777_000_000;

    fn state(used: Option<i64>, challenged: u64, refused: u64) -> ChannelState {
        let mut credential = credential("1", 1).build();
        credential.last_used_at = used.map(time);
        let found = ChannelWithCredentials {
            channel: channel("1").build(),
            credentials: vec![credential],
        };
        let calls = ChannelCalls {
            challenged,
            refused,
            ..ChannelCalls::default()
        };
        let activity = Activity::new(&found, calls, None);
        ChannelState::of(&found, &activity, time(NOW))
    }

    #[test]
    fn state_follows_from_how_the_channel_was_called() {
        assert_eq!(state(None, 0, 0), ChannelState::New);
        assert_eq!(state(None, 412, 0), ChannelState::ChallengedOnly);
        assert_eq!(state(None, 412, 3), ChannelState::WrongCredentials);
        assert_eq!(state(Some(NOW - 1), 412, 3), ChannelState::Receiving);
        assert_eq!(
            state(Some(NOW - 2 * RECEIVING_MICROS), 9, 0),
            ChannelState::Quiet
        );
    }

    fn silence(state: TroubleState) -> Trouble {
        let finding = Finding {
            since: time(NOW - 1_000_000_000),
            seen: "No report; 40 < 50 were expected.".to_owned(),
        };
        let key = TroubleKey {
            kind: TroubleKind::Silence,
            subject: TroubleSubject::Channel(channel_id("1")),
        };
        let window = Window::around(time(NOW), 60_000_000);
        let id = TroubleId(uuid::Uuid::nil());
        let pending = Trouble::begin(id, key, finding, window, None);
        Trouble { state, ..pending }
    }

    #[test]
    fn channel_is_late_until_its_silence_is_confirmed() {
        let opened_at = time(NOW);
        for (trouble, expected) in [
            (TroubleState::Pending, ChannelState::Late),
            (TroubleState::Open { opened_at }, ChannelState::Silent),
            (
                TroubleState::Clearing { opened_at },
                ChannelState::Receiving,
            ),
        ] {
            let found = ChannelWithCredentials {
                channel: channel("1").build(),
                credentials: vec![credential("1", 1).build()],
            };
            let activity = Activity::new(&found, ChannelCalls::default(), Some(time(NOW - 1)))
                .with_silence(&channel_id("1"), &[silence(trouble)]);
            let state = ChannelState::of(&found, &activity, time(NOW));
            assert_eq!(state, expected);
            let other = Activity::new(&found, ChannelCalls::default(), Some(time(NOW - 1)))
                .with_silence(&channel_id("2"), &[silence(trouble)]);
            let state = ChannelState::of(&found, &other, time(NOW));
            assert_eq!(state, ChannelState::Receiving);
        }
    }

    #[test]
    fn counted_report_shows_that_a_channel_is_called() {
        let found = ChannelWithCredentials {
            channel: channel("1").build(),
            credentials: vec![credential("1", 1).build()],
        };
        let activity = Activity::new(&found, ChannelCalls::default(), Some(time(NOW - 1)));
        let state = ChannelState::of(&found, &activity, time(NOW));
        assert_eq!(state, ChannelState::Receiving);
    }

    #[test]
    fn channel_without_valid_credential_or_switched_off_says_so() {
        let mut found = ChannelWithCredentials {
            channel: channel("1").build(),
            credentials: vec![credential("1", 1).expires_at(NOW).build()],
        };
        let activity = Activity::new(&found, ChannelCalls::default(), None);
        let state = ChannelState::of(&found, &activity, time(NOW));
        assert_eq!(state, ChannelState::NoCredential);
        found.channel.enabled = false;
        assert_eq!(
            ChannelState::of(&found, &activity, time(NOW)),
            ChannelState::Off
        );
    }
}
