//! Fits texts and tables into the width of a terminal.

use std::ops::Range;

use unicode_width::UnicodeWidthStr as _;

/// The maximum width of help texts.
pub const HELP_WIDTH: usize = 80;

const GAP: usize = 2;
const INDENT: usize = 4;

/// Breaks a text between words into lines of at most `width`. A longer word is not cut: it gets a
/// line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Lays out rows, the first of which is the header, as a table of at most `width`. If they do not
/// fit, each row takes several lines, all but the first indented. No id or other word is cut.
pub fn table(rows: &[Vec<String>], width: usize) -> String {
    let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = cell.width().max(*column);
        }
    }
    let groups = groups(&widths, width);
    let mut lines = Vec::new();
    for row in rows {
        for columns in &groups {
            let indent = if columns.start == 0 { 0 } else { INDENT };
            let cells = row.iter().zip(&widths);
            let cells = cells.skip(columns.start).take(columns.len());
            let mut line = String::new();
            for (cell, width) in cells {
                line.push_str(cell);
                let padding = width + GAP - cell.width();
                line.extend(std::iter::repeat_n(' ', padding));
            }
            let wrapped = if columns.len() == 1 {
                wrap(&line, width.saturating_sub(indent))
            } else {
                vec![line.trim_end().to_owned()]
            };
            let indented = wrapped.iter().map(|line| format!("{:indent$}{line}", ""));
            lines.extend(indented.filter(|line| !line.trim().is_empty()));
        }
    }
    lines.join("\n")
}

/// Joins two texts in one line, or puts the second, indented and wrapped, below the first.
pub fn one_line_or_two(first: &str, second: &str, width: usize) -> String {
    let line = format!("{first}  {second}");
    if line.width() <= width {
        return line;
    }
    let below = wrap(second, width.saturating_sub(INDENT));
    let below = below.iter().map(|line| format!("\n{:INDENT$}{line}", ""));
    first.to_owned() + &below.collect::<String>()
}

/// Distributes columns over as few lines as possible.
fn groups(columns: &[usize], width: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (number, column) in columns.iter().enumerate() {
        if number > start && used + column > width {
            groups.push(start..number);
            (start, used) = (number, INDENT);
        }
        used += column + GAP;
    }
    groups.push(start..columns.len());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0193b5a0-7c1e-7d5a-9b3f-0123456789ab";

    fn rows() -> Vec<Vec<String>> {
        vec![
            ["ID", "STATE", "LAST DELIVERED", "DESCRIPTION"],
            [
                ID,
                "active",
                "2026-11-22T18:06:19Z",
                "Support desk, day shift",
            ],
            [ID, "paused", "never", ""],
        ]
        .into_iter()
        .map(|row| row.map(str::to_owned).to_vec())
        .collect()
    }

    #[test]
    fn table_that_fits_has_one_line_per_row() {
        let text = table(&rows(), usize::MAX);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(
            text.contains("paused  never\n") || text.ends_with("paused  never"),
            "{text}"
        );
    }

    #[test]
    fn table_that_does_not_fit_stacks_columns_without_truncating() {
        let text = table(&rows(), 80);
        let expected = format!(
            "ID                                    STATE   LAST DELIVERED\n    DESCRIPTION\n\
             {ID}  active  2026-11-22T18:06:19Z\n    Support desk, day shift\n\
             {ID}  paused  never"
        );
        assert_eq!(text, expected);
        let narrow = table(&rows(), 20);
        assert!(
            narrow.contains(ID) && narrow.contains("    Support desk,\n    day shift"),
            "{narrow}"
        );
    }

    #[test]
    fn second_text_goes_below_the_first_if_the_line_is_too_long() {
        assert_eq!(one_line_or_two("a b", "c d", 8), "a b  c d");
        assert_eq!(one_line_or_two("a b", "c d", 7), "a b\n    c d");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap(&format!("id {ID} end"), 10), ["id", ID, "end"]);
        assert!(wrap(" ", 10).is_empty());
    }
}
