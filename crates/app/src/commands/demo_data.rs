//! Adds demo channels with a week of simulated traffic, so that every page and list has content.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use domain::crypto::ServerSecret;
use domain::rejection::MaskedFields;
use domain::statistics::{Interval, QUARTER_HOUR_MICROS, RequestOutcome, quarter_hour};
use domain::{
    Address, ChannelCalls, ChannelId, ChannelName, CredentialId, IntegratorName, Rejection,
    RejectionReason, Report, Timestamp, WebhookUser,
};
use fastrand::Rng;
use ports::statistics::IntervalCounts;
use ports::{Calendar, Environment as _, RejectionStore, ReportStore, Statistics, Store};
use traffic::form::{self, Subject};
use traffic::history::{HISTORIES, Step, failure, step};
use usecases::channels::manage::{NewChannel, NewCredential};
use usecases::{Integrators, ManageChannels};

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

/// A demo channel.
struct DemoChannel {
    id: &'static str,
    name: &'static str,
    sender: &'static str,
    /// Messages in an average hour; 0: no report ever arrived.
    messages_per_hour: u64,
    /// Hours since the last message.
    silent_hours: i64,
    /// Percentage of the messages of the last six hours that fail outside the allowed window.
    outside_window_percent: u64,
}

const CHANNELS: [DemoChannel; 4] = [
    DemoChannel {
        id: "demo-support",
        name: "Customer support",
        sender: "whatsapp:+15550109001",
        messages_per_hour: 12,
        silent_hours: 0,
        outside_window_percent: 0,
    },
    DemoChannel {
        id: "demo-campaigns",
        name: "Campaigns",
        sender: "whatsapp:+15550109002",
        messages_per_hour: 40,
        silent_hours: 0,
        outside_window_percent: 20,
    },
    DemoChannel {
        id: "demo-appointments",
        name: "Appointment reminders",
        sender: "whatsapp:+15550109003",
        messages_per_hour: 8,
        silent_hours: 14,
        outside_window_percent: 0,
    },
    DemoChannel {
        id: "demo-pharmacy",
        name: "Pharmacy (being set up)",
        sender: "whatsapp:+15550109004",
        messages_per_hour: 0,
        silent_hours: 0,
        outside_window_percent: 0,
    },
];

/// The sender of rejected reports.
const REJECTED_SENDER: &str = "whatsapp:+15550109005";

const OUTSIDE_WINDOW: [Step; 2] = [
    step("queued"),
    failure(
        "failed",
        "63016",
        "Failed to send freeform message because you are outside the allowed window.",
    ),
];

