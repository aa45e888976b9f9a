//! The shapes of statuses, for plots. They are those of the chips.

use super::{Number, Svg};

impl Svg {
    /// Adds the shape of a status around a point, in the colour of `tone`. Both are names of this
    /// program.
    pub(super) fn mark(&mut self, (x, y): (f64, f64), size: f64, tone: &str, shape: &str) {
        let (x, y, size) = (Number(x - size / 2.0), Number(y - size / 2.0), Number(size));
        self.push(format_args!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{size}\" height=\"{size}\" viewBox=\"0 0 16 16\" \
             class=\"mark-shape tone-{tone}\"><use href=\"#mark-{shape}\"/></svg>"
        ));
    }
}
