//! Messages that are known by two ids.

use std::num::NonZeroU16;

use domain::{Effect, MessageSid};
use ports::ReportStore;
use tokio::task::JoinSet;

use super::model::record;
use crate::builders::{channel_id, key, key_on, report};
use crate::contract::Stores;

type Reports = Stores<dyn ReportStore>;

const CHANNEL: &str = crate::builders::CHANNEL;

async fn separate(store: &dyn ReportStore, channel: &str) -> u64 {
    separate_within(store, channel, 100).await
}

/// Examines so many aliases.
async fn separate_within(store: &dyn ReportStore, channel: &str, aliases: u16) -> u64 {
    let aliases = NonZeroU16::new(aliases).expect("not zero");
    let count = store.separate_messages(&channel_id(channel), aliases).await;
    count.expect("it can be counted")
}

/// Returns how many reports a message has, and whose alias it is; `None` if it does not exist.
async fn found(store: &dyn ReportStore, sid: &str) -> Option<(usize, Option<String>)> {
    let found = store.message(&key(sid)).await.expect("it can be read")?;
    let alias_of = found.alias_of.as_ref().map(MessageSid::to_string);
    Some((found.reports.len(), alias_of))
}

pub async fn a_report_on_a_known_alias_is_joined_to_its_message(stores: Reports) {
    let queued = report("gs-1").alias("wamid.1").status("queued").build();
    let effects = record(&*stores.one, std::slice::from_ref(&queued)).await;
    assert_eq!(effects, [Effect::Advanced]);
    let read = report("wamid.1").maybe_alias().status("read").build();
    // Through another store, in a batch with reports that have one id.
    let other = report("SM1").status("sent").build();
    let batch = [read.clone(), other, read, queued];
    let effects = record(&*stores.other, &batch).await;
    let (advanced, duplicate) = (Effect::Advanced, Effect::Duplicate);
    assert_eq!(effects, [advanced, advanced, duplicate, duplicate]);
    assert_eq!(found(&*stores.one, "gs-1").await, Some((2, None)));
    assert_eq!(found(&*stores.one, "wamid.1").await, None);

    // Within one batch the order does not matter.
    let sent = report("wamid.2").maybe_alias().status("sent").build();
    let queued = report("gs-2").alias("wamid.2").status("queued").build();
    record(&*stores.one, &[sent, queued]).await;
    assert_eq!(found(&*stores.other, "gs-2").await, Some((2, None)));
    assert_eq!(separate(&*stores.one, CHANNEL).await, 0);
}

pub async fn two_messages_of_an_alias_are_never_merged(stores: Reports) {
    let sent = report("wamid.1").maybe_alias().status("sent").build();
    record(&*stores.one, &[sent]).await;
    assert_eq!(found(&*stores.one, "wamid.1").await, Some((1, None)));
    let delivered = report("gs-1").alias("wamid.1").status("delivered").build();
    record(&*stores.one, &[delivered]).await;
    let read = report("wamid.1").maybe_alias().status("read").build();
    record(&*stores.other, &[read]).await;
    assert_eq!(found(&*stores.one, "gs-1").await, Some((2, None)));
    let second = found(&*stores.one, "wamid.1").await;
    assert_eq!(second, Some((1, Some("gs-1".to_owned()))));
    assert_eq!(separate(&*stores.one, CHANNEL).await, 1);
    assert_eq!(separate(&*stores.one, "other").await, 0);
    for number in 2..5 {
        let (own, alias) = (format!("gs-{number}"), format!("wamid.{number}"));
        let sent = report(&alias).maybe_alias().status("sent").build();
        record(&*stores.one, &[sent]).await;
        let delivered = report(&own).alias(&alias).status("delivered").build();
        record(&*stores.one, &[delivered]).await;
    }
    assert_eq!(separate(&*stores.one, CHANNEL).await, 4);
    assert_eq!(separate_within(&*stores.one, CHANNEL, 3).await, 3);
}

pub async fn an_alias_keeps_its_first_message_on_its_channel(stores: Reports) {
    for sid in ["gs-1", "gs-2"] {
        let delivered = report(sid).alias("wamid.1").build();
        record(&*stores.one, &[delivered]).await;
    }
    let read = report("wamid.1").maybe_alias().status("read");
    record(&*stores.one, &[read.clone().build()]).await;
    record(&*stores.one, &[read.channel("other").build()]).await;
    assert_eq!(found(&*stores.one, "gs-1").await, Some((2, None)));
    assert_eq!(found(&*stores.one, "gs-2").await, Some((1, None)));
    let elsewhere = stores.one.message(&key_on("other", "wamid.1")).await;
    let elsewhere = elsewhere.expect("it can be read").expect("it is there");
    assert_eq!((elsewhere.reports.len(), elsewhere.alias_of), (1, None));
}

pub async fn two_ids_at_once_lose_no_report(stores: Reports) {
    let mut racers = JoinSet::new();
    for racer in 0..24_usize {
        let store = stores.nth(racer);
        racers.spawn(async move {
            for number in 0..12 {
                let number = (number * 7 + racer) % 12;
                let (own, alias) = (format!("gs-{number}"), format!("wamid.{number}"));
                let batch = match racer % 3 {
                    0 => vec![report(&own).alias(&alias).status("sent").build()],
                    1 => vec![report(&alias).maybe_alias().status("read").build()],
                    _ => vec![
                        report(&alias).maybe_alias().status("delivered").build(),
                        report(&own).alias(&alias).status("queued").build(),
                    ],
                };
                record(&*store, &batch).await;
            }
        });
    }
    racers.join_all().await;
    let mut marked = 0;
    for number in 0..12 {
        let (own, alias) = (format!("gs-{number}"), format!("wamid.{number}"));
        let first = found(&*stores.one, &own).await.expect("it is there");
        assert_eq!(first.1, None);
        match found(&*stores.one, &alias).await {
            None => assert_eq!(first.0, 4),
            Some((reports, alias_of)) => {
                assert_eq!(alias_of, Some(own));
                assert!(reports <= 2 && first.0 >= 2 && reports + first.0 >= 4);
                marked += 1;
            }
        }
    }
    assert_eq!(separate(&*stores.one, CHANNEL).await, marked);
}
