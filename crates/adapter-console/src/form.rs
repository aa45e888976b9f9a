//! Forms: fields with their labels, hints and problems.

use std::fmt::Write as _;

use crate::fields::{Fields, FormErrors};
use crate::html::{Escaped, Html};

/// A form with the values that were entered and what is wrong with them.
#[derive(Default)]
pub(crate) struct FormView {
    /// The values.
    pub(crate) fields: Fields,
    /// What is wrong.
    pub(crate) errors: FormErrors,
}

impl FormView {
    /// Returns a form with these values.
    pub(crate) fn with(fields: Fields) -> Self {
        Self {
            fields,
            errors: FormErrors::default(),
        }
    }

    /// Shows a line of text.
    pub(crate) fn text(&self, name: &str, label: &str, hint: &str) -> Html {
        let value = Escaped(self.fields.text(name));
        let attributes = self.attributes(name, hint);
        let input = format!("<input type=\"text\" value=\"{value}\" {attributes}>");
        self.field(name, label, hint, &input)
    }

    /// Shows a line of text that must be filled in.
    pub(crate) fn required(&self, name: &str, label: &str, hint: &str) -> Html {
        let value = Escaped(self.fields.text(name));
        let attributes = self.attributes(name, hint);
        let input = format!("<input type=\"text\" value=\"{value}\" required {attributes}>");
        self.field(name, label, hint, &input)
    }

    /// Shows a line for a secret. What was entered is not shown again.
    pub(crate) fn secret(&self, name: &str, label: &str, hint: &str) -> Html {
        let attributes = self.attributes(name, hint);
        let input = format!("<input type=\"password\" autocomplete=\"new-password\" {attributes}>");
        self.field(name, label, hint, &input)
    }

    /// Shows several lines of text.
    pub(crate) fn lines(&self, name: &str, label: &str, hint: &str) -> Html {
        let value = Escaped(self.fields.text(name));
        let attributes = self.attributes(name, hint);
        let input = format!("<textarea rows=\"4\" {attributes}>\n{value}</textarea>");
        self.field(name, label, hint, &input)
    }

    /// Shows a box to tick.
    pub(crate) fn tick(&self, name: &str, label: &str, hint: &str) -> Html {
        let checked = if self.fields.ticked(name) {
            " checked"
        } else {
            ""
        };
        let (name, label, hint) = (Escaped(name), Escaped(label), Escaped(hint));
        Html::trusted(format!(
            "<div class=\"check\"><input type=\"checkbox\" id=\"{name}\" name=\"{name}\" \
             value=\"1\"{checked}><label for=\"{name}\">{label}</label><p class=\"hint\">{hint}\
             </p></div>"
        ))
    }

    /// Shows how many fields are wrong, with links to them; nothing if none is.
    pub(crate) fn summary(&self) -> Html {
        if self.errors.is_empty() {
            return Html::default();
        }
        let mut items = String::new();
        for (name, message) in self.errors.list() {
            let message = Escaped(message);
            // Writing into a `String` cannot fail.
            let _ = write!(items, "<li><a href=\"#{name}\">{message}</a></li>");
        }
        Html::trusted(format!(
            "<div class=\"notice danger\" role=\"alert\"><svg class=\"mark\" viewBox=\"0 0 16 \
             16\" aria-hidden=\"true\"><use href=\"#mark-failed\"/></svg><div><h2>Nothing was \
             changed</h2><ul>{items}</ul></div></div>"
        ))
    }

    fn attributes(&self, name: &str, hint: &str) -> String {
        let mut attributes = format!("id=\"{name}\" name=\"{name}\" spellcheck=\"false\"");
        let problem = self.errors.of(name).is_some();
        if problem {
            attributes.push_str(" aria-invalid=\"true\"");
        }
        let parts = [(!hint.is_empty(), "hint"), (problem, "problem")];
        let described: Vec<_> = parts
            .into_iter()
            .filter(|(shown, _)| *shown)
            .map(|(_, part)| format!("{name}-{part}"))
            .collect();
        if !described.is_empty() {
            let described = described.join(" ");
            let _ = write!(attributes, " aria-describedby=\"{described}\"");
        }
        attributes
    }

    fn field(&self, name: &str, label: &str, hint: &str, input: &str) -> Html {
        let mut html = format!(
            "<div class=\"field\"><label for=\"{name}\">{}</label>{input}",
            Escaped(label)
        );
        if let Some(problem) = self.errors.of(name) {
            let problem = Escaped(problem);
            let _ = write!(
                html,
                "<p class=\"problem\" id=\"{name}-problem\">{problem}</p>"
            );
        }
        if !hint.is_empty() {
            let hint = Escaped(hint);
            let _ = write!(html, "<p class=\"hint\" id=\"{name}-hint\">{hint}</p>");
        }
        html.push_str("</div>");
        Html::trusted(html)
    }
}

/// Returns the names of the settings that differ, for the audit log.
pub(crate) fn changed_names(differs: &[(&str, bool)]) -> String {
    let names = differs.iter().filter(|(_, differs)| *differs);
    let names: Vec<_> = names.map(|(name, _)| *name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entered_values_come_back_escaped_with_their_problem() {
        let mut form = FormView::with(Fields::parse(b"name=%22%3E%3Cscript%3E"));
        form.errors.add("name", "not <that>");
        let shown = form.text("name", "Name", "a hint").to_string();
        assert!(
            shown.contains("value=\"&quot;&gt;&lt;script&gt;\""),
            "{shown}"
        );
        assert!(shown.contains("aria-describedby=\"name-hint name-problem\""));
        assert!(shown.contains("not &lt;that&gt;"));
        assert!(form.summary().to_string().contains("href=\"#name\""));
    }

    #[test]
    fn secrets_are_not_shown_again() {
        let form = FormView::with(Fields::parse(b"token=hunter22"));
        assert!(
            !form
                .secret("token", "Token", "")
                .to_string()
                .contains("hunter22")
        );
    }
}
