//! Readers that follow concurrent writers.

use std::sync::Arc;

use domain::event::events_of;
use domain::{Effect, EventType};
use tokio::task::JoinSet;

use super::{LoggingStore, Reader};
use crate::builders::{key, report, twilio_sid};
use crate::contract::Stores;
use crate::contract::reports::record;

type Logs = Stores<dyn LoggingStore>;

const WRITERS: usize = 16;
const WORDS: [&str; 8] = [
    "queued",
    "sent",
    "delivered",
    "read",
    "failed",
    "undelivered",
    "teleported",
    "accepted",
];

pub async fn a_reader_following_many_writers_misses_nothing(stores: Logs) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = stores.nth(writer);
        writers.spawn(async move {
            let mut logged = 0;
            for round in 0..12 {
                let batch: Vec<_> = (0..15)
                    .map(|n| {
                        let sid = (n * (writer + 1) + round * 5) % 37;
                        let word = WORDS[(writer + round + n) % WORDS.len()];
                        let sid = twilio_sid(u64::try_from(sid).expect("small"));
                        report(&sid).status(word).build()
                    })
                    .collect();
                let effects = record(&*store, &batch).await;
                let new = effects.iter().filter(|it| **it != Effect::Duplicate);
                logged += new.count();
            }
            logged
        });
    }
    let mut reader = Reader::default();
    let mut count = 0;
    while !writers.is_empty() {
        reader.step(&*stores.other, 10).await;
        while let Some(writer) = writers.try_join_next() {
            count += writer.expect("a writer ends well");
        }
    }
    reader.until(&*stores.other, count, 10).await;
    assert_eq!(count, 37 * WORDS.len(), "every word of every message");
    let again = Reader::read(&*stores.one, count, 1_000).await;
    assert_eq!(reader.entries, again.entries, "all readers see one order");
}

pub async fn a_following_reader_sees_every_change_of_a_message_in_order(stores: Logs) {
    let mut writers = JoinSet::new();
    for (number, word) in WORDS.into_iter().cycle().take(2 * WORDS.len()).enumerate() {
        let store = stores.nth(number);
        writers.spawn(async move { record(&*store, &[report("SM1").status(word).build()]).await });
    }
    let log: Arc<dyn LoggingStore> = stores.nth(1);
    let mut reader = Reader::default();
    while !writers.is_empty() {
        reader.step(&*log, 3).await;
        while writers.try_join_next().is_some() {}
    }
    reader.until(&*log, WORDS.len(), 3).await;

    let events: Vec<_> = reader.entries.iter().flat_map(events_of).collect();
    let moved = events
        .iter()
        .filter(|event| event.event_type != EventType::Contradicted);
    let mut status = None;
    for event in moved {
        assert_eq!(event.previous, status);
        status = Some(event.status);
    }
    let message = stores.one.message(&key("SM1")).await;
    let message = message.expect("it can be read").expect("it is there");
    assert_eq!(message.message.state.status(), status);
    let contradictions = events
        .iter()
        .filter(|event| event.event_type == EventType::Contradicted);
    assert_eq!(contradictions.count(), 1);
}
