//! The state of a message does not depend on order, duplicates and grouping of its reports.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::report::{ReportError, ReportFields};
use crate::{ChannelId, CredentialId, DeliveryStatus, ErrorCode, ErrorText};

fn report(status: &str, code: Option<&str>, at: i64) -> Report {
    Report {
        key: MessageKey {
            channel: ChannelId::parse("1").unwrap(),
            sid: MessageSid::parse("SM1").unwrap(),
        },
        status: ReportedStatus::parse(status).unwrap(),
        error: code.map(|code| ReportError {
            code: ErrorCode::parse(code).unwrap(),
            text: ErrorText::new("words"),
        }),
        recipient: Address::parse(&format!("whatsapp:+1555010{at:04}")).unwrap(),
        sender: Some(Address::parse("whatsapp:+15550109999").unwrap()),
        alias: crate::Alias::None,
        happened_at: None,
        arrived_at: Timestamp::from_unix_micros(at).unwrap(),
        credential: CredentialId(Uuid::nil()),
        idempotency_token: None,
        fields: ReportFields::default(),
    }
}

fn state(reports: &[Report]) -> MessageState {
    reports
        .iter()
        .map(MessageState::of)
        .fold(MessageState::default(), MessageState::join)
}

fn message(reports: &[Report]) -> Message {
    let (first, rest) = reports.split_first().unwrap();
    let (mut message, _) = Message::begin(first);
    for report in rest {
        message.absorb(report);
    }
    message
}

fn any_report() -> impl Strategy<Value = Report> {
    let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).to_vec();
    let words = [
        words,
        vec!["receiving", "received", "teleported", "DELIVERED"],
    ]
    .concat();
    let codes = vec![None, None, Some("63016"), Some("63024"), Some("30008")];
    (
        proptest::sample::select(words),
        proptest::sample::select(codes),
        0i64..6,
    )
        .prop_map(|(status, code, at)| report(status, code, at))
}

proptest! {
    #[test]
    fn state_does_not_depend_on_order_duplicates_and_grouping(
        (reports, shuffled, cut, again) in proptest::collection::vec(any_report(), 1..12)
            .prop_flat_map(|reports| {
                let count = reports.len();
                (Just(reports.clone()), Just(reports).prop_shuffle(), 0..=count, 0..=count)
            })
    ) {
        let whole = state(&reports);
        prop_assert_eq!(&state(&shuffled), &whole);
        let (left, right) = shuffled.split_at(cut);
        prop_assert_eq!(&state(left).join(state(right)), &whole);
        prop_assert_eq!(&state(right).join(state(left)), &whole);
        prop_assert_eq!(&whole.clone().join(state(&shuffled[..again])), &whole);

        let one = message(&reports);
        let other = message(&shuffled);
        prop_assert_eq!(&one.state, &whole);
        prop_assert_eq!(&other.state, &whole);
        prop_assert_eq!(&one.parties, &other.parties);
        prop_assert_eq!(one.last_reported_at, other.last_reported_at);
        prop_assert_eq!(one.revision(), other.revision());
        prop_assert_eq!(one.duplicates, other.duplicates);
        prop_assert_eq!(one.revision() + one.duplicates, reports.len() as u64);
    }

    #[test]
    fn the_status_shown_is_the_highest_reported(reports in proptest::collection::vec(any_report(), 1..12)) {
        let highest = reports.iter().filter_map(|report| report.status.delivery()).max();
        prop_assert_eq!(state(&reports).status(), highest);
    }

    #[test]
    fn a_message_never_moves_back(reports in proptest::collection::vec(any_report(), 1..12)) {
        let (mut message, _) = Message::begin(&reports[0]);
        for report in &reports {
            let before = message.state.status();
            let effect = message.absorb(report);
            prop_assert!(message.state.status() >= before);
            prop_assert_eq!(effect == Effect::Advanced, message.state.status() > before);
        }
    }

    #[test]
    fn a_sid_survives_its_compact_form(sid in "[!-~]{1,64}|(SM|MM)[0-9a-f]{32}|(SM|MM)[0-9a-fA-F]{32}") {
        let sid = MessageSid::parse(&sid).unwrap();
        prop_assert_eq!(MessageSid::from_compact(&sid.to_compact()), Ok(sid));
    }
}

