//! The frame of every page: title, navigation, who is signed in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use askama::Template;
use domain::access::Permission;

use crate::assets::{self, AssetPaths};
use crate::error::PageError;
use crate::html::{Escaped, Html};
use crate::session::viewer::Viewer;
use crate::visit::Theme;

/// A part of the console that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Trouble,
    Messages,
    Live,
    Channels,
    Subscriptions,
    Rejections,
    Tokens,
    Sessions,
    Audit,
    Erasures,
    About,
}

/// What the navigation shows of a section.
struct Link {
    name: &'static str,
    path: &'static str,
    /// The id of the icon in the layout.
    icon: &'static str,
    /// The key that leads there after `g`.
    key: Option<&'static str>,
    /// What an operator needs to see it.
    permission: Permission,
}

/// All permissions.
const PERMISSIONS: [Permission; 5] = [
    Permission::Read,
    Permission::Change,
    Permission::Administer,
    Permission::Reveal,
    Permission::Audit,
];

/// The groups of the navigation, with the sections of each.
const NAVIGATION: [(&str, &[Section]); 3] = [
    (
        "Watch",
        &[
            Section::Overview,
            Section::Trouble,
            Section::Messages,
            Section::Live,
            Section::Rejections,
        ],
    ),
    ("Set up", &[Section::Channels, Section::Subscriptions]),
    (
        "Administration",
        &[
            Section::Tokens,
            Section::Sessions,
            Section::Audit,
            Section::Erasures,
            Section::About,
        ],
    ),
];

impl Section {
    fn link(self) -> Link {
        let (name, path, key) = match self {
            Self::Overview => ("Overview", "/console/", Some("o")),
            Self::Trouble => ("Trouble", "/console/trouble", Some("p")),
            Self::Messages => ("Messages", "/console/messages", Some("m")),
            Self::Live => ("Live", "/console/live", Some("l")),
            Self::Channels => ("Channels", "/console/channels", Some("c")),
            Self::Subscriptions => ("Subscriptions", "/console/subscriptions", Some("s")),
            Self::Rejections => ("Rejections", "/console/rejections", Some("r")),
            Self::Tokens => ("Tokens", "/console/tokens", Some("t")),
            Self::Sessions => ("Sessions", "/console/sessions", None),
            Self::Audit => ("Audit", "/console/audit", Some("a")),
            Self::Erasures => ("Erasures", "/console/erasures", Some("e")),
            Self::About => ("About", "/console/about", None),
        };
        let icon = match path.trim_start_matches("/console/") {
            "" => "overview",
            icon => icon,
        };
        Link {
            name,
            path,
            icon,
            key,
            permission: self.permission(),
        }
    }

    /// Returns the section that a path belongs to; the overview if it is of no other.
    pub(crate) fn of_path(path: &str) -> Self {
        let all = NAVIGATION.iter().flat_map(|(_, sections)| sections.iter());
        let mut others = all.copied().filter(|section| *section != Self::Overview);
        let found = others.find(|section| path.starts_with(section.link().path));
        found.unwrap_or(Self::Overview)
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Tokens => Permission::Administer,
            Self::Audit => Permission::Audit,
            Self::Overview
            | Self::Trouble
            | Self::Messages
            | Self::Live
            | Self::Channels
            | Self::Subscriptions
            | Self::Rejections
            | Self::Sessions
            | Self::Erasures
            | Self::About => Permission::Read,
        }
    }
}

/// A group of the navigation.
pub(crate) struct NavigationGroup {
    pub(crate) name: &'static str,
    pub(crate) entries: Vec<NavigationEntry>,
}

/// A link of the navigation.
pub(crate) struct NavigationEntry {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) key: Option<&'static str>,
    pub(crate) current: bool,
}

/// A choice of a preference.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) word: String,
    pub(crate) chosen: bool,
}

/// What the layout shows.
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) section: Section,
    pub(crate) theme: &'static str,
    pub(crate) assets: &'static AssetPaths,
    /// A sentence about the change that was just made.
    pub(crate) notice: Option<&'static str>,
    pub(crate) viewer_name: String,
    pub(crate) viewer_role: &'static str,
    /// What the viewer may do.
    pub(crate) permissions: Vec<Permission>,
    /// The zone of the times on the page.
    pub(crate) zone: String,
    /// The zone to switch to.
    pub(crate) other_zone: Choice,
    /// The path and query to return to after a preference was changed.
    pub(crate) back: String,
    /// The token that every form contains, so that forms of other sites are refused.
    pub(crate) csrf: String,
}

impl Page {
    /// Begins a page for a viewer.
    pub(crate) fn new(title: impl Into<String>, section: Section, viewer: &Viewer) -> Self {
        Self {
            title: title.into(),
            section,
            theme: Theme::Auto.as_str(),
            assets: assets::paths(),
            notice: None,
            viewer_name: viewer.name(),
            viewer_role: viewer.role_word(),
            permissions: PERMISSIONS
                .into_iter()
                .filter(|it| viewer.may(*it))
                .collect(),
            zone: String::new(),
            other_zone: Choice {
                value: String::new(),
                word: String::new(),
                chosen: false,
            },
            back: String::new(),
            csrf: viewer.session.csrf_token.reveal().to_owned(),
        }
    }

    /// Returns the hidden field that every form has: it shows that the form is from this session.
    pub(crate) fn csrf_field(&self) -> Html {
        let token = Escaped(&self.csrf);
        Html::trusted(format!(
            "<input type=\"hidden\" name=\"csrf\" value=\"{token}\">"
        ))
    }

    /// Returns the parts of the navigation that the viewer may see.
    pub(crate) fn navigation(&self) -> Vec<NavigationGroup> {
        let entry = |section: &Section| {
            let link = section.link();
            let entry = NavigationEntry {
                name: link.name,
                path: link.path,
                icon: link.icon,
                key: link.key,
                current: *section == self.section,
            };
            self.permissions.contains(&link.permission).then_some(entry)
        };
        let group = |(name, sections): (&'static str, &[Section])| NavigationGroup {
            name,
            entries: sections.iter().filter_map(entry).collect(),
        };
        NAVIGATION.into_iter().map(group).collect()
    }

    /// Returns the themes to choose from.
    pub(crate) fn themes(&self) -> Vec<Choice> {
        let choice = |theme: Theme| Choice {
            value: theme.as_str().to_owned(),
            word: theme.word().to_owned(),
            chosen: theme.as_str() == self.theme,
        };
        Theme::ALL.into_iter().map(choice).collect()
    }
}

/// Answers with a page.
pub(crate) fn show(template: &impl Template) -> Result<HttpResponse, PageError> {
    show_as(StatusCode::OK, template)
}

/// Answers with a page under a status.
pub(crate) fn show_as(
    status: StatusCode,
    template: &impl Template,
) -> Result<HttpResponse, PageError> {
    let html = template.render().map_err(PageError::Template)?;
    Ok(HttpResponse::build(status)
        .content_type(ContentType::html())
        .body(html))
}

/// Redirects to a page of the console after a change.
pub(crate) fn redirect(path: &str) -> HttpResponse {
    use actix_web::http::header;
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .finish()
}
