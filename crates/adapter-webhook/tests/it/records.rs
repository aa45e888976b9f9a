//! Twilio's records, read from a fake of its API.

use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::{InvalidApiUrl, TwilioMessages, WebhookSettings};
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid};
use domain::{MessageSid, Timestamp};
use ports::MessageRecords as _;
use ports::message_records::{RecordsAccess, RecordsError, RecordsPlace, RecordsQuery};
use rstest::rstest;
use testkit::builders::{address, twilio_sid};
use testkit::clock::FixedClock;
use testkit::fake_twilio::{ACCOUNT, API_KEY, API_KEY_SECRET, Failure, FakeMessage, FakeTwilio};

use super::support::{impatient, settings};
use super::tls::{Authority, named};

fn records(fake: &FakeTwilio, settings: WebhookSettings) -> TwilioMessages {
    TwilioMessages::new(&fake.url(), settings, Arc::new(FixedClock::default())).expect("a URL")
}

fn access() -> RecordsAccess {
    RecordsAccess {
        account: AccountSid::parse(ACCOUNT).expect("an account"),
        api_key: ApiKeySid::parse(API_KEY).expect("a key"),
        secret: ApiKeySecret::parse(API_KEY_SECRET).expect("a secret"),
    }
}

fn sid(number: u64) -> MessageSid {
    MessageSid::parse(&twilio_sid(number)).expect("a sid")
}

fn query() -> RecordsQuery {
    RecordsQuery {
        sender: address("whatsapp:+15550109999"),
        since: Timestamp::parse("2026-11-22T23:59:59Z").expect("a time"),
    }
}

#[tokio::test]
async fn message_is_found_and_a_deleted_one_is_not() {
    let fake = FakeTwilio::start();
    fake.put(FakeMessage::new(&twilio_sid(1), "read"));
    let records = records(&fake, settings());
    let found = records.find(&access(), &sid(1)).await.expect("an answer");
    let found = found.expect("a message");
    assert_eq!((found.sid, found.status.as_str()), (sid(1), "read"));
    fake.delete(&twilio_sid(1));
    let found = records.find(&access(), &sid(1)).await.expect("an answer");
    assert_eq!(found, None);
}

