//! How findings open and resolve a trouble, and when notices are sent.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::access::OperatorName;
use crate::{ChannelId, CredentialId, ErrorCode, SubscriptionId, Timestamp};

const MINUTE: i64 = 60_000_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::EPOCH.plus_micros(minute * MINUTE)
}

fn window(minute: i64) -> Window {
    Window::around(at(minute), MINUTE)
}

fn finding(minute: i64) -> Finding {
    Finding {
        since: at(minute),
        seen: format!("Seen in minute {minute}."),
    }
}

fn key() -> TroubleKey {
    TroubleKey {
        kind: TroubleKind::Silence,
        subject: TroubleSubject::Channel(ChannelId::parse("1").unwrap()),
    }
}

fn begun(minute: i64) -> Trouble {
    let id = TroubleId(Uuid::nil());
    Trouble::begin(id, key(), finding(minute), window(minute), None)
}

/// Judges the windows of consecutive minutes from minute 1 on; `begun(0)` was found in minute 0.
fn judged(found: &[bool]) -> Option<Trouble> {
    let mut trouble = Some(begun(0));
    for (minute, found) in (1..).zip(found) {
        let found = found.then(|| finding(minute));
        trouble = trouble?.judge(window(minute), found, at(minute));
    }
    trouble
}

#[test]
fn two_windows_in_a_row_open_and_resolve() {
    assert_eq!(judged(&[false]), None);
    let opened_at = at(1);
    let open = judged(&[true]).unwrap();
    assert_eq!(open.state, TroubleState::Open { opened_at });
    assert_eq!(open.finding, finding(1));
    let clearing = judged(&[true, false]).unwrap();
    assert_eq!(clearing.state, TroubleState::Clearing { opened_at });
    assert_eq!(clearing.finding, finding(1));
    let open = judged(&[true, false, true]).unwrap();
    assert_eq!(open.state, TroubleState::Open { opened_at });
    let resolved = judged(&[true, false, false]).unwrap();
    let resolved_at = at(3);
    assert_eq!(
        resolved.state,
        TroubleState::Resolved {
            opened_at,
            resolved_at
        }
    );
}

#[test]
fn windows_far_apart_do_not_confirm() {
    let pending = begun(0).judge(window(10), Some(finding(10)), at(10));
    let pending = pending.unwrap();
    assert_eq!(pending.state, TroubleState::Pending);
    let open = pending
        .judge(window(11), Some(finding(11)), at(11))
        .unwrap();
    assert!(open.state.is_open());
    let clearing = open.judge(window(12), None, at(12)).unwrap();
    let clearing = clearing.judge(window(40), None, at(40)).unwrap();
    assert!(clearing.state.is_open());
}

#[test]
fn one_notice_a_day_outside_of_quiet_hours_and_snoozes() {
    let mut trouble = judged(&[true]).unwrap();
    assert_eq!(begun(0).due_notice(at(0), false), None);
    assert_eq!(trouble.due_notice(at(1), true), None);
    assert_eq!(trouble.due_notice(at(1), false), Some(Notice::Opened));
    trouble.noticed(Notice::Opened, at(1));
    assert_eq!(trouble.due_notice(at(24 * 60), false), None);
    assert_eq!(
        trouble.due_notice(at(24 * 60 + 1), false),
        Some(Notice::Reminder)
    );
    let reason = SnoozeReason::parse("known").unwrap();
    let until = at(50 * 60);
    let snooze = Snooze::new(until, reason, OperatorName::admin(), at(2)).unwrap();
    trouble.snooze = Some(snooze);
    assert_eq!(trouble.due_notice(at(49 * 60), false), None);
    assert_eq!(trouble.due_notice(until, false), Some(Notice::Reminder));
}

#[test]
fn end_is_told_if_the_beginning_was() {
    let mut trouble = judged(&[true, false, false]).unwrap();
    assert_eq!(trouble.due_notice(at(3), false), None);
    trouble.noticed(Notice::Opened, at(1));
    assert_eq!(trouble.due_notice(at(3), true), Some(Notice::Resolved));
    let before = trouble.clone();
    trouble.noticed(Notice::Resolved, at(3));
    assert_eq!(trouble, before);
}

