//! The life of a message: its steps from top to bottom, with the time between them.

use super::{Number, Svg};
use crate::html::Html;
use crate::status::StatusLook;
use crate::time;

/// A step.
pub(crate) struct Step {
    /// How it looks.
    pub(crate) look: StatusLook,
    /// When, as microseconds.
    pub(crate) at: i64,
    /// When, as text.
    pub(crate) time: String,
}

const WIDTH: f64 = 240.0;
const TOP: f64 = 16.0;
/// The x of the line that connects the steps.
const RAIL: f64 = 14.0;
const TEXT: f64 = 38.0;
/// The distances between two steps.
const SHORT: f64 = 72.0;
const LONG: f64 = 120.0;

/// Draws a timeline. The longer the time between two steps, the longer the line between them, on a
/// logarithmic scale from a tenth of a second to a day.
pub(crate) fn timeline(id: &str, steps: &[Step]) -> Html {
    let mut places = Vec::with_capacity(steps.len());
    let mut y = TOP;
    let mut previous: Option<i64> = None;
    for step in steps {
        if let Some(previous) = previous {
            y += distance(step.at.saturating_sub(previous));
        }
        places.push(y);
        previous = Some(step.at);
    }
    let words: Vec<_> = steps.iter().map(|step| step.look.word).collect();
    let words = words.join(", then ");
    let size = (WIDTH, y + 28.0);
    let mut svg = Svg::new(id, "timeline-plot", size, "Timeline", &words);
    let pairs = places.iter().zip(places.iter().skip(1));
    let gaps = steps.iter().zip(steps.iter().skip(1));
    for ((from, to), (one, other)) in pairs.zip(gaps) {
        let micros = other.at.saturating_sub(one.at);
        let class = if micros >= HOUR { "rail long" } else { "rail" };
        svg.line((RAIL, from + 14.0), (RAIL, to - 14.0), class);
        let middle = f64::midpoint(*from + 18.0, *to) + 4.0;
        svg.label((TEXT, middle), "start", "", &gap(micros));
    }
    for (step, y) in steps.iter().zip(&places) {
        let (x, top) = (Number(RAIL), Number(*y));
        svg.push(format_args!(
            "<circle cx=\"{x}\" cy=\"{top}\" r=\"12\" class=\"halo\"/>"
        ));
        svg.mark((RAIL, *y), 20.0, step.look.tone, step.look.shape);
        svg.label((TEXT, y + 5.0), "start", "strong", step.look.word);
        svg.label((TEXT, y + 21.0), "start", "soft", &step.time);
    }
    svg.finish()
}

const HOUR: i64 = 3_600_000_000;

/// Returns the time between two steps as text. A report can be earlier than that of a lower
/// status.
fn gap(micros: i64) -> String {
    if micros < 0 {
        format!("−{}", time::duration(micros.saturating_neg()))
    } else {
        format!("+{}", time::duration(micros))
    }
}

/// Returns the distance between two steps.
fn distance(micros: i64) -> f64 {
    // From 0.1 s, five decades on, to a day.
    let tenths = i32::try_from(micros.max(0) / 100_000).unwrap_or(i32::MAX);
    let decades = f64::from(tenths.max(1)).log10();
    SHORT + (LONG - SHORT) * (decades / 5.0).min(1.0)
}

#[cfg(test)]
mod tests {
    use domain::DeliveryStatus;

    use super::*;
    use crate::status::look;

    fn step(status: DeliveryStatus, at: i64) -> Step {
        Step {
            look: look(status),
            at,
            time: "12:00 <UTC>".to_owned(),
        }
    }

    #[test]
    fn steps_are_named_with_the_time_between_them() {
        let steps = [
            step(DeliveryStatus::Sent, 0),
            step(DeliveryStatus::Delivered, 2_100_000),
        ];
        let svg = timeline("t", &steps).to_string();
        assert!(
            svg.starts_with("<svg class=\"plot timeline-plot\""),
            "{svg}"
        );
        assert!(svg.contains("role=\"img\" aria-labelledby=\"t-title t-desc\""));
        assert!(svg.contains("<desc id=\"t-desc\">Sent, then Delivered</desc>"));
        assert!(svg.contains(">+2.1 s</text>"), "{svg}");
        assert!(svg.contains("12:00 &lt;UTC&gt;"));
        assert!(!svg.contains("style="));
    }

    #[test]
    fn a_report_that_overtook_another_has_a_negative_gap() {
        let steps = [
            step(DeliveryStatus::Delivered, 2_100_000),
            step(DeliveryStatus::Read, 0),
        ];
        assert!(timeline("t", &steps).to_string().contains(">−2.1 s</text>"));
    }

    #[test]
    fn longer_times_are_longer_lines_up_to_a_day() {
        let lengths = [0, 1_000_000, 60_000_000, HOUR, 24 * HOUR].map(distance);
        assert!(lengths.is_sorted(), "{lengths:?}");
        assert!((distance(365 * 24 * HOUR) - LONG).abs() < 0.001);
    }
}