/// Adds the channels and their traffic, unless one of them exists.
pub async fn run(settings: &Settings) -> Result<()> {
    let stores = Stores::create(settings).await?;
    let secret = settings.server_secret()?;
    let manage =
        composition::manage_channels(&stores, settings, secret.clone(), settings.public_url()?);
    let calendar = &settings.statistics.time_zone;
    let added = add(&manage, &*stores.store(), &secret, calendar).await;
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
    let mut reports = Vec::new();
    let mut requests = Requests {
        calendar,
        counts: IntervalCounts::new(),
    };
    for channel in &CHANNELS {
        let (id, credential) = add_channel(manage, channel).await?;
        let traffic = traffic(channel, &id, credential, now, &integrators, &mut random);
        reports.extend(traffic?);
        if channel.messages_per_hour == 0 {
            let challenged = ChannelCalls {
                challenged: 412,
                ..ChannelCalls::default()
            };
            store.count_calls(&[(id.clone(), challenged)]).await?;
            let quarters = (0..24).map(|quarter| now.plus_micros(-quarter * QUARTER_HOUR_MICROS));
            for (at, count) in quarters.zip([18, 16].into_iter().cycle()) {
                requests.count(&id, at, RequestOutcome::Challenged, count);
            }
            requests.count(&id, now, RequestOutcome::Challenged, 4);
        } else if channel.outside_window_percent > 0 {
            let rejections = rejections(&id, now, secret)?;
            RejectionStore::store_rejections(store, &rejections).await?;
        }
    }
    for report in &reports {
        // Twilio sends a request without credentials first.
        for outcome in [RequestOutcome::Challenged, RequestOutcome::Authenticated] {
            requests.count(&report.key.channel, report.arrived_at, outcome, 1);
        }
    }
    Statistics::add_statistics(store, &requests.counts).await?;
    reports.sort_by_key(|report| report.arrived_at);
    for batch in reports.chunks(BATCH) {
        ReportStore::record(store, batch).await?;
    }
    Ok(Some(reports.len()))
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
        senders: if channel.outside_window_percent > 0 {
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

/// Returns the reports of a channel's messages, in no particular order.
fn traffic(
    channel: &DemoChannel,
    id: &ChannelId,
    credential: CredentialId,
    now: Timestamp,
    integrators: &Integrators,
    random: &mut Rng,
) -> Result<Vec<Report>> {
    let twilio = IntegratorName::parse(TWILIO)?;
    let integrator = integrators.find(&twilio).context("Twilio is supported")?;
    let mut reports = Vec::new();
    for hour in (channel.silent_hours..DAYS * 24).rev() {
        let began = now.plus_micros(-(hour + 1) * HOUR_MICROS);
        let of_day = began.unix_micros().rem_euclid(24 * HOUR_MICROS) / HOUR_MICROS;
        for _ in 0..messages_of_hour(channel.messages_per_hour, of_day, random) {
            let sid = format!("SM{:032x}", random.u128(..));
            let recipient = format!("whatsapp:+1555010{:04}", random.u32(0..10_000));
            let subject = Subject {
                sid: &sid,
                sender: channel.sender,
                recipient: &recipient,
            };
            let trouble = hour < 6 && random.u64(0..100) < channel.outside_window_percent;
            let steps = if trouble {
                &OUTSIDE_WINDOW
            } else {
                history(random)
            };
            let mut at = began.plus_micros(random.i64(0..HOUR_MICROS));
            for step in steps {
                if at > now {
                    break;
                }
                let body = form::body(subject, *step);
                let Ok(parsed) =
                    integrator.parse(integrator.report_endpoint(), &NoHeaders, body.as_bytes())
                else {
                    bail!("a simulated report is not valid");
                };
                let parsed = parsed.reports.into_iter();
                reports.extend(parsed.map(|each| each.on_arrival(id.clone(), at, credential)));
                at = at.plus_micros(delay_after(step.status, random));
            }
        }
    }
    Ok(reports)
}

/// Returns how many messages are sent in an hour of the day: most of them in working hours.
fn messages_of_hour(average: u64, hour: i64, random: &mut Rng) -> u64 {
    let percent = match hour {
        0..=5 => 10,
        6 | 7 | 20..=23 => 50,
        8..=11 | 14..=17 => 200,
        _ => 120,
    };
    average * percent * random.u64(70..130) / 10_000
}

/// Returns a history by its share.
fn history(random: &mut Rng) -> &'static [Step] {
    let mut choice = random.usize(0..100);
    for (share, steps) in HISTORIES {
        if choice < share {
            return steps;
        }
        choice -= share;
    }
    &OUTSIDE_WINDOW
}

/// Returns the time from a report to the next one of its message.
fn delay_after(status: &str, random: &mut Rng) -> i64 {
    let range = match status {
        "delivered" => Duration::from_secs(20)..Duration::from_hours(3),
        "sent" if random.u8(0..10) == 0 => Duration::from_secs(30)..Duration::from_mins(20),
        "sent" => Duration::from_millis(700)..Duration::from_secs(9),
        _ => Duration::from_millis(150)..Duration::from_millis(1_900),
    };
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    // People read most messages soon: the square favours short times.
    let share = random.f64().powi(2);
    let span = micros(range.end) - micros(range.start);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a few hours in microseconds"
    )]
    let passed = (share * span as f64) as i64;
    micros(range.start) + passed
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

/// A request without headers.
struct NoHeaders;

impl ports::Headers for NoHeaders {
    fn get(&self, _name: &str) -> Option<&[u8]> {
        None
    }
}
