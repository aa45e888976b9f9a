//! Unusual values: stored unchanged, or refused.

use domain::report::FIELDS_LENGTH_MAX;
use domain::{MessageKey, Report};
use ports::{ReportStore, StoreError};

use super::model::{Model, message, record};
use crate::builders::{key, report, twilio_sid};
use crate::contract::Stores;

type Reports = Stores<dyn ReportStore>;

/// Returns a report whose fields take this many bytes as JSON.
fn report_with_fields_of(sid: &str, bytes: usize) -> Report {
    let around = r#"{"Body":""}"#.len();
    let report = report(sid)
        .fields([("Body", "x".repeat(bytes - around).as_str())])
        .build();
    assert_eq!(report.fields.as_json().len(), bytes);
    report
}

async fn assert_comes_back(stores: &Reports, reports: &[Report]) {
    for report in reports {
        record(&*stores.one, std::slice::from_ref(report)).await;
    }
    Model::of(reports).assert_is_in(&*stores.one).await;
}

pub async fn every_value_is_read_as_it_was_recorded(stores: Reports) {
    let full = report("SM00112233445566778899aabbccddeeff")
        .channel("Tenant-7_main~x.1")
        .status("undelivered")
        .error_with_text("63024", "Invalid message recipient")
        .to("whatsapp:US.13491208655302741918")
        .from("rcs:brand_agent")
        .at(1_795_370_777_123_456)
        .credential(u128::MAX - 1)
        .token("9f5c1c0e-5d1a-4f4b-8d51-d1b5a7f3c0aa")
        .fields([
            ("AccountSid", "AC1"),
            ("EventType", "UNDELIVERED"),
            ("Body", ""),
        ]);
    let bare = report("SM2").credential(0);
    let without_sender = report("SM3").without_sender().happened_at(7);
    let all = [full.build(), bare.build(), without_sender.build()];
    assert_comes_back(&stores, &all).await;
}

