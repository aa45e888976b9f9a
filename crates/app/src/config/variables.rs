//! The environment variables: their help, unknown names, and which variable set a value.

use std::fmt::Write as _;

use clap::{Arg, Args as _, Command};
use serde::Serialize;

use super::settings::Settings;
use crate::layout::{self, HELP_WIDTH};

/// Variables that Kubernetes sets in every container next to a service called `receiptd`.
const KUBERNETES: [&str; 2] = ["RECEIPTD_SERVICE_", "RECEIPTD_PORT"];

/// All settings, in the order of their sections.
#[derive(Serialize)]
pub struct SettingList {
    items: Vec<SettingInfo>,
}

/// A setting.
#[derive(Serialize)]
pub struct SettingInfo {
    section: String,
    variable: String,
    flag: String,
    meaning: String,
    /// `null` if the meaning says what happens without it.
    default: Option<String>,
}

impl SettingList {
    pub fn new() -> Self {
        let items = with_variables().into_iter();
        Self {
            items: items.map(SettingInfo::new).collect(),
        }
    }

    /// Returns the names of the variables.
    #[cfg(test)]
    pub fn variables(&self) -> Vec<&str> {
        self.items
            .iter()
            .map(|each| each.variable.as_str())
            .collect()
    }
}

impl SettingInfo {
    fn new((setting, variable): (Arg, String)) -> Self {
        let default = setting.get_default_values().first();
        Self {
            section: setting.get_help_heading().unwrap_or_default().to_owned(),
            variable,
            flag: format!("--{}", setting.get_long().unwrap_or_default()),
            meaning: setting.get_help().cloned().unwrap_or_default().to_string(),
            default: default.map(|default| default.display().to_string()),
        }
    }
}

/// Returns the text of `receiptd help settings`: each variable with its flag, meaning and
/// default, by section.
pub fn help() -> String {
    let mut text = "\
Settings are environment variables. Each is also a flag of any command, and a
flag overrides its variable. `receiptd config check` checks them all.
"
    .to_owned();
    let mut heading = String::new();
    for setting in SettingList::new().items {
        if setting.section != heading {
            let _ = write!(text, "\n{}:\n", setting.section);
            heading = setting.section;
        }
        let _ = writeln!(text, "  {} ({})", setting.variable, setting.flag);
        let mut meaning = setting.meaning;
        if let Some(default) = setting.default {
            let _ = write!(meaning, ". Default: {default}");
        }
        for line in layout::wrap(&meaning, HELP_WIDTH - 6) {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}

/// Returns the variables that begin with `RECEIPTD_` and are no setting, sorted: most are
/// mistyped.
pub fn unknown_variables() -> Vec<String> {
    let known = with_variables();
    let is_known = |name: &str| known.iter().any(|(_, variable)| variable == name);
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown: Vec<_> = names
        .filter(|name| name.starts_with("RECEIPTD_") && !is_known(name))
        .filter(|name| !KUBERNETES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    unknown.sort_unstable();
    unknown
}

/// Returns the variable that an argument got its value from; `argument` is written as in the
/// parser's errors. `None` if the flag was given.
pub fn variable_of(argument: &str) -> Option<String> {
    let (flag, variable) = with_variables()
        .into_iter()
        .find(|(flag, _)| argument == flag.to_string())?;
    let flag = format!("--{}", flag.get_long()?);
    let given = std::env::args().skip(1).any(|given| {
        let rest = given.strip_prefix(&flag);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    (!given).then_some(variable)
}

/// Returns the width of the output that `COLUMNS` asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "this module reads the environment"
)]
pub fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// Returns every setting that has a variable, with the variable's name.
fn with_variables() -> Vec<(Arg, String)> {
    let mut settings = Settings::augment_args(Command::new("settings"));
    // An argument cannot be displayed before the command is built.
    settings.build();
    let arguments = settings.get_arguments();
    arguments
        .filter_map(|each| Some((each.clone(), each.get_env()?.to_str()?.to_owned())))
        .collect()
}
