//! The parts of a whole, in one bar.

use super::bars::ratio;
use super::{Number, Svg};
use crate::html::Html;
use crate::number::percent;

/// A part.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) value: u64,
    /// Whether it has lines across.
    pub(crate) hatched: bool,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 34.0;

/// Draws the parts of a whole side by side, across any width. `finding` says what they show; the
/// numbers stand beside the plot.
pub(crate) fn shares(id: &str, finding: &str, parts: &[Part]) -> Html {
    let whole = parts.iter().map(|part| part.value).sum::<u64>();
    let words = parts.iter().map(|part| {
        let share = percent(part.value, whole);
        format!("{} {share}", part.name)
    });
    let words: Vec<_> = words.collect();
    let mut svg = Svg::new(
        id,
        "shares-plot",
        (WIDTH, HEIGHT),
        finding,
        &words.join(", "),
    );
    let mut x = 0.0;
    for part in parts.iter().filter(|part| part.value > 0) {
        let width = WIDTH * ratio(part.value, whole);
        let (at, wide, tone) = (Number(x), Number((width - 1.5).max(0.5)), part.tone);
        svg.push(format_args!(
            "<rect x=\"{at}\" y=\"0\" width=\"{wide}\" height=\"{HEIGHT}\" class=\"bar \
             tone-{tone}\"/>"
        ));
        if part.hatched {
            svg.hatch((x, 0.0), (width, HEIGHT));
        }
        x += width;
    }
    svg.stretch().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_bar_and_are_named() {
        let part = |name, value| Part {
            name,
            tone: "read",
            value,
            hatched: false,
        };
        let parts = [part("Read", 75), part("Open", 0), part("Failed", 25)];
        let svg = shares("s", "Most are read", &parts).to_string();
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        assert!(
            svg.contains("Read 75\u{a0}%, Open 0\u{a0}%, Failed 25\u{a0}%"),
            "{svg}"
        );
        assert!(svg.contains("x=\"720\""), "{svg}");
    }

    #[test]
    fn nothing_is_an_empty_bar() {
        let svg = shares("s", "Nothing", &[]).to_string();
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
