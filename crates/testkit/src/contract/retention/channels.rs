//! Channels with their own retention of messages.

use super::steps::{
    DAY, NO_STEPS, Retained, days, days_left, keep_messages, prune_all, record_days, record_pruned,
    run_scans, step,
};
use crate::builders::channel_id;

pub async fn a_shorter_retention_removes_messages_of_its_channel_only(stores: Retained) {
    keep_messages(&stores, "short", Some(3)).await;
    keep_messages(&stores, "plain", None).await;
    record_pruned(&stores, &["plain", "short", "short2"], 0..10).await;
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 8, 100).await, [6, 5]);
    assert_eq!(days_left(&stores, "short").await, days(7..10));
    for others in ["plain", "short2"] {
        assert_eq!(days_left(&stores, others).await, days(2..10));
    }
}

pub async fn a_longer_retention_keeps_the_messages_of_its_channel(stores: Retained) {
    keep_messages(&stores, "long", Some(9)).await;
    record_pruned(&stores, &["plain", "long", "long2"], 0..10).await;
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 3, 100).await, [7 + 7 + 1]);
    assert_eq!(days_left(&stores, "long").await, days(1..10));
    for others in ["plain", "long2"] {
        assert_eq!(days_left(&stores, others).await, days(7..10));
    }
    // A hundred years before is earlier than every report.
    keep_messages(&stores, "long", Some(36_500)).await;
    assert_eq!(run_scans(&*stores.one, 20 * DAY, 3, 100).await, [3 + 3]);
    assert_eq!(days_left(&stores, "long").await, days(1..10));
}

pub async fn a_message_of_a_channel_stays_while_the_log_has_its_reports(stores: Retained) {
    keep_messages(&stores, "short", Some(1)).await;
    record_days(&stores, &["short"], 0..10).await;
    assert_eq!(run_scans(&*stores.one, 20 * DAY, 30, 100).await, [0, 0]);
    prune_all(&*stores.one, 4 * DAY).await;
    assert_eq!(run_scans(&*stores.one, 20 * DAY, 30, 100).await, NO_STEPS);
    assert_eq!(run_scans(&*stores.one, 21 * DAY, 30, 100).await, [0, 4]);
    assert_eq!(days_left(&stores, "short").await, days(4..10));
}

pub async fn a_changed_retention_takes_effect_immediately(stores: Retained) {
    record_pruned(&stores, &["plain"], 0..10).await;
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 9, 100).await, [1]);
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 5, 100).await, [4]);
    keep_messages(&stores, "plain", Some(3)).await;
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 5, 100).await, [2]);
    keep_messages(&stores, "plain", Some(2)).await;
    assert_eq!(run_scans(&*stores.other, 10 * DAY, 5, 100).await, [1]);
    // Also in the middle of a scan.
    keep_messages(&stores, "plain", Some(30)).await;
    assert_eq!(run_scans(&*stores.one, 30 * DAY, 40, 100).await, [0, 0]);
    keep_messages(&stores, "plain", Some(29)).await;
    assert_eq!(step(&*stores.one, 30 * DAY, 40, 1).await, Some(0));
    keep_messages(&stores, "plain", Some(1)).await;
    assert_eq!(run_scans(&*stores.one, 30 * DAY, 40, 1).await, [1, 1, 0]);
}

pub async fn removing_a_channels_retention_restores_the_general_one(stores: Retained) {
    keep_messages(&stores, "short", Some(1)).await;
    keep_messages(&stores, "long", Some(30)).await;
    record_pruned(&stores, &["short", "long"], 0..10).await;
    // The scan over all messages removes the two oldest of channel `short`.
    let first = [step(&*stores.one, 10 * DAY, 8, 100).await];
    assert_eq!(first, [Some(2)]);
    assert_eq!(step(&*stores.one, 10 * DAY, 8, 3).await, Some(3));
    keep_messages(&stores, "short", None).await;
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 8, 3).await, NO_STEPS);
    assert_eq!(days_left(&stores, "short").await, days(5..10));
    assert_eq!(days_left(&stores, "long").await, days(0..10));
    keep_messages(&stores, "long", None).await;
    assert_eq!(run_scans(&*stores.one, 11 * DAY, 8, 100).await, [3]);
    assert_eq!(days_left(&stores, "long").await, days(3..10));
}

pub async fn messages_of_a_removed_channel_have_the_general_retention(stores: Retained) {
    keep_messages(&stores, "short", Some(1)).await;
    keep_messages(&stores, "long", Some(30)).await;
    record_pruned(&stores, &["short", "long"], 0..10).await;
    assert_eq!(step(&*stores.one, 10 * DAY, 8, 100).await, Some(2));
    assert_eq!(step(&*stores.one, 10 * DAY, 8, 3).await, Some(3));
    for id in ["short", "long"] {
        let removed = stores.one.remove(&channel_id(id)).await;
        removed.expect("the store is there");
    }
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 8, 3).await, NO_STEPS);
    assert_eq!(run_scans(&*stores.one, 12 * DAY, 8, 100).await, [4]);
    assert_eq!(days_left(&stores, "short").await, days(5..10));
    assert_eq!(days_left(&stores, "long").await, days(4..10));
}
