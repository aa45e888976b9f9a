//! The thresholds of each rule.

use super::*;
use crate::crypto::{CredentialHash, KeyId};
use crate::statistics::{Counts, Histogram, MessageCell};
use crate::subscription::{PauseReason, SubscriptionState};
use crate::trouble::Thresholds;
use crate::{
    ChannelId, Credential, CredentialId, DeliveryStatus, ErrorCode, Timestamp, WebhookUser,
};
use rstest::rstest;
use uuid::Uuid;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Minutes after an arbitrary moment.
fn at(minute: i64) -> Timestamp {
    Timestamp::EPOCH.plus_micros(1_000 * DAY + minute * MINUTE)
}

#[rstest]
// Usually every few seconds: ten minutes are the limit.
#[case(Some(20.0), 30.0, 11, true)]
#[case(Some(20.0), 30.0, 10, false)]
// Usually gaps of up to 4 minutes: 20 minutes are the limit.
#[case(Some(240.0), 30.0, 20, false)]
#[case(Some(240.0), 30.0, 21, true)]
#[case(Some(20.0), 19.9, 60, false)]
#[case(None, 20.0, 11, true)]
fn silence_is_longer_than_usual_with_reports_expected(
    #[case] usual_gap_seconds: Option<f64>,
    #[case] expected: f64,
    #[case] minutes: i64,
    #[case] found: bool,
) {
    let evidence = Silence {
        last_report_at: at(0),
        usual_gap_seconds,
        expected,
    };
    let finding = silence(&evidence, Thresholds::default(), at(minutes));
    assert_eq!(finding.is_some(), found, "{finding:?}");
    assert!(finding.is_none_or(|finding| finding.since == at(0)));
}

#[test]
fn minutes_of_silence_can_be_changed() {
    let evidence = Silence {
        last_report_at: at(0),
        usual_gap_seconds: Some(1.0),
        expected: 100.0,
    };
    let hour = Thresholds::new(60, 10, 3).unwrap();
    assert_eq!(silence(&evidence, hour, at(60)), None);
    let finding = silence(&evidence, hour, at(61)).unwrap();
    let seen = "No report; about 100 were expected since the last one, and 99 % of the gaps at \
                this hour are shorter than 1.0 s.";
    assert_eq!(finding.seen, seen);
}

#[rstest]
#[case(10, None, true)]
#[case(9, None, false)]
#[case(500, Some(0), false)]
#[case(500, Some(-11), true)]
fn challenges_count_without_an_authenticated_request(
    #[case] challenged: u64,
    #[case] authenticated: Option<i64>,
    #[case] found: bool,
) {
    let requests = Challenges {
        challenged,
        last_authenticated_at: authenticated.map(at),
    };
    let finding = challenged_only(&requests, Thresholds::default(), at(0));
    assert_eq!(finding.is_some(), found);
}

#[rstest]
// 3 %, 20 messages, and three times the usual share.
#[case(20, 600, 0, 10_000, true)]
#[case(20, 700, 0, 10_000, false)]
#[case(19, 100, 0, 10_000, false)]
#[case(30, 600, 166, 10_000, true)]
#[case(30, 600, 167, 10_000, false)]
#[case(20, 600, 0, 0, true)]
#[case(0, 0, 0, 0, false)]
fn error_code_is_found_by_its_share(
    #[case] messages: i64,
    #[case] all_messages: i64,
    #[case] usual_messages: i64,
    #[case] usual_all_messages: i64,
    #[case] found: bool,
) {
    let shares = CodeShare {
        code: ErrorCode::parse("63016").unwrap(),
        since: at(0),
        messages,
        all_messages,
        usual_messages,
        usual_all_messages,
    };
    let finding = error_code(&shares, Thresholds::default());
    assert_eq!(finding.is_some(), found, "{finding:?}");
}

#[test]
fn messages_are_stuck_that_were_not_delivered_within_an_hour() {
    let mut counts = Counts::default();
    let cell = |status| MessageCell {
        status: Some(status),
        contradicted: false,
    };
    counts.messages.insert(cell(DeliveryStatus::Sent), 5);
    counts.messages.insert(cell(DeliveryStatus::Delivered), 90);
    counts.messages.insert(cell(DeliveryStatus::Failed), 5);
    let minutes = |minutes: i64| Histogram::bucket_of(minutes * MINUTE);
    counts.time_to_delivered.add(minutes(1), 80);
    counts.time_to_delivered.add(minutes(50), 3);
    counts.time_to_delivered.add(minutes(120), 7);
    let sent = sent_messages(&counts);
    assert_eq!(
        sent,
        SentMessages {
            stuck: 12,
            all: 100
        }
    );
}

#[rstest]
#[case((20, 100), (10, 100), true)]
#[case((20, 100), (11, 100), false)]
#[case((19, 100), (0, 100), false)]
#[case((20, 1_000), (0, 100), false)]
#[case((30, 1_000), (0, 0), false)]
#[case((30, 1_000), (0, 20), true)]
fn stuck_messages_are_twice_the_usual(
    #[case] recent: (i64, i64),
    #[case] usual: (i64, i64),
    #[case] found: bool,
) {
    let sent = |(stuck, all)| SentMessages { stuck, all };
    let finding = stuck_at_sent(sent(recent), sent(usual), at(0));
    assert_eq!(finding.is_some(), found, "{finding:?}");
}

