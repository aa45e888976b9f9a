//! One message: its outcome, timeline, reports and events.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::delivery::DeliveryFilter;
use domain::page::PageSize;
use domain::{ChannelId, Delivery, MessageKey, MessageSid};
use ports::reports::MessageWithReports;
use ports::{ChannelWithCredentials, StoreError};
use usecases::access::audit::Action;
use usecases::messages::show::ShownMessage;
use usecases::subscriptions::SubscriptionError;

use super::explain::{Verdict, verdict, who_must_act, will_a_retry_help};
use super::reports::{self, ReportRow};
use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::number::count;
use crate::page::{self, Page, Section};
use crate::pages::channels::last_day::LastDay;
use crate::pages::subscriptions;
use crate::plot::timeline::{Step, timeline};
use crate::status;
use crate::visit::Visit;

/// The deliveries of a message's events that are shown.
const MAX_DELIVERIES: usize = 100;

/// What is said about a test message.
const TEST_NOTE: &str = "This is the message of a test of the channel. It counts in no statistics \
                         and has no events.";

/// The error of the message, explained.
struct ErrorPanel {
    code: String,
    title: &'static str,
    explanation: &'static str,
    actor: &'static str,
    permanence: &'static str,
    text: Option<String>,
    path: String,
    /// How many messages of the channel have it, of those first reported in the last 24 hours;
    /// `None` if it could not be counted.
    today: Option<String>,
}

/// A delivery of one of its events to a subscription.
struct DeliveryRow {
    event: &'static str,
    subscription: String,
    subscription_path: String,
    state: Html,
    attempts: u32,
    error: Option<String>,
    at: Html,
}

#[derive(Template)]
#[template(path = "messages/show.html")]
struct MessagePage {
    page: Page,
    sid: String,
    /// What kind of message it is, if it is not one of the integrator's.
    note: Option<String>,
    verdict: Verdict,
    timeline: Html,
    reports: Vec<ReportRow>,
    duplicates: u64,
    missing_reports: bool,
    error: Option<ErrorPanel>,
    channel: String,
    channel_path: String,
    to: String,
    from: Option<String>,
    first: Html,
    last: Html,
    to_path: Option<String>,
    may_reveal: bool,
    revealed: bool,
    reveal_path: String,
    /// `None` if they could not be read.
    deliveries: Option<Vec<DeliveryRow>>,
}

/// Shows a message with everything masked.
pub(crate) async fn show(
    console: Data<Console>,
    visit: Visit,
    path: Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let key = message_key(&path)?;
    show_page(&console, &visit, &key, false).await
}

/// Shows a message unmasked, after recording who saw it.
pub(crate) async fn reveal(
    console: Data<Console>,
    visit: Visit,
    path: Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let key = message_key(&path)?;
    visit.require(Permission::Reveal)?;
    // The same words as for a reveal through the API.
    let object = format!("messages/{}/{}", key.channel, key.sid);
    let action = Action::new(AuditAction::DataReveal).on(&object);
    let audit = &console.state.access.audit;
    console
        .run(audit.before(&visit.viewer.actor(), action))
        .await?;
    show_page(&console, &visit, &key, true).await
}

fn message_key((channel, sid): &(String, String)) -> Result<MessageKey, PageError> {
    let missing = || PageError::NotFound("such message".to_owned());
    Ok(MessageKey {
        channel: ChannelId::parse(channel).map_err(|_| missing())?,
        sid: MessageSid::parse(sid).map_err(|_| missing())?,
    })
}

fn note(found: &MessageWithReports) -> Option<String> {
    if found.message.key.sid.is_test() {
        return Some(TEST_NOTE.to_owned());
    }
    let other = found.alias_of.as_ref()?;
    Some(format!(
        "This is another id of the message {other}. Reports on it arrived before that was known, so \
         they are counted separately."
    ))
}