#[tokio::test]
async fn list_is_read_page_by_page() {
    let fake = FakeTwilio::start();
    fake.set_page_size(2);
    for number in 1..=5 {
        fake.put(FakeMessage::new(&twilio_sid(number), "sent"));
    }
    let mut elsewhere = FakeMessage::new(&twilio_sid(6), "sent");
    elsewhere.from = "whatsapp:+15550100000".to_owned();
    let mut earlier = FakeMessage::new(&twilio_sid(7), "sent");
    earlier.day = "2026-11-21".to_owned();
    let mut incoming = FakeMessage::new(&twilio_sid(8), "received");
    incoming.direction = "inbound".to_owned();
    for message in [elsewhere, earlier, incoming] {
        fake.put(message);
    }
    let records = records(&fake, settings());
    let (mut found, mut place) = (Vec::new(), None);
    loop {
        let page = records.list(&access(), &query(), place.as_ref()).await;
        let page = page.expect("a page");
        assert_eq!(page.unreadable, 0);
        found.extend(page.records.into_iter().map(|record| record.sid));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(found, [5, 4, 3, 2, 1].map(sid));
    let first = fake.requests().remove(0);
    let expected = format!(
        "/2010-04-01/Accounts/{ACCOUNT}/Messages.json?From=whatsapp%3A%2B15550109999\
         &DateSent%3E=2026-11-22&PageSize=1000"
    );
    assert_eq!(first, expected);
}

#[rstest]
#[case("http://127.0.0.2:9/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json")]
#[case("/2010-04-01/Accounts/AC00000000000000000000000000000002/Messages.json?Page=1")]
#[case("//elsewhere.example.com/x")]
#[case("../Calls.json")]
#[tokio::test]
async fn page_elsewhere_is_not_requested(#[case] place: &str) {
    let fake = FakeTwilio::start();
    let records = records(&fake, settings());
    let place = RecordsPlace(place.to_owned());
    let page = records.list(&access(), &query(), Some(&place)).await;
    assert!(matches!(page, Err(RecordsError::Unexpected(_))), "{page:?}");
    assert_eq!(fake.requests(), [""; 0]);
}

#[rstest]
#[case(Failure::Throttled, "throttled")]
#[case(Failure::Status(429), "throttled")]
#[case(Failure::Status(500), "unavailable")]
#[case(Failure::Status(503), "unavailable")]
#[case(Failure::Status(408), "unavailable")]
#[case(Failure::Cut, "unavailable")]
#[case(Failure::Hang, "unavailable")]
#[case(Failure::Status(401), "denied")]
#[case(Failure::Status(403), "denied")]
#[case(Failure::Status(400), "unexpected")]
#[case(Failure::Status(302), "unexpected")]
#[case(Failure::Nonsense, "unexpected")]
#[tokio::test]
async fn failures_are_told_apart(#[case] failure: Failure, #[case] expected: &str) {
    let fake = FakeTwilio::start();
    fake.put(FakeMessage::new(&twilio_sid(1), "read"));
    fake.fail_always(Some(failure));
    let settings = match failure {
        Failure::Hang => impatient(),
        Failure::Status(_) | Failure::Throttled | Failure::Cut | Failure::Nonsense => settings(),
    };
    let records = records(&fake, settings);
    let found = records.find(&access(), &sid(1)).await;
    let page = records.list(&access(), &query(), None).await.map(drop);
    for error in [found.map(drop), page] {
        let kind = match error {
            Ok(()) => "none",
            Err(RecordsError::Throttled { .. }) => "throttled",
            Err(RecordsError::Unavailable(_)) => "unavailable",
            Err(RecordsError::Denied { .. }) => "denied",
            // Only of a single message.
            Err(RecordsError::Unreadable(_) | RecordsError::Unexpected(_)) => "unexpected",
        };
        assert_eq!(kind, expected);
    }
}

#[tokio::test]
async fn another_message_than_the_requested_one_is_refused() {
    let fake = FakeTwilio::start();
    let other = FakeMessage::new(&twilio_sid(2), "read");
    fake.set_body(Some(&other.to_json().to_string()));
    let found = records(&fake, settings()).find(&access(), &sid(1)).await;
    assert!(
        matches!(found, Err(RecordsError::Unreadable(_))),
        "{found:?}"
    );
}

#[tokio::test]
async fn account_that_does_not_exist_is_unexpected_for_a_list() {
    let fake = FakeTwilio::start();
    fake.fail_always(Some(Failure::Status(404)));
    let page = records(&fake, settings())
        .list(&access(), &query(), None)
        .await;
    assert!(matches!(page, Err(RecordsError::Unexpected(_))), "{page:?}");
}

#[tokio::test]
async fn unreachable_api_is_unavailable() {
    let clock = Arc::new(FixedClock::default());
    let quick = WebhookSettings {
        connect_limit: Duration::from_secs(2),
        ..settings()
    };
    // The discard port: nothing listens there.
    let records = TwilioMessages::new("http://127.0.0.1:9", quick, clock).expect("a URL");
    let found = records.find(&access(), &sid(1)).await;
    assert!(
        matches!(found, Err(RecordsError::Unavailable(_))),
        "{found:?}"
    );
}

#[tokio::test]
async fn certificates_of_the_settings_are_trusted() {
    let authority = Authority::new("an inspecting proxy");
    let find = async |settings| {
        let server = authority.server(&named("127.0.0.1"));
        let url = format!("https://127.0.0.1:{}", server.port());
        let clock = Arc::new(FixedClock::default());
        let records = TwilioMessages::new(&url, settings, clock).expect("a URL");
        records.find(&access(), &sid(1)).await
    };
    let refused = find(settings()).await;
    assert!(
        matches!(refused, Err(RecordsError::Unavailable(_))),
        "{refused:?}"
    );
    // It is answered, though with no record.
    let answered = find(authority.trusted()).await;
    assert!(
        matches!(answered, Err(RecordsError::Unexpected(_))),
        "{answered:?}"
    );
}

#[rstest]
#[case("api.twilio.com")]
#[case("ftp://api.twilio.com")]
#[case("https://api.twilio.com?a=b")]
#[case("https://api.twilio.com/#a")]
fn base_url_is_checked(#[case] url: &str) {
    let made = TwilioMessages::new(url, settings(), Arc::new(FixedClock::default()));
    assert_eq!(made.map(drop), Err(InvalidApiUrl));
}
