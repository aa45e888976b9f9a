//! What is read of an answer.

use std::time::{Duration, UNIX_EPOCH};

use domain::Timestamp;
use domain::webhook::AnswerExcerpt;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How much of a body is read. A connection whose answer is longer is dropped
/// with what is left of it.
const BODY_MAX: usize = 16 * 1024;

/// The longest time a subscriber may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Reads the body as far as it comes: its status has said what counts. A body
/// read to its end leaves the connection ready for the next event.
pub(crate) async fn excerpt(mut response: Response) -> AnswerExcerpt {
    let mut body = Vec::new();
    while body.len() <= BODY_MAX {
        match response.chunk().await {
            Ok(Some(piece)) => {
                let room = (BODY_MAX + 1).saturating_sub(body.len());
                body.extend(piece.iter().take(room));
            }
            Ok(None) | Err(_) => break,
        }
    }
    AnswerExcerpt::of(&body)
}

/// How long the subscriber asks to be left alone; `None` if it does not, or not
/// in a way that can be read.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What does not fit is longer than any limit.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let then = httpdate::parse_http_date(text).ok()?;
        let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Duration::from_micros(u64::try_from(now.unix_micros()).unwrap_or_default());
        then.saturating_sub(now)
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;
    use rstest::rstest;

    const DAY: u64 = 24 * 60 * 60;

    #[rstest]
    #[case("0", Some(0))]
    #[case("120", Some(120))]
    #[case(" 7 ", Some(7))]
    #[case("86401", Some(DAY))]
    #[case("99999999999999999999999", Some(DAY))]
    #[case("Sun, 22 Nov 2026 18:08:17 GMT", Some(120))]
    #[case("Sunday, 22-Nov-26 18:08:17 GMT", Some(120))]
    #[case("Sun Nov 22 18:08:17 2026", Some(120))]
    #[case("Sun, 22 Nov 2026 18:00:00 GMT", Some(0))]
    #[case("Fri, 31 Dec 9999 23:59:59 GMT", Some(DAY))]
    #[case("", None)]
    #[case("-1", None)]
    #[case("1.5", None)]
    #[case("soon", None)]
    #[case("2026-11-22T18:08:17Z", None)]
    fn a_pause_is_read_in_both_forms_and_never_exceeds_a_day(
        #[case] text: &str,
        #[case] seconds: Option<u64>,
    ) {
        let now = Timestamp::parse("2026-11-22T18:06:17Z").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs));
    }
}
