//! A week of simulated reports of a demo channel.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use domain::{ChannelId, CredentialId, IntegratorName, Report, Timestamp};
use fastrand::Rng;
use traffic::form::{self, Subject};
use traffic::history::{HISTORIES, Step, failure, step};
use usecases::Integrators;

use super::{DAYS, DemoChannel, HOUR_MICROS, TWILIO};

/// The last hours in which a campaign runs.
const CAMPAIGN_HOURS: i64 = 2;

const OUTSIDE_WINDOW: [Step; 2] = [
    step("queued"),
    failure(
        "failed",
        "63016",
        "Failed to send freeform message because you are outside the allowed window.",
    ),
];

/// Returns the reports of a channel's messages, in no particular order.
pub(super) fn traffic(
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
        let campaign = channel.campaign.as_ref().filter(|_| hour < CAMPAIGN_HOURS);
        let usual = messages_of_hour(channel.messages_per_hour, of_day, random);
        let of_campaign = campaign.map_or(0, |campaign| campaign.messages_per_hour);
        for number in 0..usual + of_campaign {
            let sid = format!("SM{:032x}", random.u128(..));
            let recipient = format!("whatsapp:+1555010{:04}", random.u32(0..10_000));
            let subject = Subject {
                sid: &sid,
                sender: channel.sender,
                recipient: &recipient,
            };
            let campaign = campaign.filter(|_| number >= usual);
            let steps = match campaign {
                Some(it) if random.u64(0..100) < it.outside_window_percent => &OUTSIDE_WINDOW,
                Some(_) | None => history(random),
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
        0..=5 => 30,
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

/// A request without headers.
struct NoHeaders;

impl ports::Headers for NoHeaders {
    fn get(&self, _name: &str) -> Option<&[u8]> {
        None
    }
}
