//! How the counts of an interval are encoded: as one JSON document.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use domain::statistics::{Counts, Histogram, MessageCell, RequestOutcome, StatusLabel};
use domain::{DeliveryStatus, ErrorCode, RejectionReason};
use ports::StoreError;
use ports::error::Source;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The form of [`Counts`] in the tables. Empty maps are left out.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StoredCounts {
    #[serde(skip_serializing_if = "Named::is_empty")]
    messages: Named<MessageCell>,
    #[serde(skip_serializing_if = "Named::is_empty")]
    errors: Named<ErrorCode>,
    #[serde(skip_serializing_if = "StoredHistogram::is_empty")]
    time_to_delivered: StoredHistogram,
    #[serde(skip_serializing_if = "StoredHistogram::is_empty")]
    time_to_read: StoredHistogram,
    #[serde(skip_serializing_if = "Named::is_empty")]
    reports: Named<StatusLabel>,
    #[serde(skip_serializing_if = "StoredHistogram::is_empty")]
    gaps: StoredHistogram,
    #[serde(skip_serializing_if = "Named::is_empty")]
    requests: Named<RequestOutcome>,
}

/// What counts are made of, with a name in the tables.
trait Name: Ord + Sized {
    fn name(&self) -> Cow<'_, str>;
    fn parse(name: &str) -> Result<Self, Source>;
}

/// Counts by what has a name.
struct Named<K>(BTreeMap<K, i64>);

impl<K> Named<K> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K> Default for Named<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Name> Serialize for Named<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, count)| (key.name(), count)))
    }
}

/// Reads pages of thousands of rows: keys are parsed where they are, without a map of texts.
impl<'de, K: Name> Deserialize<'de> for Named<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K>(PhantomData<K>);

        impl<'de, K: Name> Visitor<'de> for Entries<K> {
            type Value = Named<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("counts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named<K>, A::Error> {
                let mut named = Named::default();
                while let Some((Key(key), count)) = entries.next_entry()? {
                    named.0.insert(key, count);
                }
                Ok(named)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// A name, parsed.
struct Key<K>(K);

impl<'de, K: Name> Deserialize<'de> for Key<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<K>(PhantomData<K>);

        impl<K: Name> Visitor<'_> for Text<K> {
            type Value = Key<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Key<K>, E> {
                K::parse(name).map(Key).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// The buckets of a histogram that are not empty.
#[derive(Default)]
struct StoredHistogram(Histogram);

impl StoredHistogram {
    fn is_empty(&self) -> bool {
        self.0.buckets().next().is_none()
    }
}

impl Serialize for StoredHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.buckets())
    }
}

impl<'de> Deserialize<'de> for StoredHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Buckets;

        impl<'de> Visitor<'de> for Buckets {
            type Value = StoredHistogram;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("counts by bucket")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut histogram = Histogram::default();
                while let Some((bucket, count)) = entries.next_entry()? {
                    histogram.add(bucket, count);
                }
                Ok(StoredHistogram(histogram))
            }
        }

        deserializer.deserialize_map(Buckets)
    }
}

/// Prefix of the cells of messages whose reports contradict each other.
const CONTRADICTED: &str = "contradicted:";

/// Name of the cell of messages without a status.
const NO_STATUS: &str = "none";

impl Name for MessageCell {
    fn name(&self) -> Cow<'_, str> {
        let status = self.status.map_or(NO_STATUS, DeliveryStatus::as_str);
        if self.contradicted {
            format!("{CONTRADICTED}{status}").into()
        } else {
            status.into()
        }
    }

    fn parse(name: &str) -> Result<Self, Source> {
        let (contradicted, status) = match name.strip_prefix(CONTRADICTED) {
            Some(status) => (true, status),
            None => (false, name),
        };
        let status = match status {
            NO_STATUS => None,
            status => Some(status.parse()?),
        };
        Ok(Self {
            status,
            contradicted,
        })
    }
}

impl Name for ErrorCode {
    fn name(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn parse(name: &str) -> Result<Self, Source> {
        Ok(Self::parse(name)?)
    }
}

impl Name for StatusLabel {
    fn name(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn parse(name: &str) -> Result<Self, Source> {
        Self::from_word(name).ok_or_else(|| "unknown status".into())
    }
}

/// Prefix of the requests whose report was rejected.
const REJECTED: &str = "rejected:";

impl Name for RequestOutcome {
    fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Authenticated => "authenticated".into(),
            Self::Challenged => "challenged".into(),
            Self::Refused => "refused".into(),
            Self::Rejected(reason) => format!("{REJECTED}{}", reason.as_str()).into(),
        }
    }

    fn parse(name: &str) -> Result<Self, Source> {
        let outcome = match name.strip_prefix(REJECTED) {
            Some(reason) => RejectionReason::ALL
                .into_iter()
                .find(|known| known.as_str() == reason)
                .map(Self::Rejected),
            None => match name {
                "authenticated" => Some(Self::Authenticated),
                "challenged" => Some(Self::Challenged),
                "refused" => Some(Self::Refused),
                _ => None,
            },
        };
        outcome.ok_or_else(|| "unknown outcome of requests".into())
    }
}

/// Returns the value of the column `counts`.
pub fn to_json(counts: &Counts) -> Result<String, StoreError> {
    let counts = counts.clone();
    let stored = StoredCounts {
        messages: Named(counts.messages),
        errors: Named(counts.errors),
        time_to_delivered: StoredHistogram(counts.time_to_delivered),
        time_to_read: StoredHistogram(counts.time_to_read),
        reports: Named(counts.reports),
        gaps: StoredHistogram(counts.gaps),
        requests: Named(counts.requests),
    };
    serde_json::to_string(&stored).map_err(|error| StoreError::Rejected {
        what: "counts",
        source: error.into(),
    })
}

/// Parses the result of [`to_json`].
pub fn from_json(text: &str) -> Result<Counts, Source> {
    let stored: StoredCounts = serde_json::from_str(text)?;
    Ok(Counts {
        messages: stored.messages.0,
        errors: stored.errors.0,
        time_to_delivered: stored.time_to_delivered.0,
        time_to_read: stored.time_to_read.0,
        reports: stored.reports.0,
        gaps: stored.gaps.0,
        requests: stored.requests.0,
    })
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
