//! A value over time.

use std::fmt::Write as _;

use super::bars::count;
use super::{Number, Svg};
use crate::html::Html;
use crate::time::seconds;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 110.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 22.0;

/// Draws durations in seconds over time, with a gap where there is none. `ends` are the labels of
/// the first and the last one.
pub(crate) fn line(
    id: &str,
    finding: &str,
    tone: &str,
    values: &[Option<f64>],
    ends: (&str, &str),
) -> Html {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    let desc = format!(
        "From {} to {}, {} at most.",
        ends.0,
        ends.1,
        seconds(highest)
    );
    let mut svg = Svg::new(id, "line-plot", (WIDTH, HEIGHT), finding, &desc);
    let (floor, height) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP);
    svg.line((0.0, floor), (WIDTH, floor), "axis");
    svg.line((0.0, TOP), (WIDTH, TOP), "axis");
    svg.label((0.0, TOP - 6.0), "start", "soft", &seconds(highest));
    svg.label((0.0, HEIGHT - 6.0), "start", "", ends.0);
    svg.label((WIDTH, HEIGHT - 6.0), "end", "", ends.1);
    let step = WIDTH / count(values.len().saturating_sub(1)).max(1.0);
    let (mut path, mut in_gap) = (String::new(), true);
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            in_gap = true;
            continue;
        };
        let x = Number(count(place) * step);
        let share = if highest > 0.0 { value / highest } else { 0.0 };
        let y = Number(floor - height * share);
        let command = if in_gap { 'M' } else { 'L' };
        // Writing into a `String` cannot fail.
        let _ = write!(path, "{command}{x} {y}");
        // A value between two gaps is a dot.
        if in_gap {
            path.push_str("h0");
        }
        in_gap = false;
    }
    svg.push(format_args!(
        "<path class=\"line tone-{tone}\" d=\"{path}\"/>"
    ));
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_connected_except_across_gaps() {
        let values = [Some(1.0), Some(2.0), None, Some(4.0)];
        let svg = line("l", "Two seconds", "read", &values, ("1 Nov", "4 Nov")).to_string();
        assert!(svg.contains("d=\"M0 71h0L146.7 54M440 20h0\""), "{svg}");
        assert!(svg.contains("From 1 Nov to 4 Nov, 4.0 s at most."), "{svg}");
        assert!(svg.contains("role=\"img\"") && !svg.contains("style="));
    }

    #[test]
    fn no_values_are_an_empty_plot() {
        let svg = line("l", "Nothing", "read", &[None], ("", "")).to_string();
        assert!(!svg.contains("NaN") && svg.contains("d=\"\""), "{svg}");
    }
}
