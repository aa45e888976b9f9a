//! Reads the responses of endpoints.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use domain::webhook::AnswerExcerpt;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How much of a body is read. The connection of a longer response is closed.
const BODY_MAX: usize = 16 * 1024;

/// The longest accepted `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Reads the body for at most `limit`, so that a slow one does not delay the next event; the status
/// alone decides the outcome. Returns its beginning, and whether it was read to its end: only then
/// the connection can be reused.
pub(crate) async fn excerpt(mut response: Response, limit: Duration) -> (AnswerExcerpt, bool) {
    let (mut body, mut complete) = (Vec::new(), false);
    let reading = async {
        while body.len() <= BODY_MAX {
            match response.chunk().await {
                Ok(Some(piece)) => {
                    let room = (BODY_MAX + 1).saturating_sub(body.len());
                    body.extend(piece.iter().take(room));
                }
                Ok(None) => {
                    complete = true;
                    break;
                }
                Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(limit, reading).await;
    (AnswerExcerpt::of(&body), complete)
}

/// Returns the `Retry-After` of a response, at most a day; `None` if it is absent or invalid.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let requested = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is longer than the limit.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let then = http_date(text)?;
        let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Duration::from_micros(u64::try_from(now.unix_micros()).unwrap_or_default());
        then.saturating_sub(now)
    };
    Some(requested.min(RETRY_AFTER_MAX))
}

/// Parses a date in any of the three forms of HTTP.
fn http_date(text: &str) -> Option<SystemTime> {
    let date = httpdate::parse_http_date(text).ok();
    // The asctime form pads the day with a blank; some servers do not.
    date.or_else(|| {
        httpdate::parse_http_date(&format!("{}  {}", text.get(..7)?, text.get(8..)?)).ok()
    })
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
    #[case("Tue Dec  1 18:08:17 2026", Some(DAY))]
    #[case("Tue Dec 1 18:08:17 2026", Some(DAY))]
    #[case("Sun Nov 1 18:08:17 2026", Some(0))]
    #[case("Sun, 22 Nov 2026 18:00:00 GMT", Some(0))]
    #[case("Fri, 31 Dec 9999 23:59:59 GMT", Some(DAY))]
    #[case("", None)]
    #[case("-1", None)]
    #[case("1.5", None)]
    #[case("soon", None)]
    #[case("2026-11-22T18:08:17Z", None)]
    fn retry_after_is_parsed_in_both_forms_and_never_exceeds_a_day(
        #[case] text: &str,
        #[case] seconds: Option<u64>,
    ) {
        let now = Timestamp::parse("2026-11-22T18:06:17Z").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs));
    }
}
