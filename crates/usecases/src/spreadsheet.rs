//! Escapes CSV cells, so that spreadsheet programs do not evaluate them as formulas.

use std::borrow::Cow;

/// Returns the cell of a CSV file for a text. Texts come from outside, and spreadsheet programs
/// take cells that begin with certain characters for formulas, so those get an apostrophe in front.
#[must_use]
pub fn spreadsheet_cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_is_never_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(spreadsheet_cell(text), format!("'{text}"));
        }
        for text in ["", "1", "a=1", " =1", "'=1"] {
            assert_eq!(spreadsheet_cell(text), text);
        }
    }
}