#[test]
fn a_sid_of_twilios_form_takes_17_bytes() {
    let sid = MessageSid::parse("SM00112233445566778899aabbccddeeff").unwrap();
    assert_eq!(sid.to_compact().len(), 17);
    for damaged in [&[][..], &[1, 2, 3], &[9; 17], &[0, 200], &[0]] {
        assert_eq!(MessageSid::from_compact(damaged), Err(InvalidMessageSid));
    }
}

#[test]
fn a_late_report_does_not_move_a_message_back() {
    let message = message(&[report("read", None, 1), report("sent", None, 2)]);
    assert_eq!(message.state.status(), Some(DeliveryStatus::Read));
    assert!(!message.state.contradicted());
}

#[test]
fn a_delivery_corrects_a_failure_and_both_stay_visible() {
    let message = message(&[
        report("failed", Some("63016"), 1),
        report("delivered", None, 2),
    ]);
    assert_eq!(message.state.status(), Some(DeliveryStatus::Delivered));
    assert!(message.state.contradicted());
    assert_eq!(message.state.error().unwrap().error.code.as_str(), "63016");
}

#[test]
fn a_later_failure_without_a_code_does_not_erase_the_error() {
    let reports = [
        report("failed", None, 1),
        report("undelivered", Some("63024"), 2),
        report("failed", Some("1"), 3),
    ];
    let message = message(&reports);
    assert_eq!(message.state.error().unwrap().error.code.as_str(), "63024");
}

#[test]
fn a_code_on_a_report_that_is_no_failure_is_not_the_message_error() {
    assert_eq!(
        message(&[report("sent", Some("63024"), 1)]).state.error(),
        None
    );
}

#[test]
fn the_same_status_with_another_code_is_no_duplicate() {
    let (mut message, first) = Message::begin(&report("failed", Some("63016"), 1));
    let effects = [
        first,
        message.absorb(&report("failed", Some("63024"), 2)),
        message.absorb(&report("failed", Some("63016"), 3)),
        message.absorb(&report("teleported", None, 4)),
        message.absorb(&report("teleported", None, 5)),
        message.absorb(&report("received", None, 6)),
    ];
    assert_eq!(
        effects.map(Effect::as_str),
        [
            "advanced",
            "late",
            "duplicate",
            "unknown_status",
            "duplicate",
            "inbound"
        ]
    );
    assert_eq!((message.revision(), message.duplicates), (4, 2));
}

#[test]
fn unknown_statuses_leave_a_message_without_a_status() {
    assert_eq!(message(&[report("received", None, 1)]).state.status(), None);
}

#[test]
fn the_state_before_a_moment_is_that_of_the_reports_until_then() {
    let history = [
        report("sent", None, 1),
        report("failed", Some("63016"), 2),
        report("delivered", None, 3),
    ];
    for (moment, count) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
        let moment = Timestamp::from_unix_micros(moment).unwrap();
        assert_eq!(state(&history).before(moment), state(&history[..count]));
    }
}

#[test]
fn test_message_is_known_by_its_id() {
    let credential = CredentialId(Uuid::from_u128(0x0193));
    let sid = MessageSid::of_test(credential);
    assert!(sid.is_test());
    assert_eq!(MessageSid::parse(sid.as_str()), Ok(sid.clone()));
    assert_eq!(MessageSid::from_compact(&sid.to_compact()), Ok(sid.clone()));
    let other = MessageSid::of_test(CredentialId(Uuid::from_u128(0x0194)));
    assert_ne!(sid, other);
    assert!(!MessageSid::parse("SM1").unwrap().is_test());
}
