//! The callback URL with the overrides of Twilio's connection settings.
//!
//! They are in the fragment, which Twilio reads and does not send. Everything before it comes
//! from the integrator's adapter.

use crate::fields::Fields;
use crate::page::Choice;

/// The most retries that Twilio makes.
const MAX_RETRIES: u8 = 5;

/// What can be retried: the word in the fragment and what it means.
const CAUSES: [(&str, &str); 4] = [
    ("ct", "the connection fails"),
    ("rt", "the answer takes too long"),
    ("5xx", "the answer is 5xx"),
    ("4xx", "the answer is 4xx"),
];

/// The form that builds a callback URL.
pub(crate) struct Builder {
    /// The URL that it built.
    pub(crate) url: String,
    /// The numbers of retries to choose from.
    pub(crate) retries: Vec<Choice>,
    /// The causes of a retry to choose from.
    pub(crate) causes: Vec<Choice>,
    /// Whether the integrator reads retry settings from the URL.
    pub(crate) has_retries: bool,
    /// Whether retries are too few to survive a restart of the receiver.
    pub(crate) is_risky: bool,
}

impl Builder {
    /// Builds from the recommended URL and the query of the page.
    pub(crate) fn new(recommended: &str, query: &Fields) -> Self {
        let (base, fragment) = recommended.split_once('#').unwrap_or((recommended, ""));
        let defaults = Fields::parse(fragment.as_bytes());
        let chosen = query.get("rc").is_some();
        let fields = if chosen { query } else { &defaults };
        let retries: u8 = fields.get("rc").and_then(|it| it.parse().ok()).unwrap_or(1);
        let retries = retries.min(MAX_RETRIES);
        let listed = defaults.get("rp").unwrap_or_default();
        let is_chosen = |cause: &str| {
            if chosen {
                query.all("rp").any(|each| each == cause)
            } else {
                listed.split(',').any(|each| each == cause)
            }
        };
        let causes: Vec<_> = CAUSES
            .into_iter()
            .map(|(value, word)| Choice {
                value: value.to_owned(),
                word: word.to_owned(),
                chosen: is_chosen(value),
            })
            .collect();
        let policy: Vec<_> = causes
            .iter()
            .filter(|cause| cause.chosen)
            .map(|cause| cause.value.as_str())
            .collect();
        let is_risky = retries < 2 || !policy.contains(&"ct") || !policy.contains(&"5xx");
        let has_retries = !fragment.is_empty();
        let url = if !has_retries {
            base.to_owned()
        } else if policy.is_empty() {
            format!("{base}#rc={retries}")
        } else {
            format!("{base}#rc={retries}&rp={}", policy.join(","))
        };
        let choice = |number: u8| Choice {
            value: number.to_string(),
            word: number.to_string(),
            chosen: number == retries,
        };
        Self {
            url,
            retries: (0..=MAX_RETRIES).map(choice).collect(),
            causes,
            has_retries,
            is_risky,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOMMENDED: &str = "https://r.example.com/social/on/whatsapp/twilio/report/1\
                               #rc=5&rp=ct,rt,5xx";

    #[test]
    fn url_is_the_recommended_one_until_something_is_chosen() {
        let builder = Builder::new(RECOMMENDED, &Fields::default());
        assert_eq!(builder.url, RECOMMENDED);
        assert!(!builder.is_risky);
    }

    #[test]
    fn choices_become_the_fragment() {
        let query = Fields::parse(b"rc=2&rp=ct&rp=4xx");
        let builder = Builder::new(RECOMMENDED, &query);
        assert!(
            builder.url.ends_with("/report/1#rc=2&rp=ct,4xx"),
            "{}",
            builder.url
        );
        assert!(builder.is_risky);
        let builder = Builder::new(RECOMMENDED, &Fields::parse(b"rc=99"));
        assert!(builder.url.ends_with("/report/1#rc=5"));
    }
}
