//! How the counts of an interval are encoded: as one JSON document.

use std::collections::BTreeMap;

use domain::statistics::{Counts, Histogram, MessageCell, RequestOutcome, StatusLabel};
use domain::{DeliveryStatus, ErrorCode, RejectionReason};
use ports::StoreError;
use ports::error::Source;
use serde::{Deserialize, Serialize};

/// The form of [`Counts`] in the tables. Empty maps are left out.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StoredCounts {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    messages: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    time_to_delivered: BTreeMap<u8, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    time_to_read: BTreeMap<u8, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reports: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    gaps: BTreeMap<u8, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<String, i64>,
}

/// Prefix of the cells of messages whose reports contradict each other.
const CONTRADICTED: &str = "contradicted:";

/// Name of the cell of messages without a status.
const NO_STATUS: &str = "none";

fn cell_name(cell: MessageCell) -> String {
    let prefix = if cell.contradicted { CONTRADICTED } else { "" };
    let status = cell.status.map_or(NO_STATUS, DeliveryStatus::as_str);
    format!("{prefix}{status}")
}

fn cell(name: &str) -> Result<MessageCell, Source> {
    let (contradicted, status) = match name.strip_prefix(CONTRADICTED) {
        Some(status) => (true, status),
        None => (false, name),
    };
    let status = match status {
        NO_STATUS => None,
        status => Some(status.parse()?),
    };
    Ok(MessageCell {
        status,
        contradicted,
    })
}

/// Prefix of the requests whose report was rejected.
const REJECTED: &str = "rejected:";

fn request_name(outcome: RequestOutcome) -> String {
    match outcome {
        RequestOutcome::Authenticated => "authenticated".to_owned(),
        RequestOutcome::Challenged => "challenged".to_owned(),
        RequestOutcome::Refused => "refused".to_owned(),
        RequestOutcome::Rejected(reason) => format!("{REJECTED}{}", reason.as_str()),
    }
}

fn request(name: &str) -> Result<RequestOutcome, Source> {
    let outcome = match name.strip_prefix(REJECTED) {
        Some(reason) => RejectionReason::ALL
            .into_iter()
            .find(|known| known.as_str() == reason)
            .map(RequestOutcome::Rejected),
        None => match name {
            "authenticated" => Some(RequestOutcome::Authenticated),
            "challenged" => Some(RequestOutcome::Challenged),
            "refused" => Some(RequestOutcome::Refused),
            _ => None,
        },
    };
    outcome.ok_or_else(|| "unknown outcome of requests".into())
}

/// Returns the value of the column `counts`.
pub fn to_json(counts: &Counts) -> Result<String, StoreError> {
    let stored = StoredCounts {
        messages: names(&counts.messages, |cell| cell_name(*cell)),
        errors: names(&counts.errors, |code| code.as_str().to_owned()),
        time_to_delivered: counts.time_to_delivered.buckets().collect(),
        time_to_read: counts.time_to_read.buckets().collect(),
        reports: names(&counts.reports, |label| label.as_str().to_owned()),
        gaps: counts.gaps.buckets().collect(),
        requests: names(&counts.requests, |outcome| request_name(*outcome)),
    };
    serde_json::to_string(&stored).map_err(|error| StoreError::Rejected {
        what: "counts",
        source: error.into(),
    })
}

fn names<K>(counts: &BTreeMap<K, i64>, name: fn(&K) -> String) -> BTreeMap<String, i64> {
    let named = counts.iter().map(|(key, count)| (name(key), *count));
    named.collect()
}

/// Parses the result of [`to_json`].
pub fn from_json(text: &str) -> Result<Counts, Source> {
    let stored: StoredCounts = serde_json::from_str(text)?;
    Ok(Counts {
        messages: keys(stored.messages, cell)?,
        errors: keys(stored.errors, |code| Ok(ErrorCode::parse(code)?))?,
        time_to_delivered: histogram(&stored.time_to_delivered),
        time_to_read: histogram(&stored.time_to_read),
        reports: keys(stored.reports, |name| {
            StatusLabel::from_word(name).ok_or_else(|| "unknown status".into())
        })?,
        gaps: histogram(&stored.gaps),
        requests: keys(stored.requests, request)?,
    })
}

fn keys<K: Ord>(
    named: BTreeMap<String, i64>,
    parse: fn(&str) -> Result<K, Source>,
) -> Result<BTreeMap<K, i64>, Source> {
    let parsed = named
        .into_iter()
        .map(|(name, count)| Ok((parse(&name)?, count)));
    parsed.collect()
}

fn histogram(buckets: &BTreeMap<u8, i64>) -> Histogram {
    let mut histogram = Histogram::default();
    for (bucket, count) in buckets {
        histogram.add(*bucket, *count);
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_their_encoding() {
        let mut counts = Counts::default();
        for (n, status) in (1..).zip(DeliveryStatus::ALL) {
            for contradicted in [false, true] {
                let cell = MessageCell {
                    status: Some(status),
                    contradicted,
                };
                counts.messages.insert(cell, n);
            }
            counts.reports.insert(StatusLabel::Delivery(status), n);
        }
        counts.messages.insert(MessageCell::default(), 5);
        counts.errors.insert(ErrorCode::parse("63016").unwrap(), -7);
        counts.time_to_delivered.add(3, 9);
        counts.time_to_read.add(45, 1);
        counts.gaps.add(0, 4);
        for (n, outcome) in (1..).zip(RequestOutcome::ALL) {
            counts.requests.insert(outcome, n);
        }
        assert_eq!(from_json(&to_json(&counts).unwrap()).unwrap(), counts);
        assert_eq!(to_json(&Counts::default()).unwrap(), "{}");
        assert!(from_json(r#"{"messages":{"new":1}}"#).is_err());
        assert!(from_json(r#"{"new":{}}"#).is_err());
    }
}
