//! Removing old messages.

use domain::Effect;
use tokio::task::JoinSet;

use super::steps::{
    DAY, Retained, days, days_left, history, keep_messages, prune_all, record_all, record_pruned,
    run_scans,
};
use crate::builders::{key, key_on, report, time, twilio_sid};
use crate::contract::reports::record;

pub async fn old_messages_are_removed_after_their_reports(stores: Retained) {
    record_all(&stores, &history()).await;
    let kept = run_scans(&*stores.one, 11 * DAY, 1, 100).await;
    assert_eq!(kept, [0], "the log has them");
    prune_all(&*stores.one, 2 * DAY).await;
    assert_eq!(run_scans(&*stores.other, 12 * DAY, 1, 100).await, [4]);
    for n in 0..8 {
        let found = stores.one.message(&key(&twilio_sid(n))).await;
        assert_eq!(found.expect("readable").is_some(), n >= 4, "message {n}");
    }
    let anew = report(&twilio_sid(0)).status("sent").at(5 * DAY).build();
    assert_eq!(record(&*stores.one, &[anew]).await, [Effect::Advanced]);
}

pub async fn a_recently_reported_message_is_kept(stores: Retained) {
    let sent = |at| report("SM1").status("sent").at(at).build();
    record_all(&stores, &[sent(0), sent(5 * DAY)]).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_eq!(run_scans(&*stores.one, 4 * DAY, 1, 10).await, [0]);
    assert_eq!(run_scans(&*stores.one, 6 * DAY, 1, 10).await, [0]);
    assert_eq!(run_scans(&*stores.one, 7 * DAY, 1, 10).await, [1]);
}

pub async fn a_message_reported_during_the_scan_is_kept(stores: Retained) {
    let channels = ["short", "plain"];
    keep_messages(&stores, "short", Some(1)).await;
    record_pruned(&stores, &channels, 0..40).await;
    let mut racers = JoinSet::new();
    for racer in 0..6_usize {
        let store = stores.nth(racer);
        racers.spawn(async move {
            // A scan for each, so that none waits for the next day.
            let keep = u16::try_from(racer).expect("small") + 2;
            run_scans(&*store, 60 * DAY, keep, 3).await;
        });
        let store = stores.nth(racer + 1);
        racers.spawn(async move {
            for day in (0..40).filter(|day| day % 6 == racer) {
                let sid = twilio_sid(day.try_into().expect("small"));
                let read = channels.map(|channel| {
                    let report = report(&sid).status("read").channel(channel);
                    report.at(60 * DAY).build()
                });
                record(&*store, &read).await;
            }
        });
    }
    racers.join_all().await;
    for channel in channels {
        assert_eq!(days_left(&stores, channel).await, days(0..40));
        for day in 0..40 {
            let key = key_on(channel, &twilio_sid(day));
            let found = stores.one.message(&key).await.expect("readable");
            let found = found.expect("it is there");
            assert_eq!(found.message.last_reported_at, time(60 * DAY));
            assert_eq!(found.reports.len(), 1);
        }
    }
}

pub async fn the_aliases_of_a_removed_message_are_removed(stores: Retained) {
    keep_messages(&stores, "short", Some(1)).await;
    let mut reports = Vec::new();
    for (sid, alias, at) in [("gs-1", "wamid.1", 0), ("gs-2", "wamid.2", 50 * DAY)] {
        let report = report(sid).alias(alias).at(at);
        reports.push(report.clone().channel("short").build());
        reports.push(report.channel("plain").build());
    }
    record_all(&stores, &reports).await;
    prune_all(&*stores.one, 2 * DAY).await;
    run_scans(&*stores.one, 50 * DAY, 7, 100).await;
    for channel in ["short", "plain"] {
        for (alias, is_joined) in [("wamid.1", false), ("wamid.2", true)] {
            let read = report(alias).channel(channel).maybe_alias();
            record(&*stores.one, &[read.status("read").at(50 * DAY).build()]).await;
            let found = stores.one.message(&key_on(channel, alias)).await;
            assert_eq!(
                found.expect("readable").is_none(),
                is_joined,
                "{channel} {alias}"
            );
        }
    }
}
