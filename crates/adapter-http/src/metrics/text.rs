//! The two text formats of metrics: OpenMetrics, which the encoder writes, and Prometheus' classic
//! format, which is converted from it.

use actix_web::http::header::{self, HeaderMap};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus.
    Classic,
}

impl Format {
    /// Returns OpenMetrics if `Accept` names it and does not prefer `text/plain`, else the classic
    /// format.
    pub(super) fn requested(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT);
        let ranges = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','));
        let (mut open, mut classic) = (0.0_f32, 0.0_f32);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut known) = (1.0_f32, true);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => known = value.trim().trim_matches('"') == "1.0.0",
                    _ => {}
                }
            }
            match media_type.as_str() {
                "application/openmetrics-text" if known => open = quality.max(open),
                "text/plain" => classic = quality.max(classic),
                _ => {}
            }
        }
        if open > 0.0 && open >= classic {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// Returns the `Content-Type` of a text in this format.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Converts OpenMetrics to the classic format. Samples are the same in both. There, a counter's
/// metadata names its sample (`x_total` instead of `x`), an info is a gauge, and there are no units
/// and no end mark.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // A metric's help precedes its type.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or((typed, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, words)) = help.take().filter(|(described, _)| *described == name) {
                let words = words.replace("\\\"", "\"");
                text.extend(["# HELP ", name, suffix, " ", &words, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with("# ") {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn requested(accept: &'static str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Format::requested(&headers)
    }

    #[test]
    fn openmetrics_is_served_only_when_requested_by_name() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.2";
        for accept in [
            prometheus_2,
            prometheus_3,
            "Application/OpenMetrics-Text",
            "application/openmetrics-text; version=\"1.0.0\"; charset=utf-8",
            "text/plain;q=0.5, application/openmetrics-text;q=0.5",
        ] {
            assert_eq!(requested(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/*",
            "text/plain",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0.5, text/plain;q=0.9",
        ] {
            assert_eq!(requested(accept), Format::Classic, "{accept}");
        }
        assert_eq!(Format::requested(&HeaderMap::new()), Format::Classic);
    }

    #[test]
    fn classic_metadata_names_the_samples() {
        let open_metrics = concat!(
            "# HELP a Counts \\\"things\\\".\n# TYPE a counter\n# UNIT a seconds\na_total{x=\"# y\"} 1\n",
            "# HELP b Shows.\n# TYPE b gauge\nb 2\n",
            "# HELP c Spreads.\n# TYPE c histogram\nc_sum 1.5\nc_count 1\nc_bucket{le=\"+Inf\"} 1\n",
            "# HELP d Tells.\n# TYPE d info\nd_info{version=\"1\"} 1\n",
            "# TYPE e unknown\ne 1\n",
            "# EOF\n",
        );
        let expected = concat!(
            "# HELP a_total Counts \"things\".\n# TYPE a_total counter\na_total{x=\"# y\"} 1\n",
            "# HELP b Shows.\n# TYPE b gauge\nb 2\n",
            "# HELP c Spreads.\n# TYPE c histogram\nc_sum 1.5\nc_count 1\nc_bucket{le=\"+Inf\"} 1\n",
            "# HELP d_info Tells.\n# TYPE d_info gauge\nd_info{version=\"1\"} 1\n",
            "# TYPE e untyped\ne 1\n",
        );
        assert_eq!(classic(open_metrics), expected);
    }
}
