//! The table: words to the left, numbers to the right.

/// The first row is the header.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let header = header.map(str::to_owned);
    let all = || std::iter::once(&header).chain(rows);
    let width = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    // The names of scenario and engine, and the result.
    let is_words = |column| column < 2 || column + 1 == N;
    let ruler = widths.iter().enumerate().map(|(column, width)| {
        let end = if is_words(column) { "-" } else { ":" };
        format!("{}{end}|", "-".repeat(width + 1))
    });
    let mut text = String::new();
    for (place, row) in all().enumerate() {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| {
            if is_words(column) {
                format!(" {cell:<width$} |")
            } else {
                format!(" {cell:>width$} |")
            }
        });
        text.push('|');
        text.extend(cells);
        text.push('\n');
        if place == 0 {
            text.push('|');
            text.extend(ruler.clone());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn words_stand_to_the_left_and_numbers_to_the_right() {
        let row = ["poison", "SQLite", "999", "good"].map(str::to_owned);
        let expected = "| scenario | engine | found | result |\n\
                        |----------|--------|------:|--------|\n\
                        | poison   | SQLite |   999 | good   |\n";
        let header = ["scenario", "engine", "found", "result"];
        assert_eq!(table(header, &[row]), expected);
    }
}
