//! Tables in Markdown, medians, and numbers with suitable digits.

/// Returns the median; `None` of nothing.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// A table whose columns are numbers, except those whose indices are in `text`.
pub fn table(header: &[&str], text: &[usize], rows: &[impl AsRef<[String]>]) -> String {
    let header: Vec<_> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(header.as_slice()).chain(rows.iter().map(AsRef::as_ref));
    let mut widths = vec![0; header.len()];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(widths.iter().copied()).enumerate();
        let padded = cells.map(|(column, (cell, width))| {
            if text.contains(&column) {
                format!(" {cell:<width$} |")
            } else {
                format!(" {cell:>width$} |")
            }
        });
        format!("|{}\n", padded.collect::<String>())
    };
    let ruler = widths.iter().enumerate().map(|(column, width)| {
        let end = if text.contains(&column) { "-" } else { ":" };
        format!("{}{end}|", "-".repeat(width + 1))
    });
    let ruler = format!("|{}\n", ruler.collect::<String>());
    let mut lines: Vec<_> = all().map(line).collect();
    lines.insert(1, ruler);
    lines.concat()
}

/// Returns a number with as many digits as it deserves; a dash for none.
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 1000.0 => thousands(&format!("{value:.0}")),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Returns a number of things.
pub fn count(count: u64) -> String {
    thousands(&count.to_string())
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
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
    fn median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn texts_are_aligned_left_and_numbers_right() {
        let rows = [
            ["a".to_owned(), number(Some(35_700.4))],
            ["bcd".to_owned(), number(None)],
        ];
        let expected = "| row |   rate |\n|-----|-------:|\n| a   | 35,700 |\n| bcd |      – |\n";
        assert_eq!(table(&["row", "rate"], &[0], &rows), expected);
        let row = ["poison", "SQLite", "999", "good"].map(str::to_owned);
        let expected = "| scenario | engine | found | result |\n\
                        |----------|--------|------:|--------|\n\
                        | poison   | SQLite |   999 | good   |\n";
        let header = ["scenario", "engine", "found", "result"];
        assert_eq!(table(&header, &[0, 1, 3], &[row]), expected);
    }

    #[test]
    fn numbers_have_three_digits_or_more() {
        assert_eq!(number(Some(999.9)), "1000");
        assert_eq!(number(Some(0.123)), "0.12");
        assert_eq!((count(999), count(1_000)), ("999".into(), "1,000".into()));
    }
}