async fn show_page(
    console: &Console,
    visit: &Visit,
    key: &MessageKey,
    revealed: bool,
) -> Result<HttpResponse, PageError> {
    let found = console.run(console.state.show.run(key)).await?;
    let channels = console.channels().await?;
    let channel = channels.iter().find(|each| each.channel.id == key.channel);
    let message = &found.message.message;
    let times = &visit.times;
    let recipient = &message.parties.recipient;
    let shown = |address: &domain::Address| {
        if revealed {
            address.reveal().to_owned()
        } else {
            address.to_string()
        }
    };
    let others = domain::Recipient::parse(recipient.reveal()).ok();
    let others = others.map(|recipient| console.state.recipients.seal(&recipient));
    let last = message.last_reported_at;
    let deliveries = deliveries(console, visit, key).await;
    let day = LastDay::read(console, visit).await;
    let reports = &found.message.reports;
    let path = super::path(key);
    let template = MessagePage {
        sid: key.sid.to_string(),
        note: note(&found.message),
        verdict: verdict(
            message,
            found.explanation.as_ref(),
            &times.relative_text(last),
        ),
        timeline: draw(visit, &found),
        reports: reports::rows(reports, channel, times, revealed),
        duplicates: message.duplicates,
        missing_reports: usize::try_from(message.revision()).is_ok_and(|all| reports.len() < all),
        error: error_panel(&found, revealed, &day),
        channel: name(channel, key),
        channel_path: format!("/console/channels/{}", key.channel),
        to: shown(recipient),
        from: message.parties.sender.as_ref().map(shown),
        first: times.exact(message.parties.first_reported_at),
        last: times.exact(last),
        to_path: others.map(|sealed| format!("/console/messages?to={sealed}&range=all")),
        may_reveal: visit.viewer.may(Permission::Reveal) && !revealed,
        revealed,
        reveal_path: format!("{path}/reveal"),
        deliveries: deliveries.ok(),
        page: Page {
            back: path,
            ..visit.page(format!("Message {}", key.sid), Section::Messages)
        },
    };
    page::show(&template)
}

fn name(channel: Option<&ChannelWithCredentials>, key: &MessageKey) -> String {
    channel.map_or_else(
        || format!("{} (removed)", key.channel),
        |found| found.channel.name.to_string(),
    )
}

fn draw(visit: &Visit, found: &ShownMessage) -> Html {
    let steps = found.message.message.state.timeline().steps();
    let mut steps: Vec<_> = steps
        .map(|(status, at)| Step {
            look: status::look(status),
            at: at.unix_micros(),
            time: visit.times.exact_text(at),
        })
        .collect();
    steps.sort_by_key(|step| step.at);
    timeline("timeline", &steps)
}

fn error_panel(found: &ShownMessage, revealed: bool, day: &LastDay) -> Option<ErrorPanel> {
    let error = &found.message.message.state.error()?.error;
    let explanation = found.explanation?;
    let text = if revealed {
        error.text.reveal().to_owned()
    } else {
        error.text.to_string()
    };
    Some(ErrorPanel {
        code: error.code.to_string(),
        title: explanation.title,
        explanation: explanation.explanation,
        actor: who_must_act(&explanation),
        permanence: will_a_retry_help(explanation.permanence),
        text: Some(text).filter(|text| !text.is_empty()),
        path: format!(
            "/console/messages?channel={}&code={}&range=24h",
            found.message.message.key.channel, error.code
        ),
        today: day
            .with_error(&found.message.message.key.channel, &error.code)
            .map(|messages| count(messages, "message", "messages")),
    })
}

/// Returns the deliveries of a message's events, by subscription.
async fn deliveries(
    console: &Console,
    visit: &Visit,
    key: &MessageKey,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let manage = &console.state.subscriptions;
    let mut rows = Vec::new();
    let known = match console.run(manage.list()).await {
        Ok(known) => known,
        Err(SubscriptionError::Store(error)) => return Err(error),
        // A list has no other errors.
        Err(_) => return Ok(rows),
    };
    for status in known {
        if rows.len() >= MAX_DELIVERIES {
            break;
        }
        let subscription = status.subscription;
        let filter = DeliveryFilter {
            message: Some(key.clone()),
            ..DeliveryFilter::of(subscription.id)
        };
        let page = manage.deliveries(&filter, None, PageSize::default());
        match console.run(page).await {
            Ok(page) => {
                let row = |delivery: &Delivery| DeliveryRow {
                    event: delivery.event_type.as_str(),
                    subscription: subscriptions::label(&subscription),
                    subscription_path: subscriptions::path(subscription.id),
                    state: status::delivery_chip(delivery.state),
                    attempts: delivery.attempts.count(),
                    error: delivery
                        .attempts
                        .last_error()
                        .and_then(|attempt| attempt.error.as_ref())
                        .map(ToString::to_string),
                    at: visit
                        .times
                        .exact(delivery.finished_at.unwrap_or(delivery.created_at)),
                };
                rows.extend(page.items.iter().map(row));
            }
            Err(SubscriptionError::Store(error)) => return Err(error),
            // It was removed in between.
            Err(_) => {}
        }
    }
    Ok(rows)
}