#[test]
fn a_snooze_ends_within_30_days_and_has_a_reason() {
    let reason = || SnoozeReason::parse("the integrator repairs it").unwrap();
    let snooze = |until| Snooze::new(until, reason(), OperatorName::admin(), at(0));
    assert_eq!(snooze(at(0)), Err(InvalidSnooze::End));
    assert_eq!(snooze(at(30 * 24 * 60 + 1)), Err(InvalidSnooze::End));
    assert!(snooze(at(30 * 24 * 60)).is_ok());
    for text in ["", "  ", "a\nb"] {
        assert_eq!(SnoozeReason::parse(text), Err(InvalidSnooze::Reason));
    }
}

#[test]
fn names_are_parsed() {
    for kind in TroubleKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert!(InvalidTroubleKind.to_string().contains(kind.as_str()));
    }
    assert_eq!("x".parse::<TroubleKind>(), Err(InvalidTroubleKind));
    for event_type in OperatorEventType::ALL {
        assert_eq!(event_type.as_str().parse(), Ok(event_type));
    }
    let channel = || ChannelId::parse("1-a").unwrap();
    let id = Uuid::from_u128(7);
    for subject in [
        TroubleSubject::Service,
        TroubleSubject::Channel(channel()),
        TroubleSubject::Code(channel(), ErrorCode::parse("6/3").unwrap()),
        TroubleSubject::Credential(channel(), CredentialId(id)),
        TroubleSubject::Subscription(SubscriptionId(id)),
    ] {
        assert_eq!(subject.to_string().parse(), Ok(subject));
    }
    for text in [
        "",
        "channel",
        "channel/",
        "service/x",
        "subscription/1",
        "channel/1/x/2",
    ] {
        let subject = text.parse::<TroubleSubject>();
        assert_eq!(subject, Err(InvalidTroubleSubject), "{text}");
    }
}

proptest! {
    /// Whatever is found in whichever windows: a trouble opens and is resolved only after two
    /// windows in a row that say so, and the moment at which it opened stays.
    #[test]
    fn every_sequence_of_findings_gives_legal_transitions(
        steps in proptest::collection::vec((0i64..4, any::<bool>()), 0..40),
    ) {
        let mut minute = 0;
        let mut trouble = begun(0);
        let mut last_found = true;
        for (later, found) in steps {
            minute += later;
            let before = trouble.clone();
            let found_now = found.then(|| finding(minute));
            let Some(after) = trouble.judge(window(minute), found_now, at(minute)) else {
                prop_assert_eq!(before.state, TroubleState::Pending);
                prop_assert!(!found);
                break;
            };
            if later == 0 {
                prop_assert_eq!(&after, &before);
            } else {
                match (before.state, after.state) {
                    (TroubleState::Pending, TroubleState::Open { opened_at }) => {
                        prop_assert!(found && last_found);
                        prop_assert_eq!(opened_at, at(minute));
                    }
                    (TroubleState::Clearing { opened_at }, TroubleState::Resolved { opened_at: same, resolved_at }) => {
                        prop_assert!(!found && !last_found);
                        prop_assert_eq!((opened_at, resolved_at), (same, at(minute)));
                    }
                    (TroubleState::Open { opened_at }, TroubleState::Clearing { opened_at: same }) => {
                        prop_assert!(!found);
                        prop_assert_eq!(opened_at, same);
                    }
                    (
                        TroubleState::Clearing { opened_at } | TroubleState::Open { opened_at },
                        TroubleState::Open { opened_at: same },
                    ) => {
                        prop_assert!(found);
                        prop_assert_eq!(opened_at, same);
                    }
                    (TroubleState::Resolved { .. }, TroubleState::Resolved { .. }) => {
                        prop_assert_eq!(&after, &before);
                    }
                    (before, after) => prop_assert!(false, "{before:?} to {after:?}"),
                }
                last_found = found;
            }
            let state = after.state;
            prop_assert_eq!(
                TroubleState::from_parts(state.as_str(), state.opened_at(), state.resolved_at()),
                Some(state)
            );
            trouble = after;
        }
    }
}
