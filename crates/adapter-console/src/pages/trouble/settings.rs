//! The settings of the rules: for all channels, and for one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::ChannelId;
use domain::access::{AuditAction, Permission};
use domain::trouble::{QuietHours, Thresholds, TroubleKind, TroubleSettings};
use usecases::trouble::AppliedSettings;

use super::PATH;
use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::form::FormView;
use crate::page::{self, Choice, Page, Section};
use crate::pages::channels;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "trouble/settings.html")]
struct SettingsPage {
    page: Page,
    form: FormView,
    action: String,
    /// The name and the page of the channel; `None`: all channels.
    channel: Option<(String, String)>,
    own: bool,
    kinds: Vec<Choice>,
    may_change: bool,
}

/// What the form is about.
struct Scope {
    id: Option<ChannelId>,
    name: Option<String>,
    applied: AppliedSettings,
}

impl Scope {
    async fn read(console: &Console, id: Option<ChannelId>) -> Result<Self, PageError> {
        let name = match &id {
            Some(id) => {
                let found = console.run(console.state.channels.show(id)).await?;
                Some(found.channel.name.to_string())
            }
            None => None,
        };
        let settings = console.state.troubles.settings(id.as_ref());
        let applied = console.run(settings).await?;
        Ok(Self { id, name, applied })
    }

    /// Returns the kinds that have a rule here.
    fn kinds(&self) -> impl Iterator<Item = TroubleKind> {
        let all = self.id.is_none();
        let kinds = TroubleKind::ALL.into_iter();
        kinds.filter(move |kind| all || kind.is_of_channel())
    }

    fn action(&self) -> String {
        match &self.id {
            Some(id) => format!("{}/rules", channels::path(id)),
            None => format!("{PATH}/rules"),
        }
    }

    fn object(&self) -> &str {
        self.id.as_ref().map_or("all channels", ChannelId::as_str)
    }

    fn page(&self, visit: &Visit, form: FormView) -> SettingsPage {
        let choice = |kind: TroubleKind| Choice {
            value: kind.as_str().to_owned(),
            word: kind.title().to_owned(),
            chosen: form.fields.all("on").any(|on| on == kind.as_str()),
        };
        let channel = self.id.as_ref().zip(self.name.as_ref());
        let (title, section) = match &self.name {
            Some(name) => (format!("Rules of {name}"), Section::Channels),
            None => ("Rules".to_owned(), Section::Trouble),
        };
        SettingsPage {
            kinds: self.kinds().map(choice).collect(),
            action: self.action(),
            channel: channel.map(|(id, name)| (name.clone(), channels::path(id))),
            own: self.applied.own && self.id.is_some(),
            may_change: visit.viewer.may(Permission::Change),
            form,
            page: visit.page(title, section),
        }
    }
}

/// Shows the settings of all channels.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    show_form(&console, &visit, None).await
}

/// Shows the settings of a channel.
pub(crate) async fn show_of_channel(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = channels::channel_id(&path)?;
    show_form(&console, &visit, Some(id)).await
}

async fn show_form(
    console: &Console,
    visit: &Visit,
    id: Option<ChannelId>,
) -> Result<HttpResponse, PageError> {
    let scope = Scope::read(console, id).await?;
    let settings = &scope.applied.settings;
    let thresholds = settings.thresholds;
    let quiet = settings.quiet_hours.map(|hours| hours.to_string());
    let mut fields = Fields::default()
        .with("silence", Some(&thresholds.silence_minutes().to_string()))
        .with("challenges", Some(&thresholds.challenges().to_string()))
        .with("share", Some(&thresholds.code_share_percent().to_string()))
        .with("quiet", quiet.as_deref());
    for kind in scope.kinds().filter(|kind| settings.is_on(*kind)) {
        fields = fields.and("on", kind.as_str());
    }
    page::show(&scope.page(visit, FormView::with(fields)))
}

/// Changes the settings of all channels.
pub(crate) async fn change(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    store(&console, &visit, None, form).await
}

/// Changes the settings of a channel.
pub(crate) async fn change_of_channel(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    let id = channels::channel_id(&path)?;
    store(&console, &visit, Some(id), form).await
}

async fn store(
    console: &Console,
    visit: &Visit,
    id: Option<ChannelId>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let scope = Scope::read(console, id).await?;
    let mut form = FormView::with(form.0);
    let Some(settings) = parse(&mut form, &scope) else {
        let template = scope.page(visit, form);
        return page::show_as(StatusCode::BAD_REQUEST, &template);
    };
    let troubles = &console.state.troubles;
    let storing = troubles.set_settings(scope.id.as_ref(), Some(&settings));
    console.run(storing).await?;
    done(console, visit, &scope).await
}

/// Removes the settings of a channel, so that those of all channels apply.
pub(crate) async fn reset(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = channels::channel_id(&path)?;
    let scope = Scope::read(&console, Some(id)).await?;
    let troubles = &console.state.troubles;
    let removing = troubles.set_settings(scope.id.as_ref(), None);
    console.run(removing).await?;
    done(&console, &visit, &scope).await
}

async fn done(console: &Console, visit: &Visit, scope: &Scope) -> Result<HttpResponse, PageError> {
    console
        .audit(visit, AuditAction::TroubleSettings, scope.object(), "")
        .await;
    let path = match &scope.id {
        Some(id) => channels::path(id),
        None => PATH.to_owned(),
    };
    Ok(page::redirect(&format!("{path}?done=rules-changed")))
}

fn parse(form: &mut FormView, scope: &Scope) -> Option<TroubleSettings> {
    let FormView { fields, errors } = form;
    let number = |name: &str| fields.get(name).and_then(|text| text.parse().ok());
    let silence: u16 = number("silence").unwrap_or_default();
    let share = number("share").and_then(|share| u8::try_from(share).ok());
    let share = share.unwrap_or_default();
    let challenges = fields.get("challenges").and_then(|text| text.parse().ok());
    let challenges: u32 = challenges.unwrap_or_default();
    // Each is checked beside valid ones, so that its field has the error.
    let checked = [
        ("silence", Thresholds::new(silence, 1, 1)),
        ("challenges", Thresholds::new(1, challenges, 1)),
        ("share", Thresholds::new(1, 1, share)),
    ];
    for (name, checked) in checked {
        errors.check(name, checked);
    }
    let quiet_hours = fields.get("quiet").map(str::parse::<QuietHours>);
    let quiet_hours = errors.check("quiet", quiet_hours.transpose()).flatten();
    let is_on = |kind: TroubleKind| fields.all("on").any(|on| on == kind.as_str());
    // Rules that the form does not have stay as they are.
    let shown: Vec<_> = scope.kinds().collect();
    let before = &scope.applied.settings.off;
    let kept = before.iter().copied().filter(|kind| !shown.contains(kind));
    let off = shown.iter().copied().filter(|kind| !is_on(*kind));
    let settings = TroubleSettings {
        off: off.chain(kept).collect(),
        thresholds: Thresholds::new(silence, challenges, share).ok()?,
        quiet_hours,
    };
    errors.is_empty().then_some(settings)
}
