//! What needs an operator now.

use domain::subscription::{PauseReason, SubscriptionState};
use ports::ChannelWithCredentials;
use ports::subscriptions::SubscriptionStatus;
use usecases::health::{ComponentHealth, Condition};

use crate::console::Console;
use crate::error::PageError;
use crate::html::{Escaped, Html};
use crate::number::count;
use crate::pages::channels::last_day::LastDay;
use crate::pages::channels::state::{Activity, ChannelState};
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

/// Looks at all channels, subscriptions and parts.
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
    let day = LastDay::read(console, visit).await;
    for found in known {
        let id = &found.channel.id;
        let calls = console.run(console.state.channels.calls(id)).await?;
        let activity =
            Activity::new(found, calls, day.last_report(id)).with_challenges(day.challenges(id));
        let state = ChannelState::of(found, &activity, visit.times.now());
        let needs = match state {
            ChannelState::Receiving => {
                attention.receiving += 1;
                false
            }
            ChannelState::Off | ChannelState::New => false,
            ChannelState::Quiet => day.has_gone_silent(id, visit.times.now()),
            ChannelState::NoCredential
            | ChannelState::ChallengedOnly
            | ChannelState::WrongCredentials => true,
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
    let all = console.run(console.state.subscriptions.list()).await?;
    attention
        .items
        .extend(all.iter().filter_map(|status| subscription(visit, status)));
    let parts = console.run(console.state.health.run()).await;
    attention.items.extend(parts.into_iter().filter_map(part));
    Ok(attention)
}

fn subscription(visit: &Visit, status: &SubscriptionStatus) -> Option<Item> {
    let subscription = &status.subscription;
    let paused_by_operator = matches!(
        subscription.state,
        SubscriptionState::Paused {
            reason: PauseReason::Operator,
            ..
        }
    );
    let is_active = subscription.state == SubscriptionState::Active;
    let works = (is_active && !status.is_failing()) || paused_by_operator;
    if works && status.dead == 0 {
        return None;
    }
    let path = subscriptions::path(subscription.id);
    let (text, path) = if works {
        let dead = count(status.dead, "dead letter", "dead letters");
        let text = format!("{dead}: events that were given up. Repair the endpoint, then retry.");
        (Html::trusted(text), format!("{path}?state=dead"))
    } else {
        (
            subscriptions::condition::evidence(status, &visit.times),
            path,
        )
    };
    Some(Item {
        chip: subscriptions::condition::look(status).chip(),
        name: subscriptions::label(subscription),
        path,
        text,
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
