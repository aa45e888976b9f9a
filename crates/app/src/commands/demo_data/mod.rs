//! Adds demo channels with a week of simulated traffic, so that every page and list has content.

mod reports;
mod subscription;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use domain::crypto::ServerSecret;
use domain::rejection::MaskedFields;
use domain::statistics::{Interval, QUARTER_HOUR_MICROS, RequestOutcome, quarter_hour};
use domain::trouble::{TroubleKind, TroubleSettings};
use domain::{
    Address, ChannelCalls, ChannelId, ChannelName, ConsolePath, CredentialId, IntegratorName,
    Rejection, RejectionReason, Report, SavedViewName, Timestamp, WebhookUser,
};
use fastrand::Rng;
use ports::statistics::IntervalCounts;
use ports::{
    Calendar, ChannelStore, Environment as _, RejectionStore, ReportStore, Statistics, Store,
};
use reports::traffic;
use usecases::channels::manage::{NewChannel, NewCredential};
use usecases::{ManageChannels, SavedViews};

use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;
use crate::system::System;

const MINUTE_MICROS: i64 = 60 * 1_000_000;
const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
const DAYS: i64 = 7;

/// Reports per transaction.
const BATCH: usize = 256;

/// The integrator of all demo channels.
const TWILIO: &str = "twilio";

/// The channel whose messages fail.
const CAMPAIGNS: &str = "demo-campaigns";

/// A demo channel.
struct DemoChannel {
    id: &'static str,
    name: &'static str,
    sender: &'static str,
    /// Messages in an average hour; 0: no report ever arrived.
    messages_per_hour: u64,
    /// Hours since the last message.
    ///
    /// Where it is 0, silence is no trouble: no report arrives after the demo was added.
    silent_hours: i64,
    /// Messages of the last hours besides the usual ones.
    campaign: Option<Campaign>,
}

/// Messages of which many fail, so that the share of their error code is a trouble.
struct Campaign {
    messages_per_hour: u64,
    /// Percentage that fails outside the allowed window.
    outside_window_percent: u64,
}

const CHANNELS: [DemoChannel; 4] = [
    DemoChannel {
        id: "demo-support",
        name: "Customer support",
        sender: "whatsapp:+15550109001",
        messages_per_hour: 12,
        silent_hours: 0,
        campaign: None,
    },
    DemoChannel {
        id: CAMPAIGNS,
        name: "Campaigns",
        sender: "whatsapp:+15550109002",
        messages_per_hour: 40,
        silent_hours: 0,
        campaign: Some(Campaign {
            messages_per_hour: 150,
            outside_window_percent: 60,
        }),
    },
    DemoChannel {
        id: "demo-appointments",
        name: "Appointment reminders",
        sender: "whatsapp:+15550109003",
        messages_per_hour: 16,
        silent_hours: 14,
        campaign: None,
    },
    DemoChannel {
        id: "demo-pharmacy",
        name: "Pharmacy (being set up)",
        sender: "whatsapp:+15550109004",
        messages_per_hour: 0,
        silent_hours: 0,
        campaign: None,
    },
];

/// The sender of rejected reports.
const REJECTED_SENDER: &str = "whatsapp:+15550109005";

/// Adds the channels and their traffic, unless one of them exists.
pub async fn run(settings: &Settings) -> Result<()> {
    let stores = Stores::create(settings).await?;
    let secret = settings.server_secret()?;
    let manage =
        composition::manage_channels(&stores, settings, secret.clone(), settings.public_url()?);
    let calendar = &settings.statistics.time_zone;
    let adding = async {
        let added = add(&manage, &*stores.store(), &secret, calendar).await?;
        if added.is_some() {
            subscription::add(settings, &stores).await?;
            add_view(&stores).await?;
        }
        anyhow::Ok(added)
    };
    let added = adding.await;
    stores.close().await;
    output::line(match added? {
        Some(reports) => format!(
            "Added {} demo channels with {reports} reports of the last {DAYS} days.",
            CHANNELS.len()
        ),
        None => "The demo channels exist already.".to_owned(),
    });
    Ok(())
}

