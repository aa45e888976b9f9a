//! How durations are distributed, on a logarithmic scale.

use domain::statistics::Histogram;

use super::bars::{count, ratio};
use super::{Number, Svg};
use crate::html::Html;
use crate::time::seconds;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 168.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 24.0;

/// Draws a histogram with marks at quantiles. `finding` says what it shows.
pub(crate) fn histogram(
    id: &str,
    finding: &str,
    tone: &str,
    histogram: &Histogram,
    marks: &[(&str, f64)],
) -> Html {
    let counts: Vec<_> = histogram.buckets().collect();
    let first = counts.first().map_or(0, |(bucket, _)| *bucket);
    let last = counts.last().map_or(0, |(bucket, _)| *bucket);
    let highest = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let desc = format!(
        "From {} to {}, on a logarithmic scale.",
        lower(first),
        upper(last)
    );
    let mut svg = Svg::new(id, "histogram-plot", (WIDTH, HEIGHT), finding, &desc);
    let (floor, height) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP);
    let step = WIDTH / count(usize::from(last - first) + 1);
    for (bucket, count_of_bucket) in &counts {
        let part = ratio(unsigned(*count_of_bucket), unsigned(highest));
        let x = count(usize::from(bucket - first)) * step;
        let (x, y) = (Number(x + 0.5), Number(floor - height * part));
        let (width, height) = (Number((step - 1.0).max(1.0)), Number(height * part));
        svg.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" class=\"bar \
             tone-{tone}\"/>"
        ));
    }
    svg.line((0.0, floor), (WIDTH, floor), "axis");
    for (row, (name, value)) in marks.iter().enumerate() {
        let x = place(*value, first, step).clamp(0.0, WIDTH);
        // On two rows, since quantiles can be close to each other.
        let y = if row % 2 == 0 { TOP - 24.0 } else { TOP - 10.0 };
        svg.line((x, y - 8.0), (x, floor), "rail");
        let anchor = if x > WIDTH * 0.8 { "end" } else { "start" };
        let shift = if anchor == "end" { -4.0 } else { 4.0 };
        svg.label((x + shift, y), anchor, "", name);
    }
    svg.label((0.0, HEIGHT - 6.0), "start", "", &lower(first));
    svg.label((WIDTH, HEIGHT - 6.0), "end", "", &upper(last));
    svg.finish()
}

/// Returns the x of a duration in seconds.
fn place(value: f64, first: u8, step: f64) -> f64 {
    // The limits of buckets grow by the square root of two from 0.1 s.
    let bucket = (value / 0.1).max(1e-9).log2() * 2.0 + 1.0;
    (bucket - f64::from(first)) * step
}

/// Returns the limits of a bucket as text: "100 ms to 141 ms".
pub(crate) fn limits(bucket: u8) -> String {
    match Histogram::limit_seconds(bucket) {
        Some(limit) => format!("{} to {}", lower(bucket), seconds(limit)),
        None => upper(bucket),
    }
}

fn lower(bucket: u8) -> String {
    let limit = bucket.checked_sub(1).and_then(Histogram::limit_seconds);
    limit.map_or_else(|| "0 s".to_owned(), seconds)
}

fn upper(bucket: u8) -> String {
    match Histogram::limit_seconds(bucket) {
        Some(limit) => seconds(limit),
        None => "more than 8 d".to_owned(),
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_become_bars_between_their_limits() {
        let mut counts = Histogram::default();
        counts.add(0, 10);
        counts.add(2, 5);
        let svg = histogram("h", "Half within 0.1 s", "read", &counts, &[("p50", 0.1)]);
        let svg = svg.to_string();
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        assert!(svg.contains("From 0 s to 200 ms"), "{svg}");
        assert!(svg.contains(">p50</text>") && svg.contains("tone-read"));
        assert!(!svg.contains("NaN") && !svg.contains("style="));
    }

    #[test]
    fn no_durations_are_an_empty_plot() {
        let svg = histogram("h", "None", "read", &Histogram::default(), &[]).to_string();
        assert!(!svg.contains("<rect") && !svg.contains("NaN"), "{svg}");
    }
}
