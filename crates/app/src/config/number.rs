//! Parsing and conversion of numbers in settings and options.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Returns a parser of whole numbers within `bounds`, whose errors name the bounds.
pub fn whole<T>(
    bounds: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text: &str| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        let (least, most) = (bounds.start(), bounds.end());
        number.ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
    }
}

/// Returns the parser of a setting; see [`whole`].
pub fn range(
    bounds: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    whole(bounds)
}

/// Converts a setting to a size in memory.
pub fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1", Some(1))]
    #[case("720", Some(720))]
    #[case("0", None)]
    #[case("721", None)]
    #[case("99999999999", None)]
    #[case("-1", None)]
    #[case("many", None)]
    #[case("", None)]
    fn number_outside_its_bounds_is_refused_with_them(
        #[case] text: &str,
        #[case] expected: Option<u16>,
    ) {
        let refused = "it must be a whole number from 1 to 720".to_owned();
        assert_eq!(whole(1..=720)(text), expected.ok_or(refused));
    }
}
