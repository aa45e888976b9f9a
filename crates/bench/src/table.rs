//! Tables in Markdown, and medians.

/// The median; `None` of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// A table whose first column is text and whose others are numbers.
#[must_use]
pub fn markdown<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let dashes = widths.iter().enumerate().map(|(place, width)| match place {
        0 => "-".repeat(width + 2),
        _ => "-".repeat(width + 1) + ":",
    });
    let ruler = format!("|{}|", dashes.collect::<Vec<_>>().join("|"));
    let mut lines = vec![line(&header.map(str::to_owned), widths), ruler];
    lines.extend(rows.iter().map(|row| line(row, widths)));
    lines.join("\n") + "\n"
}

fn line<const N: usize>(cells: &[String; N], widths: [usize; N]) -> String {
    let cells = cells.iter().zip(widths).enumerate();
    let padded = cells.map(|(place, (cell, width))| match place {
        0 => format!(" {cell:<width$} "),
        _ => format!(" {cell:>width$} "),
    });
    format!("|{}|", padded.collect::<Vec<_>>().join("|"))
}

/// A number with as many digits as it deserves; a dash for none.
#[must_use]
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 1000.0 => thousands(value),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_table_is_aligned() {
        let rows = [
            ["a".to_owned(), number(Some(35_700.4))],
            ["bcd".to_owned(), number(None)],
        ];
        let expected = "| row |   rate |\n|-----|-------:|\n| a   | 35,700 |\n| bcd |      – |\n";
        assert_eq!(markdown(["row", "rate"], &rows), expected);
        assert_eq!(number(Some(999.9)), "1000");
        assert_eq!(number(Some(0.123)), "0.12");
    }
}
