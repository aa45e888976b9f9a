//! One channel: its state, its callback URL, its credentials and its settings.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::Permission;
use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::{Credential, IntegratorName, RetentionDays};
use ports::ChannelWithCredentials;

use super::callback_url::Builder;
use super::forwarding::Forwarding;
use super::last_day::LastDay;
use super::reconciliation::{Alerted, Reconciled};
use super::state::{Activity, ChannelState};
use crate::console::Console;
use crate::error::PageError;
use crate::html::{Html, with_code};
use crate::number::count;
use crate::page::{self, Page, Section};
use crate::status::StatusLook;
use crate::visit::Visit;

/// A credential.
struct CredentialRow {
    label: String,
    user: String,
    created: Html,
    used: Option<Html>,
    expires: Option<Html>,
    is_live: bool,
    remove_path: String,
    /// What removing it costs.
    warning: &'static str,
}

/// How far the replacement of a password is.
struct Rotation {
    /// Since when it is used.
    used: Option<Html>,
    /// When the old one was last used.
    old_used: Option<Html>,
    /// Whether the old one can be removed without losing reports.
    is_safe: bool,
}

#[derive(Template)]
#[template(path = "channels/show.html")]
struct ChannelPage {
    page: Page,
    id: String,
    name: String,
    path: String,
    integrator: IntegratorName,
    look: StatusLook,
    evidence: Html,
    warnings: Vec<String>,
    builder: Option<Builder>,
    /// What the integrator does after a report was refused.
    after_refusal: &'static str,
    /// What to do at the integrator.
    steps: Vec<Html>,
    credentials: Vec<CredentialRow>,
    rotation: Option<Rotation>,
    can_add: bool,
    enabled: bool,
    senders: Vec<String>,
    signature: &'static str,
    public_url: String,
    keep: String,
    /// Whose settings the rules that find trouble have.
    rules: &'static str,
    /// What reconciliation did; `None` without an account.
    reconciled: Option<Reconciled>,
    /// Reports that Twilio could not deliver, if any.
    alerted: Option<Alerted>,
    /// Where requests are forwarded to, and what waits; `None` without a forward URL.
    forwarding: Option<Forwarding>,
    created: Html,
    updated: Html,
    calls: [String; 3],
    /// How many messages are separate, if any.
    separate: Option<String>,
    /// Requests of the last 24 hours by their outcome.
    requests: Option<[String; 4]>,
    may_change: bool,
}

/// Shows a channel.
pub(crate) async fn show(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = super::channel_id(&path)?;
    let manage = &console.state.channels;
    let found = console.run(manage.show(&id)).await?;
    let calls = console.run(manage.calls(&id)).await?;
    let now = visit.times.now();
    let warnings = console.state.rejections.warnings(&found, now);
    let warnings = console.run(warnings).await?;
    let day = LastDay::read(&console, &visit).await;
    let silences = console.run(console.state.troubles.silences()).await?;
    let activity = Activity::new(&found, calls, day.last_report(&id))
        .with_challenges(day.challenges(&id))
        .with_silence(&id, &silences);
    let state = ChannelState::of(&found, &activity, now);
    let channel = &found.channel;
    let rules = console.run(console.state.troubles.settings(Some(&id)));
    let rules = if rules.await?.own {
        "its own"
    } else {
        "those of all channels"
    };
    let separate = console.run(console.state.show.separate(&id)).await;
    let setup = manage.setup(channel).ok();
    let public_url = channel.public_url.as_ref().unwrap_or(manage.public_url());
    let template = ChannelPage {
        name: channel.name.to_string(),
        path: super::path(&id),
        integrator: channel.integrator.clone(),
        look: state.look(),
        evidence: state.evidence(&found, &activity, &visit.times),
        warnings,
        steps: setup
            .iter()
            .flat_map(|setup| setup.steps)
            .map(|step| with_code(step))
            .collect(),
        after_refusal: if setup.as_ref().is_some_and(|setup| setup.redelivers) {
            "sends them again for some time, so they arrive if the channel is switched on soon"
        } else {
            "does not send them again"
        },
        builder: setup.map(|setup| Builder::new(&setup.callback_url, &visit.query)),
        credentials: found
            .credentials
            .iter()
            .map(|each| row(&visit, each))
            .collect(),
        rotation: rotation(&visit, &found),
        can_add: live(&visit, &found).count() < LIVE_CREDENTIALS_MAX,
        enabled: channel.enabled,
        senders: channel.senders.iter().map(ToString::to_string).collect(),
        signature: match channel.signing_token {
            Some(_) => "required",
            None => "not required",
        },
        public_url: public_url.to_string(),
        keep: channel.keep_messages_days.map_or_else(
            || "as configured for the server".to_owned(),
            |days: RetentionDays| count(days.get().into(), "day", "days"),
        ),
        rules,
        reconciled: Reconciled::read(&console, &visit, &id).await?,
        alerted: Alerted::read(&console, &visit, &id).await?,
        forwarding: Forwarding::read(&console, &visit, channel).await?,
        created: visit.times.minute(channel.created_at),
        updated: visit.times.minute(channel.updated_at),
        calls: [
            count(calls.challenged, "request", "requests"),
            count(calls.refused, "request", "requests"),
            count(calls.rejected, "report", "reports"),
        ],
        separate: separate
            .filter(|number| *number > 0)
            .map(|number| format!("at least {}", count(number, "message", "messages"))),
        requests: day
            .requests(&id)
            .map(|requests| requests.map(|number| count(number, "request", "requests"))),
        may_change: visit.viewer.may(Permission::Change),
        page: visit.page(channel.name.to_string(), Section::Channels),
        id: id.to_string(),
    };
    page::show(&template)
}

fn live<'a>(
    visit: &'a Visit,
    found: &'a ChannelWithCredentials,
) -> impl Iterator<Item = &'a Credential> {
    let now = visit.times.now();
    found
        .credentials
        .iter()
        .filter(move |each| each.is_live(now))
}

fn row(visit: &Visit, credential: &Credential) -> CredentialRow {
    let times = &visit.times;
    let is_live = credential.is_live(times.now());
    let label = credential.label.clone();
    CredentialRow {
        label: label.unwrap_or_else(|| "without a label".to_owned()),
        user: credential.user.to_string(),
        created: times.minute(credential.created_at),
        used: credential.last_used_at.map(|used| times.relative(used)),
        expires: credential.expires_at.map(|end| times.minute(end)),
        is_live,
        remove_path: format!(
            "{}/credentials/{}/remove",
            super::path(&credential.channel),
            credential.id
        ),
        warning: match (is_live, credential.last_used_at) {
            (false, _) => "It has expired, so nothing changes for reports.",
            (true, None) => "It was never used.",
            (true, Some(_)) => "Calls that still use it are answered 401 from then on.",
        },
    }
}

/// Returns how far the replacement of a password is; `None` if the channel has one credential.
fn rotation(visit: &Visit, found: &ChannelWithCredentials) -> Option<Rotation> {
    let mut live: Vec<_> = live(visit, found).collect();
    live.sort_by_key(|each| each.created_at);
    let [old, new] = live.as_slice() else {
        return None;
    };
    let times = &visit.times;
    let is_safe = new.last_used_at.is_some_and(|new| {
        let quiet = 3_600_000_000;
        old.last_used_at
            .is_none_or(|old| new.unix_micros() - old.unix_micros() > quiet)
    });
    Some(Rotation {
        used: new.last_used_at.map(|used| times.relative(used)),
        old_used: old.last_used_at.map(|used| times.relative(used)),
        is_safe,
    })
}
