//! What needs an operator now.

use domain::ChannelId;
use domain::trouble::{Trouble, TroubleKind};
use ports::ChannelWithCredentials;
use ports::subscriptions::SubscriptionStatus;
use usecases::health::{ComponentHealth, Condition};

use crate::console::{Console, names};
use crate::error::PageError;
use crate::html::{Escaped, Html};
use crate::number::count;
use crate::pages::channels::last_day::LastDay;
use crate::pages::channels::state::{Activity, ChannelState};
use crate::pages::trouble::{self, Subjects};
use crate::pages::{channels, subscriptions};
use crate::visit::Visit;

/// Something that needs an operator.
pub(super) struct Item {
    pub(super) chip: Html,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) text: Html,
}

/// What needs an operator, and how many channels receive reports.
pub(super) struct Attention {
    pub(super) items: Vec<Item>,
    pub(super) receiving: usize,
    pub(super) channels: usize,
}

/// Collects open troubles, channels that cannot receive reports, dead letters, and parts with a
/// problem.
pub(super) async fn attention(
    console: &Console,
    visit: &Visit,
    known: &[ChannelWithCredentials],
) -> Result<Attention, PageError> {
    let mut attention = Attention {
        items: Vec::new(),
        receiving: 0,
        channels: known.len(),
    };
    let troubles = console.run(console.state.troubles.open()).await?;
    let subscriptions = console.run(console.state.subscriptions.list()).await?;
    let names = names(known);
    let subjects = Subjects::new(&names, &subscriptions);
    let awake = troubles
        .iter()
        .filter(|trouble| !trouble.is_snoozed(visit.times.now()));
    attention
        .items
        .extend(awake.map(|trouble| of_trouble(visit, &subjects, trouble)));
    let day = LastDay::read(console, visit).await;
    let silences = console.run(console.state.troubles.silences()).await?;
    for found in known {
        let id = &found.channel.id;
        let calls = console.run(console.state.channels.calls(id)).await?;
        let activity = Activity::new(found, calls, day.last_report(id))
            .with_challenges(day.challenges(id))
            .with_silence(id, &silences);
        let state = ChannelState::of(found, &activity, visit.times.now());
        let needs = match state {
            ChannelState::Receiving => {
                attention.receiving += 1;
                false
            }
            // Silence is a trouble once it is confirmed.
            ChannelState::Off
            | ChannelState::New
            | ChannelState::Quiet
            | ChannelState::Late
            | ChannelState::Silent => false,
            ChannelState::NoCredential
            | ChannelState::ChallengedOnly
            | ChannelState::WrongCredentials => !is_known(&troubles, id),
        };
        if needs {
            attention.items.push(Item {
                chip: state.look().chip(),
                name: found.channel.name.to_string(),
                path: channels::path(id),
                text: state.evidence(found, &activity, &visit.times),
            });
        }
    }
    attention
        .items
        .extend(subscriptions.iter().filter_map(dead_letters));
    let parts = console.run(console.state.health.run()).await;
    attention.items.extend(parts.into_iter().filter_map(part));
    Ok(attention)
}

fn of_trouble(visit: &Visit, subjects: &Subjects<'_>, trouble: &Trouble) -> Item {
    let kind = trouble.key.kind;
    let (title, seen) = (kind.title(), Escaped(&trouble.finding.seen));
    let lasting = visit.times.lasting(trouble.finding.since);
    Item {
        chip: crate::status::chip("failed", "failed", "Trouble"),
        name: subjects.name(&trouble.key.subject),
        path: format!("{}#trouble-{}", trouble::PATH, trouble.id),
        text: Html::trusted(format!("{title} {lasting}. {seen}")),
    }
}

/// Returns whether an operator sees already, or has snoozed, that a channel gets no valid
/// credentials.
fn is_known(troubles: &[Trouble], channel: &ChannelId) -> bool {
    troubles.iter().any(|trouble| match trouble.key.kind {
        TroubleKind::ChallengedOnly | TroubleKind::CredentialExpiring => {
            trouble.key.subject.channel() == Some(channel)
        }
        TroubleKind::Silence
        | TroubleKind::ErrorCode
        | TroubleKind::StuckAtSent
        | TroubleKind::SubscriptionStopped
        | TroubleKind::SubscriptionLagging
        | TroubleKind::JournalInUse
        | TroubleKind::CertificateExpiring
        | TroubleKind::CallbacksFailing
        | TroubleKind::ReconciliationFailing
        | TroubleKind::ForwardingFailing => false,
    })
}

fn dead_letters(status: &SubscriptionStatus) -> Option<Item> {
    if status.dead == 0 {
        return None;
    }
    let subscription = &status.subscription;
    let path = subscriptions::path(subscription.id);
    let dead = count(status.dead, "dead letter", "dead letters");
    let text = format!("{dead}: events that were given up. Repair the endpoint, then retry.");
    Some(Item {
        chip: subscriptions::condition::look(status).chip(),
        name: subscriptions::label(subscription),
        path: format!("{path}?state=dead"),
        text: Html::trusted(text),
    })
}

/// Channels and subscriptions have items of their own.
fn part(part: ComponentHealth) -> Option<Item> {
    let (tone, word) = match part.condition {
        Condition::Ready => return None,
        Condition::Degraded => ("caution", "Degraded"),
        Condition::Down => ("failed", "Down"),
    };
    if part.name == "subscriptions" {
        return None;
    }
    let path = if part.name == "rejections" {
        "/console/rejections"
    } else {
        "/console/about"
    };
    Some(Item {
        chip: crate::status::chip(tone, "failed", word),
        name: crate::pages::about::name(part.name).to_owned(),
        path: path.to_owned(),
        text: Html::trusted(Escaped(part.detail.unwrap_or_default()).to_string()),
    })
}
