//! Stacked bars over time.

use super::{Number, Svg};
use crate::html::Html;
use crate::number::grouped;

/// A bar of stacked values.
pub(crate) struct Bar {
    /// The label below it; empty for most.
    pub(crate) label: String,
    /// What the bar is, for the pointer: its time and values.
    pub(crate) title: String,
    /// The values from bottom to top, in the order of the series.
    pub(crate) values: Vec<u64>,
    /// Whether its interval is not over.
    pub(crate) so_far: bool,
}

/// A series: the class of its colour and its name.
#[derive(Clone, Copy)]
pub(crate) struct Series {
    pub(crate) tone: &'static str,
    pub(crate) name: &'static str,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
/// The space for the labels of the axes.
const LEFT: f64 = 52.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 26.0;
/// The widest bar and the share of its place that it fills.
const MAX_BAR: f64 = 44.0;
const FILLED: f64 = 0.78;
/// Half of the widest label of the x axis, in the larger type of narrow screens.
const HALF_LABEL: f64 = 36.0;

/// Draws bars. `finding` says what they show.
pub(crate) fn bars(id: &str, finding: &str, series: &[Series], bars: &[Bar]) -> Html {
    let total = |bar: &Bar| bar.values.iter().sum::<u64>();
    let highest = bars.iter().map(total).max().unwrap_or_default();
    let top = round_up(highest);
    let names: Vec<_> = series.iter().map(|series| series.name).collect();
    let desc = format!(
        "{} bars, stacked from bottom to top: {}. The highest is {}.",
        bars.len(),
        names.join(", "),
        grouped(highest)
    );
    let mut svg = Svg::new(id, "bars-plot", (WIDTH, HEIGHT), finding, &desc);
    let (floor, height) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP);
    for share in [0.0, 0.5, 1.0] {
        let y = floor - height * share;
        svg.line((LEFT, y), (WIDTH, y), "axis");
    }
    let y_of = |value: u64| floor - height * ratio(value, top);
    svg.label((LEFT - 8.0, floor + 4.0), "end", "", "0");
    svg.label(
        (LEFT - 8.0, y_of(top / 2) + 4.0),
        "end",
        "",
        &grouped(top / 2),
    );
    svg.label((LEFT - 8.0, TOP + 4.0), "end", "", &grouped(top));
    let step = (WIDTH - LEFT) / count(bars.len()).max(1.0);
    let width = (step * FILLED).min(MAX_BAR);
    let mut labels = 0;
    for (place, bar) in bars.iter().enumerate() {
        let middle = count(place).mul_add(step, LEFT + step / 2.0);
        svg.bar(series, bar, (middle - width / 2.0, width), &y_of);
        if !bar.label.is_empty() {
            // Narrow screens have room for half of the labels.
            let class = if labels % 2 == 0 { "" } else { "minor" };
            let (x, anchor) = if middle > WIDTH - HALF_LABEL {
                (WIDTH, "end")
            } else {
                (middle, "middle")
            };
            svg.label((x, HEIGHT - 8.0), anchor, class, &bar.label);
            labels += 1;
        }
    }
    if bars.iter().any(|bar| bar.so_far) {
        svg.label((WIDTH, 16.0), "end", "soft", "hatched: so far");
    }
    svg.finish()
}

impl Svg {
    fn bar(
        &mut self,
        series: &[Series],
        bar: &Bar,
        (x, width): (f64, f64),
        y_of: &impl Fn(u64) -> f64,
    ) {
        let (left, wide) = (Number(x), Number(width));
        let mut below = 0;
        self.push("<g>");
        let title = crate::html::Escaped(&bar.title);
        self.push(format_args!("<title>{title}</title>"));
        for (series, value) in series.iter().zip(&bar.values) {
            if *value == 0 {
                continue;
            }
            let (y, bottom) = (y_of(below + value), y_of(below));
            let (y, height) = (Number(y), Number(bottom - y));
            let tone = series.tone;
            // Shorter than a rectangle; there can be a thousand of them.
            self.push(format_args!(
                "<path class=\"tone-{tone}\" d=\"M{left} {y}h{wide}v{height}H{left}z\"/>"
            ));
            below += value;
        }
        if bar.so_far && below > 0 {
            let y = y_of(below);
            self.hatch((x, y), (width, y_of(0) - y));
        }
        self.push("</g>");
    }
}

/// Returns the next round number that is even, so that its half is a label too.
fn round_up(value: u64) -> u64 {
    let mut scale: u64 = 1;
    while value > scale.saturating_mul(10) {
        scale = scale.saturating_mul(10);
    }
    // With two digits there is room for finer steps.
    let (scale, steps) = match scale {
        1 => (1, &[2, 4, 6, 8, 10][..]),
        scale => (scale / 10, &[12, 16, 20, 24, 30, 40, 50, 60, 80, 100][..]),
    };
    let tops = steps.iter().map(|step: &u64| scale.saturating_mul(*step));
    tops.into_iter().find(|top| *top >= value).unwrap_or(value)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn ratio(value: u64, of: u64) -> f64 {
    if of == 0 {
        return 0.0;
    }
    value as f64 / of as f64
}

#[expect(clippy::cast_precision_loss, reason = "a plot has some hundred bars")]
pub(super) const fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: [Series; 2] = [
        Series {
            tone: "delivered",
            name: "Delivered",
        },
        Series {
            tone: "failed",
            name: "Failed",
        },
    ];

    fn bar(values: [u64; 2], so_far: bool) -> Bar {
        Bar {
            label: "12:00".to_owned(),
            title: "12:00 <b>".to_owned(),
            values: values.to_vec(),
            so_far,
        }
    }

    #[test]
    fn values_are_stacked_on_a_round_scale() {
        let drawn = [bar([30, 10], false), bar([5, 0], true)];
        let svg = bars("b", "Forty & five", &SERIES, &drawn).to_string();
        assert!(
            svg.contains("<title id=\"b-title\">Forty &amp; five</title>"),
            "{svg}"
        );
        assert!(svg.contains("2 bars, stacked from bottom to top: Delivered, Failed."));
        assert_eq!(svg.matches("<path class=\"tone-").count(), 3, "{svg}");
        assert!(svg.contains("fill=\"url(#b-hatch)\""));
        assert!(svg.contains(">hatched: so far</text>"));
        assert!(svg.contains(">40</text>") && svg.contains(">20</text>"));
        assert!(!svg.contains("<b>") && !svg.contains("style="));
    }

    #[test]
    fn last_label_ends_within_the_plot() {
        let drawn: Vec<_> = (0..24).map(|_| bar([1, 0], false)).collect();
        let svg = bars("b", "One", &SERIES, &drawn).to_string();
        let last = svg.rsplit("<text ").next().unwrap();
        assert!(last.starts_with("x=\"960\""), "{svg}");
        assert!(last.contains("text-anchor=\"end\""), "{svg}");
    }

    #[test]
    fn no_bars_are_an_empty_plot() {
        let svg = bars("b", "Nothing", &SERIES, &[]).to_string();
        assert!(!svg.contains("NaN") && !svg.contains("<path"), "{svg}");
    }

    #[test]
    fn scale_ends_at_a_round_number() {
        for (value, top) in [
            (0, 2),
            (3, 4),
            (7, 8),
            (10, 10),
            (11, 12),
            (112, 120),
            (460, 500),
            (1_000, 1_000),
        ] {
            assert_eq!(round_up(value), top);
        }
    }
}
