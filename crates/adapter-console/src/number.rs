//! Formats numbers for pages: with nouns, thousands separators, percent.

/// Returns a number with its noun.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{} {many}", grouped(number))
    }
}

/// Returns a number with a comma before each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a part of a whole in percent, with one digit after the point below 10.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    match tenths {
        0 if part > 0 => "< 0.1\u{a0}%".to_owned(),
        tenths if tenths >= 100 || tenths % 10 == 0 => format!("{}\u{a0}%", (tenths + 5) / 10),
        tenths => format!("{}.{}\u{a0}%", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(1, "request", "requests"), "1 request");
        assert_eq!(
            count(1_234_567, "request", "requests"),
            "1,234,567 requests"
        );
        assert_eq!(grouped(412), "412");
    }

    #[test]
    fn shares_are_short() {
        for (part, whole, text) in [
            (0, 0, "–"),
            (0, 9, "0\u{a0}%"),
            (1, 3, "33\u{a0}%"),
            (1, 40, "2.5\u{a0}%"),
            (1, 100_000, "< 0.1\u{a0}%"),
            (3, 3, "100\u{a0}%"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }
}