/// Saves a view of the failed messages of the campaigns, unless there is one of this name.
async fn add_view(stores: &Stores) -> Result<()> {
    let views = SavedViews::new(stores.store(), Arc::new(System));
    let path = format!("/console/messages?channel={CAMPAIGNS}&status=failed");
    let name = SavedViewName::parse("Failed campaign messages")?;
    views.save(name, ConsolePath::parse(&path)?).await?;
    Ok(())
}

/// Returns whether a channel is one of those that this command adds.
pub fn is_demo_channel(id: &ChannelId) -> bool {
    CHANNELS.iter().any(|channel| channel.id == id.as_str())
}

/// Returns the number of reports; `None` if the channels exist.
async fn add(
    manage: &ManageChannels,
    store: &dyn Store,
    secret: &ServerSecret,
    calendar: &dyn Calendar,
) -> Result<Option<usize>> {
    let known = manage.list().await?;
    if known.iter().any(|each| is_demo_channel(&each.channel.id)) {
        return Ok(None);
    }
    let now = System.now();
    let integrators = composition::integrators();
    let mut random = Rng::with_seed(20_261_122);
    let mut demo = DemoData {
        store,
        now,
        reports: Vec::new(),
        requests: Requests {
            calendar,
            counts: IntervalCounts::new(),
        },
        calls: BTreeMap::new(),
    };
    for channel in &CHANNELS {
        let (id, credential) = add_channel(manage, channel).await?;
        let traffic = traffic(channel, &id, credential, now, &integrators, &mut random);
        demo.add_traffic(channel, &id, credential, traffic?).await?;
        if channel.campaign.is_some() {
            demo.add_rejections(&id, secret).await?;
        }
    }
    demo.record().await.map(Some)
}

/// What is added besides channels.
struct DemoData<'a> {
    store: &'a dyn Store,
    now: Timestamp,
    reports: Vec<Report>,
    requests: Requests<'a>,
    calls: BTreeMap<ChannelId, ChannelCalls>,
}

impl DemoData<'_> {
    /// Adds the reports of a channel and the requests that they arrived with.
    async fn add_traffic(
        &mut self,
        channel: &DemoChannel,
        id: &ChannelId,
        credential: CredentialId,
        traffic: Vec<Report>,
    ) -> Result<()> {
        for report in &traffic {
            self.count_request(id, report.arrived_at);
        }
        if let Some(last) = traffic.iter().map(|report| report.arrived_at).max() {
            ChannelStore::touch(self.store, &[(credential, last)]).await?;
        } else {
            for (quarter, count) in (0..24).zip([18, 16].into_iter().cycle()) {
                let at = self.now.plus_micros(-quarter * QUARTER_HOUR_MICROS);
                self.count_challenges(id, at, count);
            }
            self.count_challenges(id, self.now, 4);
        }
        if channel.messages_per_hour > 0 && channel.silent_hours == 0 {
            // No report arrives after this command, which is no trouble.
            let settings = TroubleSettings {
                off: [TroubleKind::Silence].into(),
                ..TroubleSettings::default()
            };
            self.store
                .set_trouble_settings(Some(id), Some(&settings))
                .await?;
        }
        self.reports.extend(traffic);
        Ok(())
    }

    async fn add_rejections(&mut self, id: &ChannelId, secret: &ServerSecret) -> Result<()> {
        let rejections = rejections(id, self.now, secret)?;
        for rejection in &rejections {
            let at = rejection.arrived_at;
            self.count_request(id, at);
            let outcome = RequestOutcome::Rejected(rejection.reason);
            self.requests.count(id, at, outcome, 1);
            self.calls.entry(id.clone()).or_default().rejected += 1;
        }
        Ok(RejectionStore::store_rejections(self.store, &rejections).await?)
    }

    /// Counts an authenticated request. Twilio sends one without credentials first.
    fn count_request(&mut self, id: &ChannelId, at: Timestamp) {
        self.count_challenges(id, at, 1);
        self.requests
            .count(id, at, RequestOutcome::Authenticated, 1);
    }

    fn count_challenges(&mut self, id: &ChannelId, at: Timestamp, count: u32) {
        let challenged = RequestOutcome::Challenged;
        self.requests.count(id, at, challenged, count.into());
        self.calls.entry(id.clone()).or_default().challenged += u64::from(count);
    }

    /// Stores the reports and the counts. Returns the number of reports.
    async fn record(mut self) -> Result<usize> {
        let calls: Vec<_> = self.calls.into_iter().collect();
        self.store.count_calls(&calls).await?;
        Statistics::add_statistics(self.store, &self.requests.counts).await?;
        self.reports.sort_by_key(|report| report.arrived_at);
        for batch in self.reports.chunks(BATCH) {
            ReportStore::record(self.store, batch).await?;
        }
        Ok(self.reports.len())
    }
}

