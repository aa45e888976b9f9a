//! Which events follow from a report, and that their ids never change.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::report::{LoggedReport, ReportError, ReportFields};
use crate::trouble::OperatorEventId;
use crate::{CredentialId, ErrorCode, ErrorText, Message, MessageSid, Report, ReportedStatus};

fn key(channel: &str, sid: &str) -> MessageKey {
    MessageKey {
        channel: ChannelId::parse(channel).unwrap(),
        sid: MessageSid::parse(sid).unwrap(),
    }
}

fn report(status: &str, code: Option<&str>, at: i64) -> Report {
    Report {
        key: key("1", "SM1"),
        status: ReportedStatus::parse(status).unwrap(),
        error: code.map(|code| ReportError {
            code: ErrorCode::parse(code).unwrap(),
            text: ErrorText::new("words"),
        }),
        recipient: Address::parse("whatsapp:+15550100001").unwrap(),
        sender: Some(Address::parse("whatsapp:+15550109999").unwrap()),
        alias: crate::Alias::None,
        happened_at: None,
        arrived_at: Timestamp::from_unix_micros(at).unwrap(),
        credential: CredentialId(Uuid::nil()),
        idempotency_token: None,
        fields: ReportFields::default(),
    }
}

/// Returns the log that these reports of one message make, recorded in this order.
fn log(reports: &[Report]) -> Vec<LogEntry> {
    let mut message: Option<Message> = None;
    let mut before = MessageState::default();
    let mut log = Vec::new();
    for (report, id) in reports.iter().zip(1..) {
        let effect = if let Some(message) = &mut message {
            message.absorb(report)
        } else {
            let (begun, effect) = Message::begin(report);
            message = Some(begun);
            effect
        };
        if effect == Effect::Duplicate {
            continue;
        }
        let entry = LogEntry {
            position: LogPosition(id),
            report: LoggedReport {
                id,
                revision: i64::try_from(log.len() + 1).unwrap(),
                effect,
                report: report.clone(),
            },
            before,
        };
        before = entry.after();
        log.push(entry);
    }
    log
}

fn types(reports: &[Report]) -> Vec<&'static str> {
    let log = log(reports);
    let events = log.iter().flat_map(events_of);
    events.map(|event| event.event_type.as_str()).collect()
}

fn any_report() -> impl Strategy<Value = Report> {
    let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).to_vec();
    let words = [words, vec!["received", "teleported"]].concat();
    let codes = vec![None, None, Some("63016"), Some("63024")];
    (
        proptest::sample::select(words),
        proptest::sample::select(codes),
        0i64..6,
    )
        .prop_map(|(status, code, at)| report(status, code, at))
}

