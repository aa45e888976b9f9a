//! Messages that are too old.

use domain::Effect;

use super::steps::{DAY, Retained, history, prune_all, prune_messages, record_all};
use crate::builders::{key, report, twilio_sid};
use crate::contract::reports::record;

pub async fn old_messages_go_when_their_reports_are_gone(stores: Retained) {
    record_all(&stores, &history()).await;
    let pruning = prune_messages(&*stores.one, 10 * DAY, 100).await;
    assert_eq!((pruning.rows, pruning.done), (0, true), "the log has them");
    prune_all(&*stores.one, 2 * DAY).await;
    let pruning = prune_messages(&*stores.other, 10 * DAY, 100).await;
    assert_eq!((pruning.rows, pruning.done), (4, true));
    for n in 0..8 {
        let found = stores.one.message(&key(&twilio_sid(n))).await;
        assert_eq!(found.expect("readable").is_some(), n >= 4, "message {n}");
    }
    let anew = report(&twilio_sid(0)).status("sent").at(5 * DAY).build();
    assert_eq!(record(&*stores.one, &[anew]).await, [Effect::Advanced]);
}

pub async fn a_message_that_was_heard_of_lately_stays(stores: Retained) {
    let sent = |at| report("SM1").status("sent").at(at).build();
    record_all(&stores, &[sent(0), sent(5 * DAY)]).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_eq!(prune_messages(&*stores.one, 3 * DAY, 10).await.rows, 0);
    assert_eq!(prune_messages(&*stores.one, 6 * DAY, 10).await.rows, 1);
}

pub async fn no_step_removes_more_messages_than_its_budget(stores: Retained) {
    record_all(&stores, &history()).await;
    prune_all(&*stores.one, 10 * DAY).await;
    for (rows, done) in [(3, false), (3, false), (2, true), (0, true)] {
        let pruning = prune_messages(&*stores.one, 10 * DAY, 3).await;
        assert_eq!((pruning.rows, pruning.done), (rows, done));
    }
}
