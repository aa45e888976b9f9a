//! Stored retention runs, and whether there is expired data.

use ports::maintenance::{RetentionKind, RetentionRun};

use super::steps::{DAY, Retained, history, keep_messages, record_all};
use crate::builders::time;

pub async fn a_retention_run_is_stored_per_kind(stores: Retained) {
    let last_run = async |kind| {
        let clock = stores.other.retention_clock(kind, time(DAY)).await;
        clock.expect("the store is there").last_run
    };
    for kind in RetentionKind::ALL {
        assert_eq!(last_run(kind).await, None);
    }
    for (at, held_back) in [(DAY, false), (DAY, true), (DAY - 5, false)] {
        let at = time(at);
        let run = RetentionRun { at, held_back };
        let noted = stores
            .one
            .note_retention_run(RetentionKind::Messages, run)
            .await;
        noted.expect("the store is there");
        assert_eq!(last_run(RetentionKind::Messages).await, Some(run));
        assert_eq!(last_run(RetentionKind::Reports).await, None);
    }
}

pub async fn has_older_finds_expired_data(stores: Retained) {
    let has_older = async |kind, before, now| {
        let older = stores.other.has_older(kind, time(before), time(now)).await;
        older.expect("the store is there")
    };
    for kind in RetentionKind::ALL {
        assert!(!has_older(kind, 9 * DAY, 9 * DAY).await);
    }
    assert_eq!(stores.one.first_report().await.expect("readable"), None);
    record_all(&stores, &history()).await;
    for kind in [RetentionKind::Reports, RetentionKind::Messages] {
        assert!(!has_older(kind, 0, 9 * DAY).await);
        assert!(has_older(kind, 1, 9 * DAY).await);
    }
    assert!(!has_older(RetentionKind::Deliveries, 9 * DAY, 9 * DAY).await);
    keep_messages(&stores, "short", Some(5)).await;
    assert!(!has_older(RetentionKind::Messages, 0, 5 * DAY).await);
    assert!(has_older(RetentionKind::Messages, 0, 6 * DAY).await);
    let first = stores.one.first_report().await;
    assert_eq!(first.expect("readable"), Some(time(0)));
}
