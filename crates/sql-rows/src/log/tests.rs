//! Which earlier reports a page of the log looks up.

use super::*;

/// Returns a row of the message whose reports have these ids.
fn row(sid: &str, ids: &[i64], id: i64) -> LogRow<i64, Vec<i64>> {
    let place = ids.iter().position(|each| *each == id).unwrap();
    LogRow {
        id,
        arrived_at: id,
        credential_id: Uuid::nil(),
        revision: i64::try_from(place + 1).unwrap(),
        channel_id: "1".to_owned(),
        sid: domain::MessageSid::parse(sid).unwrap().to_compact(),
        status: "failed".to_owned(),
        effect: "late".to_owned(),
        recipient: "whatsapp:+15550100001".to_owned(),
        sender: String::new(),
        error_code: Some(format!("C{id}")),
        error_text: None,
        idempotency_token: None,
        happened_at: None,
        fields: "{}".to_owned(),
        report_ids: Some(ids.to_vec()),
        first_reported_at: Some(0),
        last_reported_at: Some(10_000),
    }
}

/// Returns the rows of one message with the last `count` of its ids.
fn last_rows(sid: &str, ids: &[i64], count: usize) -> Vec<LogRow<i64, Vec<i64>>> {
    let last = ids.iter().skip(ids.len() - count);
    last.map(|id| row(sid, ids, *id)).collect()
}

#[test]
fn earlier_reports_of_a_message_are_looked_up_once() {
    let ids: Vec<i64> = (1..=100).collect();
    let placed = PlacedRows::place(last_rows("SM1", &ids, 60), 40).unwrap();
    assert!(placed.wanted.keys().eq(&ids[..40]));
    assert!(placed.wanted.values().all(|wanted| !wanted.with_fields));
    assert_eq!((placed.placements.len(), placed.complete), (60, true));
}

#[test]
fn page_ends_before_it_looks_up_too_many_reports() {
    let rows = || {
        (0..5).flat_map(|number| {
            let ids: Vec<i64> = (0..50).map(|place| 5 * place + number).collect();
            last_rows(&format!("SM{number}"), &ids, 1)
        })
    };
    for (max_lookups, expected) in [(0, 1), (49, 1), (97, 1), (98, 2), (244, 4), (245, 5)] {
        let placed = PlacedRows::place(rows().collect(), max_lookups).unwrap();
        let all = expected == 5;
        assert_eq!((placed.placements.len(), placed.complete), (expected, all));
        assert_eq!(placed.wanted.len(), 49 * expected);
        assert_eq!(placed.reports.len(), expected);
        let last = i64::try_from(expected).unwrap() - 1 + 245;
        assert_eq!(placed.last, Some(LogPosition(last)));
    }
}

#[test]
fn reports_returned_with_a_later_row_are_wanted_whole() {
    // The second revision has a higher id than the next two, so it returns them.
    let ids = [1, 9, 7, 8];
    let placed = PlacedRows::place(vec![row("SM1", &ids, 9)], 10).unwrap();
    let wanted = placed.wanted.values().map(|it| (it.id, it.with_fields));
    assert!(wanted.eq([(1, false), (7, true), (8, true)]));
}
