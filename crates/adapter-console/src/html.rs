//! HTML made by code, for the small parts that templates have in common.

use std::fmt::{self, Write as _};

/// HTML that is safe to put into a page as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Takes HTML in which every value is escaped.
    pub(crate) fn trusted(html: impl Into<String>) -> Self {
        Self(html.into())
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// Shows a text escaped for elements and quoted attributes.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: AsRef<str>> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.as_ref().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Shows a text in which parts between backticks are code.
pub(crate) fn with_code(text: &str) -> Html {
    let mut html = String::new();
    for (place, part) in text.split('`').enumerate() {
        let part = Escaped(part);
        // Writing into a `String` cannot fail.
        let _ = if place % 2 == 1 {
            write!(html, "<code>{part}</code>")
        } else {
            write!(html, "{part}")
        };
    }
    Html(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_backticks_is_code() {
        let shown = with_code("Keep `#rc=5&rp=ct` & more").to_string();
        assert_eq!(shown, "Keep <code>#rc=5&amp;rp=ct</code> &amp; more");
    }

    #[test]
    fn characters_with_a_meaning_in_html_are_escaped() {
        let shown = Escaped(r#"<a href="x" title='y'>&"#).to_string();
        assert_eq!(shown, "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
    }
}