proptest! {
    #[test]
    fn events_reproduce_the_history_of_the_state(reports in proptest::collection::vec(any_report(), 1..20)) {
        let log = log(&reports);
        let events: Vec<_> = log.iter().flat_map(events_of).collect();

        let moves: Vec<_> = events.iter().filter(|event| event.event_type != EventType::Contradicted).collect();
        let mut status = None;
        for event in &moves {
            prop_assert_eq!(event.previous, status);
            prop_assert!(Some(event.status) > status);
            prop_assert_eq!(event.event_type, EventType::Moved(event.status));
            status = Some(event.status);
        }
        let end = log.last().unwrap().after();
        prop_assert_eq!(status, end.status());

        let contradictions = events.iter().filter(|event| event.event_type == EventType::Contradicted);
        prop_assert_eq!(contradictions.count(), usize::from(end.contradicted()));
        let mut contradicted = false;
        for event in &events {
            prop_assert!(event.contradicted >= contradicted);
            contradicted = event.contradicted;
        }
        prop_assert!(events.is_sorted_by_key(|event| event.revision));
        let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
        prop_assert_eq!(ids.len(), events.len());
    }

    #[test]
    fn an_event_id_survives_its_text(sid in "[!-~]{1,64}", revision: i64) {
        let id = EventId::new(&key("1", &sid), revision, EventType::Contradicted);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
}

#[test]
fn every_advance_is_an_event_and_nothing_else() {
    let history = [
        report("sent", None, 1),
        report("queued", None, 2),
        report("teleported", None, 3),
        report("received", None, 4),
        report("sent", None, 5),
        report("read", None, 6),
        report("delivered", None, 7),
    ];
    assert_eq!(types(&history), ["message.sent", "message.read"]);
}

#[test]
fn test_messages_have_no_events() {
    let mut history = [report("failed", None, 1), report("delivered", None, 2)];
    assert_eq!(types(&history).len(), 3);
    for report in &mut history {
        report.key.sid = MessageSid::of_test(CredentialId(Uuid::nil()));
    }
    assert_eq!(types(&history), [""; 0]);
}

#[test]
fn a_contradiction_is_one_event_in_any_order_of_reports() {
    let failed = |at, code| report("failed", Some(code), at);
    let delivered_last = [failed(1, "1"), report("delivered", None, 2)];
    assert_eq!(
        types(&delivered_last),
        [
            "message.failed",
            "message.delivered",
            "message.contradicted"
        ]
    );
    let failed_late = [
        report("delivered", None, 1),
        failed(2, "1"),
        failed(3, "2"),
        report("read", None, 4),
    ];
    assert_eq!(
        types(&failed_late),
        ["message.delivered", "message.contradicted", "message.read"]
    );
}

#[test]
fn an_event_shows_the_message_as_of_its_revision() {
    let history = [
        report("sent", None, 1),
        report("failed", Some("63016"), 2),
        report("delivered", None, 3),
    ];
    let log = log(&history);
    let events: Vec<_> = log.iter().flat_map(events_of).collect();
    let [sent, failed, delivered, contradicted] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((sent.previous, sent.error.as_ref()), (None, None));
    assert_eq!(sent.timeline.steps().count(), 1);
    assert_eq!(failed.previous, Some(DeliveryStatus::Sent));
    assert!(!failed.contradicted);
    let code = |event: &MessageEvent| event.error.as_ref().unwrap().error.code.to_string();
    assert_eq!(code(failed), "63016");
    assert!(delivered.contradicted);
    assert_eq!(code(delivered), "63016");
    assert_eq!(delivered.timeline.steps().count(), 3);
    assert_eq!(
        (delivered.revision, delivered.position),
        (contradicted.revision, contradicted.position)
    );
    assert_eq!(contradicted.status, DeliveryStatus::Delivered);
    assert_eq!(contradicted.reported_at.unix_micros(), 3);
}

#[test]
fn the_id_of_an_event_never_changes() {
    let id = EventId::new(
        &key("202105102694809992", "SM00112233445566778899aabbccddeeff"),
        3,
        EventType::Moved(DeliveryStatus::Delivered),
    );
    assert_eq!(id.to_string(), "evt_4b0c0301be13f9d2ea214ab5b0910b19");
}

#[test]
fn the_id_of_an_event_depends_on_channel_sid_revision_and_type() {
    let delivered = EventType::Moved(DeliveryStatus::Delivered);
    let ids = [
        EventId::new(&key("1", "SM1"), 1, delivered),
        EventId::new(&key("2", "SM1"), 1, delivered),
        EventId::new(&key("1", "SM2"), 1, delivered),
        EventId::new(&key("1", "SM1"), 2, delivered),
        EventId::new(&key("1", "SM1"), 1, EventType::Contradicted),
        EventId::new(&key("1", "SM"), 11, delivered),
        EventId::new(&key("1S", "M1"), 1, delivered),
    ];
    assert_eq!(BTreeSet::from(ids).len(), ids.len());
}

#[test]
fn invalid_event_ids_are_refused() {
    let digits = "0".repeat(32);
    assert!(format!("evt_{digits}").parse::<EventId>().is_ok());
    for text in [
        digits.clone(),
        format!("evt_{}", &digits[1..]),
        format!("evt_{digits}0"),
        format!("evt_+{}", &digits[1..]),
        format!("evt_{}A", &digits[1..]),
    ] {
        assert_eq!(text.parse::<EventId>(), Err(InvalidEventId), "{text}");
    }
}

#[test]
fn every_status_has_its_event_type_and_every_type_its_word() {
    for status in DeliveryStatus::ALL {
        let event_type = EventType::Moved(status);
        assert_eq!(event_type.as_str(), format!("message.{status}"));
        assert!(EventType::ALL.contains(&event_type));
    }
    for event_type in EventType::ALL {
        assert_eq!(event_type.as_str().parse(), Ok(event_type));
    }
    assert_eq!("delivered".parse::<EventType>(), Err(InvalidEventType));
}

#[test]
fn a_filter_selects_the_named_events() {
    let log = log(&[report("sent", None, 1)]);
    let event = events_of(&log[0]).next().unwrap();
    let channels = |id: &str| Some(BTreeSet::from([ChannelId::parse(id).unwrap()]));
    let types = |status| Some(BTreeSet::from([EventType::Moved(status)]));
    for (channels, types, passes) in [
        (None, None, true),
        (channels("1"), None, true),
        (channels("2"), None, false),
        (None, types(DeliveryStatus::Sent), true),
        (None, types(DeliveryStatus::Read), false),
        (channels("1"), types(DeliveryStatus::Sent), true),
        (channels("2"), types(DeliveryStatus::Sent), false),
        (Some(BTreeSet::new()), None, false),
    ] {
        let filter = EventFilter {
            channels,
            types,
            ..EventFilter::default()
        };
        assert_eq!(filter.passes(&event), passes, "{filter:?}");
    }
}

#[test]
fn operator_events_are_sent_on_request_only() {
    let event = |channel: Option<&str>| OperatorEvent {
        id: OperatorEventId(Uuid::nil()),
        event_type: OperatorEventType::TroubleOpened,
        channel: channel.map(|id| ChannelId::parse(id).unwrap()),
        at: Timestamp::EPOCH,
        body: "{}".to_owned(),
    };
    let mut filter = EventFilter::default();
    assert_eq!(filter.type_names(), None);
    assert!(!filter.passes_operator_event(&event(None)));
    filter.set_types(["receiptd.trouble.opened"]).unwrap();
    assert_eq!(filter.type_names().unwrap(), ["receiptd.trouble.opened"]);
    assert!(filter.passes_operator_event(&event(None)));
    let log = log(&[report("sent", None, 1)]);
    assert!(!filter.passes(&events_of(&log[0]).next().unwrap()));
    filter.channels = Some([ChannelId::parse("1").unwrap()].into());
    let passes = [None, Some("1"), Some("2")].map(|it| filter.passes_operator_event(&event(it)));
    assert_eq!(passes, [false, true, false]);
    let all = EventFilter::all_type_names();
    filter.set_types(all.iter().copied()).unwrap();
    assert_eq!(filter.type_names().unwrap(), all);
    assert_eq!(filter.set_types(["message.lost"]), Err(InvalidFilterType));
    for name in all {
        let kind = name.split('.').next().unwrap();
        assert!(InvalidFilterType.to_string().contains(kind), "{name}");
    }
    filter.clear_types();
    assert_eq!(filter.type_names(), None);
}
