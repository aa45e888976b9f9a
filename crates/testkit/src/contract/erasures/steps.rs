//! Steps shared by several tests.

use std::num::NonZeroU32;

use domain::erasure::{ErasureReason, RequestedVia};
use domain::{Erasure, ErasureId, LogEntry, Message, Recipient, Report};
use ports::maintenance::ErasureOrder;
use uuid::Uuid;

use super::ErasingStore;
use crate::builders::{key, report, server_secret, time};
use crate::contract::Stores;
use crate::contract::log::Reader;

pub(super) type Erasing = Stores<dyn ErasingStore>;

pub(super) const NUMBER: &str = "+15550107777";

pub(super) fn recipient() -> Recipient {
    Recipient::parse(NUMBER).expect("a number")
}

pub(super) fn id(number: u128) -> ErasureId {
    ErasureId(Uuid::from_u128(number))
}

pub(super) async fn begin(store: &dyn ErasingStore, number: u128) {
    let order = ErasureOrder {
        at: time(100),
        through: RequestedVia::Api,
        reason: ErasureReason::parse("ticket 4711").ok(),
        recipient_hash: server_secret().recipient_hash(&recipient()),
    };
    let begun = store.begin_erasure(id(number), &order, &recipient()).await;
    begun.expect("the store is there");
}

pub(super) async fn step(store: &dyn ErasingStore, number: u128, budget: u32) -> Erasure {
    let budget = NonZeroU32::new(budget).expect("at least one");
    let step = store.continue_erasure(id(number), budget, time(200)).await;
    let step = step.expect("the store is there");
    step.expect("the erasure is there")
}

/// Runs all steps.
pub(super) async fn finish(store: &dyn ErasingStore, number: u128, budget: u32) -> Erasure {
    for _ in 0..1_000 {
        let erasure = step(store, number, budget).await;
        if erasure.finished_at.is_some() {
            return erasure;
        }
    }
    panic!("the erasure does not finish");
}

pub(super) async fn erase(stores: &Erasing, number: u128) -> Erasure {
    begin(&*stores.one, number).await;
    finish(&*stores.other, number, 3).await
}

/// Returns reports of eight messages, of which the first six name the recipient. Later reports of
/// a message spell it differently or do not name it.
pub(super) fn history() -> Vec<Report> {
    let words = "no way to +15550107777";
    let to = |sid: &str, status: &str, recipient: &str| report(sid).status(status).to(recipient);
    vec![
        to("SM0", "sent", "whatsapp:+15550107777").build(),
        to("SM0", "failed", "whatsapp:+15550107777")
            .error_with_text("63016", words)
            .fields([("ChannelToAddress", "+15550107777"), ("Body", "hello")])
            .build(),
        to("SM1", "sent", "+15550107777").at(3).build(),
        to("SM2", "sent", "15550107777").at(1).build(),
        to("SM3", "sent", "rcs:+15550107777").build(),
        to("SM4", "sent", "whatsapp:US.1349802745130002").build(),
        to("SM4", "read", "whatsapp:US.1349802745130002")
            .fields([("a", "1"), ("WaId", "0"), ("WaId", "15550107777")])
            .build(),
        to("SM5", "sent", "whatsapp:US.1349802745130002").build(),
        to("SM5", "odd word", "whatsapp:+15550107777").build(),
        to("SM6", "sent", "whatsapp:+15550100001")
            .fields([("Body", "call +15550107777 please"), ("Id", "x15550107777")])
            .build(),
        to("SM7", "undelivered", "whatsapp:+155501077771")
            .error_with_text("63024", "not on this network")
            .build(),
    ]
}

pub(super) async fn message(store: &dyn ErasingStore, sid: &str) -> (Message, Vec<Report>) {
    let found = store.message(&key(sid)).await.expect("it can be read");
    let found = found.expect("the message is there");
    let reports = found.reports.into_iter().map(|logged| logged.report);
    (found.message, reports.collect())
}

pub(super) async fn entries(stores: &Erasing, count: usize) -> Vec<LogEntry> {
    Reader::read(&*stores.other, count, 4).await.entries
}
