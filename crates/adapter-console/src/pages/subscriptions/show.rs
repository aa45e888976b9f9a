//! One subscription: its condition, its deliveries and what can be done.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::Permission;
use domain::delivery::DeliveryFilter;
use domain::page::PageSize;
use domain::subscription::SubscriptionState;
use domain::{ChannelId, DeliveryKey, DeliveryState, EventType, Subscription};
use usecases::subscriptions::OperatorEventProgress;

use super::condition;
use super::deliveries::{self, DeliveryRow};
use super::list::lag_text;
use crate::console::{ChannelNames, Console, names};
use crate::error::PageError;
use crate::html::Html;
use crate::number::count;
use crate::page::{self, Choice, Page, Section};
use crate::status::StatusLook;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "subscriptions/show.html")]
struct SubscriptionPage {
    page: Page,
    path: String,
    label: String,
    url: String,
    look: StatusLook,
    evidence: Html,
    last_error: Option<String>,
    lag: String,
    pending: String,
    rates: String,
    /// Which events of troubles wait, if it asks for them.
    troubles: Option<Html>,
    dead: String,
    /// How many dead letters the filter of the list passes, if there are any.
    retriable: Option<String>,
    types: Vec<Choice>,
    states: Vec<Choice>,
    event_types: String,
    channels: String,
    numbers: &'static str,
    previous_secret: Option<Html>,
    created: Html,
    rows: Vec<DeliveryRow>,
    filtered: bool,
    next: Option<String>,
    is_active: bool,
    may_change: bool,
    csv: String,
}

/// Shows a subscription.
pub(crate) async fn show(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = super::subscription_id(&path)?;
    let subscriptions = &console.state.subscriptions;
    let status = console.run(subscriptions.find(id)).await?;
    let lag = console.run(subscriptions.lag(&status)).await?;
    let rates = console.run(subscriptions.rates(id)).await?;
    let troubles = subscriptions.operator_events(&status.subscription);
    let troubles = console.run(troubles).await?;
    let filter = deliveries::filter(id, &visit.query)?;
    let after = visit.query.get("after").map(str::parse::<DeliveryKey>);
    let invalid = |_| PageError::Invalid("this page of the list is not valid".to_owned());
    let after = after.transpose().map_err(invalid)?;
    let listed = subscriptions.deliveries(&filter, after, PageSize::default());
    let listed = console.run(listed).await?;
    let may_change = visit.viewer.may(Permission::Change);
    let dead = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        ..filter.clone()
    };
    let retriable = if status.dead > 0 && may_change {
        Some(deliveries::count_matching(&console, &dead).await?)
    } else {
        None
    };
    let names = names(&console.channels().await?);
    let subscription = &status.subscription;
    let last_error = status.last_error.as_ref();
    let path = super::path(id);
    let next = listed.next.map(|next| {
        let query = visit.query.with("after", Some(&next.to_string()));
        format!("{path}{}#deliveries", query.query())
    });
    let label = super::label(subscription);
    page::show(&SubscriptionPage {
        page: visit.page(label.clone(), Section::Subscriptions),
        label,
        url: subscription.url.to_string(),
        look: condition::look(&status),
        evidence: condition::evidence(&status, &visit.times),
        last_error: last_error.and_then(|attempt| Some(attempt.error.as_ref()?.to_string())),
        lag: lag_text(&lag),
        pending: count(status.pending, "delivery", "deliveries"),
        rates: format!(
            "{} delivered, {} failed",
            rates.hour.delivered, rates.hour.failed
        ),
        troubles: troubles.map(|progress| waiting_troubles(&visit, &progress)),
        dead: count(status.dead, "dead letter", "dead letters"),
        retriable,
        types: types(filter.event_type),
        states: states(filter.state),
        event_types: event_types(subscription),
        channels: channels(subscription, &names),
        numbers: if subscription.reveal {
            "in full"
        } else {
            "masked"
        },
        previous_secret: previous_secret(&visit, subscription),
        created: visit.times.minute(subscription.created_at),
        rows: listed
            .items
            .iter()
            .map(|delivery| deliveries::row(&visit, delivery, may_change))
            .collect(),
        filtered: filter.state.is_some() || filter.event_type.is_some() || after.is_some(),
        next,
        is_active: subscription.state == SubscriptionState::Active,
        csv: format!(
            "{path}/deliveries.csv{}",
            visit.query.with("after", None).query()
        ),
        may_change,
        path,
    })
}

fn waiting_troubles(visit: &Visit, progress: &OperatorEventProgress) -> Html {
    let waiting = match progress.waiting {
        0 => "none wait".to_owned(),
        1 => "1 waits".to_owned(),
        waiting => format!("{waiting} wait"),
    };
    match (progress.failing_since, progress.retry_at) {
        (Some(since), Some(retry_at)) => {
            let (since, retry_at) = (visit.times.lasting(since), visit.times.clock(retry_at));
            Html::trusted(format!(
                "{waiting}; attempts have failed {since}, the next one is at {retry_at}"
            ))
        }
        _ => Html::trusted(waiting),
    }
}

fn types(chosen: Option<EventType>) -> Vec<Choice> {
    let choice = |event_type: EventType| Choice {
        value: event_type.as_str().to_owned(),
        word: event_type.as_str().to_owned(),
        chosen: chosen == Some(event_type),
    };
    EventType::ALL.into_iter().map(choice).collect()
}

fn states(chosen: Option<DeliveryState>) -> Vec<Choice> {
    let choice = |state: DeliveryState| Choice {
        value: state.as_str().to_owned(),
        word: match state {
            DeliveryState::Delivered => "Delivered".to_owned(),
            DeliveryState::Retrying => "Retrying".to_owned(),
            DeliveryState::Waiting => "Waiting for an earlier event".to_owned(),
            DeliveryState::Dead => "Dead letters".to_owned(),
        },
        chosen: chosen == Some(state),
    };
    DeliveryState::ALL.into_iter().map(choice).collect()
}

fn event_types(subscription: &Subscription) -> String {
    let names = subscription.filter.type_names();
    names.map_or_else(|| "all of messages".to_owned(), |names| names.join(", "))
}

fn channels(subscription: &Subscription, names: &ChannelNames) -> String {
    let name = |id: &ChannelId| {
        names
            .get(id)
            .map_or_else(|| id.to_string(), ToString::to_string)
    };
    let channels = subscription.filter.channels.as_ref();
    channels.map_or_else(
        || "all".to_owned(),
        |channels| {
            let words: Vec<_> = channels.iter().map(name).collect();
            words.join(", ")
        },
    )
}

/// Returns until when the replaced secret signs.
fn previous_secret(visit: &Visit, subscription: &Subscription) -> Option<Html> {
    let previous = subscription.secrets.previous.as_ref()?;
    let is_live = visit.times.now() < previous.expires_at;
    is_live.then(|| visit.times.minute(previous.expires_at))
}
