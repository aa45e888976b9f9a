//! Scans over the messages: when they start, and how much a step examines.

use tokio::task::JoinSet;

use super::steps::{
    DAY, NO_STEPS, Retained, days, days_left, keep_messages, prune_all, record_all, record_days,
    record_new, record_pruned, run_scans, step,
};
use crate::builders::{key, report};

pub async fn no_step_examines_more_messages_than_its_budget(stores: Retained) {
    keep_messages(&stores, "long", Some(30)).await;
    keep_messages(&stores, "short", Some(3)).await;
    record_days(&stores, &["long"], 0..5).await;
    record_days(&stores, &["plain"], 5..10).await;
    record_pruned(&stores, &["short"], 10..20).await;
    // The scan over all messages removes none: those of `short` are too recent.
    let all = run_scans(&*stores.one, 18 * DAY, 8, 2).await;
    assert_eq!(all[..6], [0, 0, 1, 2, 2, 0]);
    // The scan of the channel removes five, which are three days old.
    assert_eq!(all[6..], [2, 2, 1, 0, 0, 0]);
    assert_eq!(days_left(&stores, "long").await, days(0..5));
    assert_eq!(days_left(&stores, "plain").await, days(0..0));
    assert_eq!(days_left(&stores, "short").await, days(15..20));
}

pub async fn kept_messages_are_not_examined_again_within_a_day(stores: Retained) {
    keep_messages(&stores, "short", Some(30)).await;
    keep_messages(&stores, "long", Some(60)).await;
    record_pruned(&stores, &["long"], 0..4).await;
    record_days(&stores, &["short"], 10..15).await;
    // Four with the long retention, then five with the short one.
    let scans = [0; 4];
    assert_eq!(run_scans(&*stores.one, 40 * DAY, 35, 3).await, scans);
    assert_eq!(run_scans(&*stores.one, 40 * DAY, 35, 3).await, NO_STEPS);
    assert_eq!(
        run_scans(&*stores.other, 41 * DAY - 1, 35, 3).await,
        NO_STEPS
    );
    assert_eq!(run_scans(&*stores.other, 41 * DAY, 35, 3).await, scans);
    assert_eq!(run_scans(&*stores.one, 42 * DAY - 1, 35, 3).await, NO_STEPS);
}

pub async fn a_scan_that_takes_longer_than_a_day_completes(stores: Retained) {
    keep_messages(&stores, "long", Some(90)).await;
    record_days(&stores, &["long"], 0..6).await;
    record_pruned(&stores, &["plain"], 6..9).await;
    for (day, gone) in [(40, 0), (42, 0), (44, 3)] {
        assert_eq!(step(&*stores.one, day * DAY, 8, 3).await, Some(gone));
    }
    assert_eq!(days_left(&stores, "plain").await, days(0..0));
}

pub async fn a_message_moved_before_the_cursor_is_removed_by_the_next_scan(stores: Retained) {
    let reported = |word: &str, at| report("SM1").status(word).at(at).build();
    record_all(
        &stores,
        &[reported("sent", 5 * DAY), reported("read", 9 * DAY)],
    )
    .await;
    prune_all(&*stores.one, 10 * DAY).await;
    assert_eq!(run_scans(&*stores.one, 9 * DAY, 1, 1).await, [0, 0]);
    record_new(&stores, &[reported("queued", 2 * DAY)]).await;
    prune_all(&*stores.one, 10 * DAY).await;
    assert_eq!(run_scans(&*stores.one, 11 * DAY, 1, 1).await, [1, 0]);
    let found = stores.one.message(&key("SM1")).await;
    assert_eq!(found.expect("readable"), None);
}

pub async fn setting_the_clock_back_does_not_stop_the_scan(stores: Retained) {
    keep_messages(&stores, "short", Some(3)).await;
    record_days(&stores, &["plain", "short"], 0..10).await;
    // They are kept because the log still has their reports.
    assert_eq!(run_scans(&*stores.one, 5_000 * DAY, 5, 100).await, [0, 0]);
    prune_all(&*stores.one, 10 * DAY).await;
    assert_eq!(run_scans(&*stores.one, 10 * DAY, 5, 100).await, [10, 2]);
    assert_eq!(days_left(&stores, "plain").await, days(5..10));
    assert_eq!(days_left(&stores, "short").await, days(7..10));
}

pub async fn racing_scan_steps_remove_every_message_once(stores: Retained) {
    keep_messages(&stores, "short", Some(3)).await;
    keep_messages(&stores, "shorter", Some(2)).await;
    keep_messages(&stores, "long", Some(30)).await;
    let channels = ["short", "shorter", "long", "plain"];
    record_pruned(&stores, &channels, 0..20).await;
    let mut racers = JoinSet::new();
    for racer in 0..8_usize {
        let store = stores.nth(racer);
        racers.spawn(async move { run_scans(&*store, 20 * DAY, 5, 3).await });
    }
    let steps: Vec<_> = racers.join_all().await.concat();
    assert_eq!(steps.iter().sum::<u64>(), 17 + 18 + 15);
    // 60 by the scan over all messages, then the remaining ones of each channel, at most twenty.
    assert!(steps.len() <= 21 + 7 + 7, "{} steps", steps.len());
    assert_eq!(days_left(&stores, "short").await, days(17..20));
    assert_eq!(days_left(&stores, "shorter").await, days(18..20));
    assert_eq!(days_left(&stores, "long").await, days(0..20));
    assert_eq!(days_left(&stores, "plain").await, days(15..20));
}