#[test]
fn subscription_is_stopped_unless_an_operator_paused_it_just_now() {
    let since = at(0);
    assert_eq!(stopped(SubscriptionState::Active, at(90)), None);
    assert!(stopped(SubscriptionState::Ended { since }, at(0)).is_some());
    let paused = |reason| SubscriptionState::Paused { reason, since };
    for reason in [PauseReason::Failing, PauseReason::Pruned] {
        assert_eq!(stopped(paused(reason), at(0)).unwrap().since, since);
    }
    assert_eq!(stopped(paused(PauseReason::Operator), at(59)), None);
    assert!(stopped(paused(PauseReason::Operator), at(60)).is_some());
}

#[test]
fn subscription_lags_when_events_are_late_or_its_endpoint_fails() {
    let lag = |oldest: Option<i64>, failing: Option<i64>| SubscriptionLag {
        oldest_at: oldest.map(at),
        failing_since: failing.map(at),
    };
    assert_eq!(lagging(&lag(None, None), at(9)), None);
    assert_eq!(lagging(&lag(Some(0), Some(1)), at(4)), None);
    assert_eq!(lagging(&lag(Some(0), None), at(5)).unwrap().since, at(0));
    assert_eq!(lagging(&lag(None, Some(3)), at(8)).unwrap().since, at(3));
}

#[test]
fn journal_is_found_for_five_minutes_after_its_use() {
    let used = |receiver: &str, entries, since, last| JournalUse {
        receiver: receiver.to_owned(),
        entries,
        since: at(since),
        last_used_at: at(last),
    };
    assert_eq!(journal_in_use(&[], at(0)), None);
    let one = [used("a", 3, 0, 2)];
    let finding = journal_in_use(&one, at(7)).unwrap();
    let seen = "Receiver a wrote to the journal; 3 reports wait in it.";
    assert_eq!((finding.since, finding.seen.as_str()), (at(0), seen));
    assert_eq!(journal_in_use(&one, at(8)), None);
    let two = [used("a", 3, 0, 2), used("b", 4, 1, 2)];
    let finding = journal_in_use(&two, at(2)).unwrap();
    let seen = "2 receivers wrote to the journal; 7 reports wait in it.";
    assert_eq!(finding.seen, seen);
}

#[test]
fn certificate_is_found_two_weeks_before_it_expires() {
    let days = |days: i64| at(days * 24 * 60);
    let found = |now| certificate_expiring(days(30), now).map(|finding| finding.since);
    assert_eq!(found(days(16).plus_micros(-1)), None);
    assert_eq!(found(days(16)), Some(days(16)));
    assert_eq!(found(days(30)), Some(days(30)));
}

fn credential(id: u128, expires: Option<i64>, used: Option<i64>) -> Credential {
    Credential {
        id: CredentialId(Uuid::from_u128(id)),
        channel: ChannelId::parse("1").unwrap(),
        user: WebhookUser::parse("hook").unwrap(),
        hash: CredentialHash([0; 32]),
        key_id: KeyId(0),
        label: None,
        is_test: false,
        created_at: at(-24 * 60),
        expires_at: expires.map(|days| at(days * 24 * 60)),
        last_used_at: used.map(at),
    }
}

#[rstest]
#[case(vec![credential(1, Some(8), Some(0))], false)]
#[case(vec![credential(1, Some(7), Some(0))], true)]
#[case(vec![credential(1, Some(7), None)], true)]
#[case(vec![credential(1, Some(-1), None)], true)]
#[case(vec![credential(1, None, None)], false)]
// In a rotation the old one expires and is no longer used.
#[case(vec![credential(1, Some(1), None), credential(2, None, Some(0))], false)]
#[case(vec![credential(1, Some(1), Some(0)), credential(2, None, None)], true)]
#[case(vec![credential(1, Some(-1), Some(0)), credential(2, None, None)], false)]
// Of two that expire together one is found.
#[case(vec![credential(1, Some(1), None), credential(2, Some(1), None)], false)]
#[case(vec![credential(2, Some(1), None), credential(1, Some(1), None)], true)]
fn credential_in_use_or_the_last_one_is_found_before_it_expires(
    #[case] all: Vec<Credential>,
    #[case] found: bool,
) {
    let finding = credential_expiring(&all[0], &all, at(0));
    assert_eq!(finding.is_some(), found, "{finding:?}");
}

#[test]
fn durations_and_shares_are_short() {
    let durations = [0.34, 20.0, 119.0, 840.0, 7_200.0, 200_000.0].map(duration);
    assert_eq!(
        durations,
        ["0.3 s", "20 s", "119 s", "14 min", "2 h", "2 days"]
    );
    assert_eq!(
        [percent(1, 300), percent(12, 100), percent(1, 0)],
        ["0.3 %", "12 %", "0.0 %"]
    );
}