pub async fn long_and_non_ascii_values_are_stored_unchanged(stores: Reports) {
    let fields = [
        (
            "Body",
            "Grüße, 你好, 👩‍👩‍👧‍👦, \u{202e}mirrored\u{202c}, e\u{301}",
        ),
        (
            "quotes",
            r#"'single' "double" \back \u0000 \\u0000 $1 ?1 :name %s {} [1,2]"#,
        ),
        (
            "control",
            "\u{1}\u{1f}\u{7f}\t\r\n\u{feff}\u{2028}\u{ffff}\u{10ffff}",
        ),
        ("näme ", " "),
        ("", "no name"),
    ];
    let longest = report(&"~".repeat(64))
        .channel(&"9".repeat(64))
        .status(&"ß".repeat(64))
        .error_with_text(&"!".repeat(32), &"👍".repeat(1_000))
        .to(&"\u{10ffff}".repeat(256))
        .from(&"è".repeat(256))
        .token(&"t".repeat(4_096))
        .fields(fields);
    let many: Vec<_> = (0..500)
        .map(|n| (format!("Field{n}"), "värde".repeat(20)))
        .collect();
    let many = report("SM2").fields(many.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let text = r#"\' "; drop table reports; --"#;
    let hostile = report("SM3';--")
        .error_with_text("'1", text)
        .to(text)
        .token(text);
    assert_comes_back(&stores, &[longest.build(), many.build(), hostile.build()]).await;
}

pub async fn a_nul_in_a_field_is_stored(stores: Reports) {
    let nul = report("SM1").fields([("Bo\0dy", "\0a\0"), ("escaped", r"\u0000")]);
    let nul = nul.status("failed").error_with_text("1", "wo\0rds").build();
    assert_comes_back(&stores, std::slice::from_ref(&nul)).await;
    let fields = nul.fields.to_pairs();
    assert_eq!(
        fields,
        [
            ("Bo\u{fffd}dy", "\u{fffd}a\u{fffd}"),
            ("escaped", r"\u0000")
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

pub async fn sids_that_differ_in_case_are_different_messages(stores: Reports) {
    let hex = "00112233445566778899aabbccddeeff";
    let sids = [
        format!("SM{hex}"),
        format!("MM{hex}"),
        format!("sm{hex}"),
        format!("SM{}", hex.to_uppercase()),
        "SMx".to_owned(),
        "smX".to_owned(),
        "SMX".to_owned(),
    ];
    let reports = sids
        .iter()
        .zip(1..)
        .map(|(sid, at)| report(sid).at(at).build());
    assert_comes_back(&stores, &reports.collect::<Vec<_>>()).await;
}

pub async fn times_keep_their_microseconds_in_every_year(stores: Reports) {
    let times = [
        -62_135_596_800_000_000,
        -62_135_596_799_999_999,
        -1,
        0,
        1,
        946_684_799_999_999,
        946_684_800_000_001,
        1_795_370_777_123_457,
        253_402_300_799_999_999,
    ];
    let reports: Vec<_> = times
        .into_iter()
        .zip(0..)
        .flat_map(|(at, n)| {
            let alone = report(&twilio_sid(n))
                .at(at)
                .status("failed")
                .error("63016")
                .build();
            [
                alone,
                report("SM1")
                    .at(at)
                    .status("failed")
                    .error(&n.to_string())
                    .build(),
            ]
        })
        .collect();
    assert_comes_back(&stores, &reports).await;
}

pub async fn fields_keep_their_order_and_their_repetitions(stores: Reports) {
    let fields = [
        ("z", "1"),
        ("MediaUrl", "b"),
        ("MediaUrl", "a"),
        ("a", "2"),
        ("Z", "3"),
    ];
    assert_comes_back(&stores, &[report("SM1").fields(fields).build()]).await;
}

pub async fn fields_of_the_maximum_size_are_accepted(stores: Reports) {
    assert_comes_back(&stores, &[report_with_fields_of("SM1", FIELDS_LENGTH_MAX)]).await;
}

pub async fn a_refused_report_rolls_back_its_batch(stores: Reports) {
    let before = report("SM1").status("sent").build();
    record(&*stores.one, std::slice::from_ref(&before)).await;
    let batch = [
        report("SM1").status("read").build(),
        report_with_fields_of("SM2", FIELDS_LENGTH_MAX + 1),
        report("SM3").build(),
    ];
    let refused = stores
        .one
        .record(&batch)
        .await
        .expect_err("a field is too large");
    assert!(
        matches!(refused, StoreError::Rejected { .. }),
        "{refused:?}"
    );
    Model::of([&before]).assert_is_in(&*stores.one).await;
    let [first, _, last] = batch;
    record(&*stores.one, &[first.clone(), last.clone()]).await;
    Model::of([&before, &first, &last])
        .assert_is_in(&*stores.one)
        .await;
}

pub async fn one_refused_report_does_not_prevent_recording_the_others(stores: Reports) {
    let refused: MessageKey = key(&twilio_sid(613));
    let batch: Vec<_> = (0..1_000)
        .map(|n| match twilio_sid(n) {
            sid if sid == refused.sid.as_str() => {
                report_with_fields_of(&sid, FIELDS_LENGTH_MAX + 1)
            }
            sid => report(&sid).build(),
        })
        .collect();
    let place = batch.iter().position(|report| report.key == refused);
    let (before, after) = batch.split_at(place.expect("it is in the batch"));
    let (alone, after) = after.split_at(1);
    for part in [&batch, alone] {
        let outcome = stores.one.record(part).await;
        assert!(
            matches!(outcome, Err(StoreError::Rejected { .. })),
            "{outcome:?}"
        );
    }
    for part in [before, after] {
        record(&*stores.one, part).await;
    }
    let others: Vec<_> = batch
        .iter()
        .filter(|report| report.key != refused)
        .collect();
    Model::of(others).assert_is_in(&*stores.one).await;
    assert_eq!(
        stores
            .one
            .message(&refused)
            .await
            .expect("absence is no error"),
        None
    );
    message(&*stores.other, &key(&twilio_sid(999))).await;
}
