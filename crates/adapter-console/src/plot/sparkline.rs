//! A small line without axes, beside a number.

use super::bars::{count, ratio};
use super::{Number, Svg};
use crate::html::Html;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;
const MARGIN: f64 = 2.0;

/// Draws values as a line from left to right. `title` says what they are.
pub(crate) fn sparkline(id: &str, title: &str, tone: &str, values: &[u64]) -> Html {
    let highest = values.iter().max().copied().unwrap_or_default();
    let desc = format!("{} values, {highest} at most.", values.len());
    let class = format!("spark tone-{tone}");
    let mut svg = Svg::new(id, &class, (WIDTH, HEIGHT), title, &desc);
    let step = (WIDTH - 2.0 * MARGIN) / count(values.len().saturating_sub(1)).max(1.0);
    let floor = HEIGHT - MARGIN;
    let points = values.iter().enumerate().map(|(place, value)| {
        let x = Number(count(place).mul_add(step, MARGIN));
        let y = Number(floor - (floor - MARGIN) * ratio(*value, highest));
        format!("{x} {y}")
    });
    let points: Vec<_> = points.collect();
    if !points.is_empty() {
        let line = points.join("L");
        let (left, right) = (Number(MARGIN), Number(WIDTH - MARGIN));
        let floor = Number(floor);
        svg.push(format_args!(
            "<path class=\"area\" d=\"M{left} {floor}L{line}L{right} {floor}Z\"/><path \
             class=\"line\" d=\"M{line}\"/>"
        ));
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_a_line_from_left_to_right() {
        let svg = sparkline("s", "Reports", "delivered", &[0, 10, 5]).to_string();
        assert!(
            svg.contains("class=\"line\" d=\"M2 26L60 2L118 14\""),
            "{svg}"
        );
        assert!(svg.contains("3 values, 10 at most."));
    }

    #[test]
    fn few_or_no_values_are_drawn_too() {
        for values in [&[][..], &[0], &[7]] {
            let svg = sparkline("s", "Reports", "delivered", values).to_string();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
