//! Plots as SVG: functions from data to text.
//!
//! Every plot has a title and a description for screen readers and labels where its values are.
//! Colours and lines are classes of the style sheet, so that one SVG serves both themes and print.

pub(crate) mod bars;
pub(crate) mod histogram;
pub(crate) mod line;
mod shape;
pub(crate) mod shares;
pub(crate) mod sparkline;
pub(crate) mod timeline;

use std::fmt::{self, Display};

use crate::html::{Escaped, Html};

/// An SVG being written.
struct Svg {
    id: String,
    text: String,
}

impl Svg {
    /// Begins a plot of a size. `id` is unique on the page; it names the title and description.
    fn new(id: &str, class: &str, (width, height): (f64, f64), title: &str, desc: &str) -> Self {
        let (width, height) = (Number(width), Number(height));
        let (title, desc) = (Escaped(title), Escaped(desc));
        Self {
            id: id.to_owned(),
            text: format!(
                "<svg class=\"plot {class}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
                 height=\"{height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\
                 <title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{desc}</desc>"
            ),
        }
    }

    /// Lets it fill any width without keeping its proportions.
    fn stretch(mut self) -> Self {
        let from = "role=\"img\"";
        let to = "preserveAspectRatio=\"none\" role=\"img\"";
        self.text = self.text.replacen(from, to, 1);
        self
    }

    fn push(&mut self, element: impl Display) {
        self.text.push_str(&element.to_string());
    }

    /// Adds a text whose baseline begins, has its middle or ends (`anchor`) at a point.
    fn label(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let (x, y, text) = (Number(x), Number(y), Escaped(text));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    /// Adds a straight line.
    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (Number(x1), Number(y1), Number(x2), Number(y2));
        self.push(format_args!(
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>"
        ));
    }

    /// Adds lines across a rectangle, for what is unfinished or contradicted.
    fn hatch(&mut self, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let id = format!("{}-hatch", self.id);
        if !self.text.contains("<pattern") {
            self.push(format_args!(
                "<pattern id=\"{id}\" width=\"7\" height=\"7\" \
                 patternUnits=\"userSpaceOnUse\"><path class=\"hatch\" d=\"M-1 8 8 -1\"/>\
                 </pattern>"
            ));
        }
        let (x, y, width, height) = (Number(x), Number(y), Number(width), Number(height));
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             fill=\"url(#{id})\"/>"
        ));
    }

    fn finish(mut self) -> Html {
        self.text.push_str("</svg>");
        Html::trusted(self.text)
    }
}

/// A coordinate with one digit after the point at most, which is exact enough and short.
#[derive(Clone, Copy, Debug)]
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 10.0).round() / 10.0;
        if rounded.fract() == 0.0 {
            write!(f, "{rounded:.0}")
        } else {
            write!(f, "{rounded:.1}")
        }
    }
}