/// Requests in the statistics.
struct Requests<'a> {
    calendar: &'a dyn Calendar,
    counts: IntervalCounts,
}

impl Requests<'_> {
    fn count(&mut self, channel: &ChannelId, at: Timestamp, outcome: RequestOutcome, count: i64) {
        let quarter = quarter_hour(at);
        let day = self.calendar.day_start(quarter);
        for (interval, start) in [(Interval::QuarterHour, quarter), (Interval::Day, day)] {
            let key = (interval, start, channel.clone());
            let counts = self.counts.entry(key).or_default();
            *counts.requests.entry(outcome).or_default() += count;
        }
    }
}

async fn add_channel(
    manage: &ManageChannels,
    channel: &DemoChannel,
) -> Result<(ChannelId, CredentialId)> {
    let new = NewChannel {
        id: ChannelId::parse(channel.id)?,
        integrator: IntegratorName::parse(TWILIO)?,
        name: ChannelName::parse(channel.name)?,
        // Where reports are rejected, the list of senders is short.
        senders: if channel.campaign.is_some() {
            vec![Address::parse_sender(channel.sender)?]
        } else {
            Vec::new()
        },
        public_url: None,
        signing_token: None,
        keep_messages_days: None,
        forward_url: None,
        credential: NewCredential {
            user: WebhookUser::parse("demo")?,
            password: None,
            label: Some("demo".to_owned()),
            expires_at: None,
        },
        may_reveal: true,
    };
    let (channel, issued) = manage.add(new).await?;
    Ok((channel.id, issued.credential.id))
}

fn rejections(
    channel: &ChannelId,
    now: Timestamp,
    secret: &ServerSecret,
) -> Result<Vec<Rejection>> {
    let integrator = IntegratorName::parse(TWILIO)?;
    let rejections = (0..9_i64).map(|n| Rejection {
        arrived_at: now.plus_micros(-(90 - n * 7) * MINUTE_MICROS),
        channel: channel.clone(),
        integrator: integrator.clone(),
        reason: if n % 3 == 0 {
            RejectionReason::InvalidReport
        } else {
            RejectionReason::SenderNotAllowed
        },
        detail: if n % 3 == 0 {
            "MessageSid is missing".to_owned()
        } else {
            "the sender is not on the channel's list".to_owned()
        },
        fields: MaskedFields::new(vec![
            ("MessageStatus".to_owned(), "delivered".to_owned()),
            ("From".to_owned(), "whatsapp:+***9005".to_owned()),
        ]),
        sender: (n % 3 != 0).then(|| {
            let [nonce @ .., _, _, _, _, _, _, _, _] = System.secret_bytes();
            secret.seal(REJECTED_SENDER, &Rejection::sender_context(channel), nonce)
        }),
    });
    Ok(rejections.collect())
}
