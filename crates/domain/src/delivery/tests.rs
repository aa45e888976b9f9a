//! Keys and states of deliveries, their attempts and retries.

use rstest::rstest;

use super::*;
use crate::message::MessageSid;
use crate::{ChannelId, DeliveryStatus};

fn key() -> DeliveryKey {
    let id = Uuid::from_u128(0x0199_7d3c_5b6e_7e63_8c5d_0f6d_3a1f_2b4c);
    DeliveryKey::new(SubscriptionId(id), 4_711, EventType::Contradicted)
}

fn at(micros: i64) -> Timestamp {
    Timestamp::EPOCH.plus_micros(micros)
}

fn attempt(micros: i64, error: Option<&str>) -> Attempt {
    Attempt {
        at: at(micros),
        took_ms: 120,
        status: Some(200),
        error: error.map(AttemptError::new),
        answer: None,
    }
}

fn delivery(state: DeliveryState) -> Delivery {
    Delivery {
        key: key(),
        position: LogPosition(4_712),
        event_type: EventType::Moved(DeliveryStatus::Sent),
        message: MessageKey {
            channel: ChannelId::parse("1").unwrap(),
            sid: MessageSid::parse("SM1").unwrap(),
        },
        revision: 1,
        state,
        attempts: Attempts::default(),
        created_at: at(1),
        retrying_since: at(1),
        next_attempt_at: (state == DeliveryState::Retrying).then_some(at(50)),
        cooldown_until: (state == DeliveryState::Retrying).then_some(at(50)),
        finished_at: (!state.is_pending()).then_some(at(50)),
        body: (state != DeliveryState::Delivered).then(|| "{}".to_owned()),
    }
}

#[test]
fn a_key_is_written_so_that_it_fits_a_url_and_reads_back() {
    let text = "01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-4711-1";
    assert_eq!(key().to_string(), text);
    assert_eq!(text.parse(), Ok(key()));
}

#[rstest]
#[case("")]
#[case("01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c")]
#[case("01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-4711")]
#[case("01997D3C-5B6E-7E63-8C5D-0F6D3A1F2B4C-4711-1")]
#[case("01997d3c5b6e7e638c5d0f6d3a1f2b4c-4711-1")]
#[case("01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-04711-1")]
#[case("01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-+4711-1")]
#[case("01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-4711-256")]
fn invalid_delivery_keys_are_refused(#[case] text: &str) {
    assert_eq!(text.parse::<DeliveryKey>(), Err(InvalidDeliveryKey));
}

#[test]
fn a_state_reads_back_from_its_word() {
    for state in DeliveryState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert_eq!("open".parse::<DeliveryState>(), Err(InvalidDeliveryState));
}

#[rstest]
#[case(DeliveryState::Delivered, 10, false)]
#[case(DeliveryState::Waiting, 10, false)]
#[case(DeliveryState::Dead, 10, true)]
#[case(DeliveryState::Retrying, 49, true)]
#[case(DeliveryState::Retrying, 50, false)]
fn dead_and_scheduled_deliveries_can_be_retried(
    #[case] state: DeliveryState,
    #[case] now: i64,
    #[case] done: bool,
) {
    let before = delivery(state);
    let mut after = before.clone();
    assert_eq!(after.retry(at(now)), done);
    let wanted = if done {
        Delivery {
            state: DeliveryState::Retrying,
            retrying_since: at(now),
            next_attempt_at: Some(at(now)),
            cooldown_until: None,
            finished_at: None,
            ..before
        }
    } else {
        before
    };
    assert_eq!(after, wanted);
    assert!(!after.retry(at(now)), "it is due, or stays as it is");
}

#[test]
fn an_erased_delivery_is_dead_and_cannot_be_retried() {
    for state in DeliveryState::ALL {
        let mut erased = delivery(state);
        erased.attempts.push(attempt(5, Some("no")));
        erased.erase(at(60));
        assert_eq!((&erased.body, erased.attempts.count()), (&None, 1));
        let said = erased.attempts.last().iter().map(|it| it.error.clone());
        assert_eq!(
            said.collect::<Vec<_>>(),
            [Some(AttemptError::new("erased"))]
        );
        assert!(!erased.retry(at(70)));
        assert_eq!(
            erased.state == DeliveryState::Delivered,
            state == DeliveryState::Delivered
        );
    }
}

#[test]
fn the_last_attempts_are_stored_and_all_are_counted() {
    let mut attempts = Attempts::default();
    for n in 0..25 {
        attempts.push(attempt(n, Some("no").filter(|_| n == 17)));
    }
    assert_eq!(attempts.count(), 25);
    let kept = attempts.last().iter().map(|it| it.at.unix_micros());
    assert!(kept.eq(15..25));
    assert_eq!(attempts.last_error(), Some(&attempt(17, Some("no"))));
}

#[test]
fn attempts_are_counted_from_a_time_on() {
    let mut attempts = Attempts::default();
    let since = |attempts: &Attempts, micros| attempts.count_since(at(micros));
    assert_eq!(since(&attempts, 0), 0);
    for n in 0..25 {
        attempts.push(attempt(n, Some("no")));
    }
    // More are not kept, and all of these may have been after it.
    assert_eq!([14, 15].map(|micros| since(&attempts, micros)), [25; 2]);
    assert_eq!(
        [16, 20, 24, 25].map(|micros| since(&attempts, micros)),
        [9, 5, 1, 0]
    );
}
