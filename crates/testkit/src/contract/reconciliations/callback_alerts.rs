//! Alerts of the integrator that it could not deliver a report.

use std::num::{NonZeroU16, NonZeroU32};
use std::slice::from_ref;

use domain::crypto::SealedSecret;
use domain::erasure::RequestedVia;
use domain::reconciliation::{
    AccountSid, ApiKeySid, CALLBACK_ALERTS_KEPT, CallbackAlert, CallbackAlertCount,
    ReconciliationAccount,
};
use domain::{ErasureId, ErrorCode, MessageSid};
use ports::maintenance::ErasureOrder;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Reconciled;
use crate::builders::{
    CHANNEL, channel, channel_id, credential, recipient, report, server_secret, time, twilio_sid,
};

const OTHER_CHANNEL: &str = "other";

fn alert(number: u64, code: &str, at: i64) -> CallbackAlert {
    CallbackAlert {
        channel: channel_id(CHANNEL),
        sid: MessageSid::parse(&twilio_sid(number)).expect("a sid"),
        code: ErrorCode::parse(code).expect("a code"),
        alerted_at: time(at),
    }
}

fn on(channel: &str, alert: CallbackAlert) -> CallbackAlert {
    CallbackAlert {
        channel: channel_id(channel),
        ..alert
    }
}

async fn add_channel(stores: &Reconciled, id: &str) {
    // The ids of credentials differ too.
    let number = if id == CHANNEL { 1 } else { 2 };
    let (channel, credential) = (channel(id).build(), credential(id, number).build());
    let added = stores.one.add(&channel, &credential).await;
    added.expect("the store is there");
}

async fn add(stores: &Reconciled, alerts: &[CallbackAlert]) {
    let added = stores.one.add_callback_alerts(alerts).await;
    added.expect("the store is there");
}

async fn mark(stores: &Reconciled, alerts: &[CallbackAlert]) {
    let marked = stores.other.mark_alerts_looked_up(alerts).await;
    marked.expect("the store is there");
}

async fn due(stores: &Reconciled, limit: u16) -> Vec<CallbackAlert> {
    let limit = NonZeroU16::new(limit).expect("at least one");
    let channel = channel_id(CHANNEL);
    let due = stores.other.due_callback_alerts(&channel, limit);
    due.await.expect("the store is there")
}

async fn counts(stores: &Reconciled, since: i64) -> Vec<CallbackAlertCount> {
    counts_on(stores, CHANNEL, since).await
}

async fn counts_on(stores: &Reconciled, id: &str, since: i64) -> Vec<CallbackAlertCount> {
    let channel = channel_id(id);
    let counts = stores.other.callback_alert_counts(&channel, time(since));
    counts.await.expect("the store is there")
}

async fn prune(stores: &Reconciled, before: i64, limit: u16) -> u64 {
    let limit = NonZeroU16::new(limit).expect("at least one");
    let pruned = stores.one.prune_callback_alerts(time(before), limit).await;
    pruned.expect("the store is there")
}

pub async fn alerts_are_due_from_the_oldest_until_they_are_marked(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let [third, first, second] = [(1, 30), (2, 10), (3, 10)].map(|(n, at)| alert(n, "11200", at));
    add(&stores, &[third.clone(), second.clone(), first.clone()]).await;
    let all = [first.clone(), second.clone(), third.clone()];
    assert_eq!(due(&stores, 500).await, all);
    assert_eq!(due(&stores, 2).await, all[..2]);
    mark(&stores, &[second, alert(9, "11200", 1)]).await;
    assert_eq!(due(&stores, 500).await, [first.clone(), third.clone()]);
    mark(&stores, &[first, third]).await;
    assert_eq!(due(&stores, 500).await, []);
    mark(&stores, &[]).await;
    add(&stores, &[]).await;
}

pub async fn latest_alert_of_a_message_stays(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let latest = alert(1, "11205", 20);
    add(&stores, &[alert(1, "11200", 10), latest.clone()]).await;
    assert_eq!(due(&stores, 500).await, from_ref(&latest));
    add(&stores, &[alert(1, "11210", 15)]).await;
    assert_eq!(due(&stores, 500).await, [latest]);
    let later = alert(1, "11215", 21);
    add(&stores, from_ref(&later)).await;
    assert_eq!(due(&stores, 500).await, [later]);
}

pub async fn repeated_alert_makes_its_message_due_again(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let known = alert(1, "11200", 10);
    add(&stores, from_ref(&known)).await;
    for at in [10, 5, 11] {
        mark(&stores, from_ref(&known)).await;
        assert_eq!(due(&stores, 500).await, []);
        add(&stores, &[alert(1, "11200", at)]).await;
        assert_eq!(due(&stores, 500).await, [alert(1, "11200", at.max(10))]);
    }
}

pub async fn alert_that_arrived_during_a_lookup_stays_due(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    add(&stores, &[alert(1, "11200", 10), alert(2, "11200", 10)]).await;
    let looked_up = due(&stores, 500).await;
    let meanwhile = alert(2, "11200", 11);
    add(&stores, from_ref(&meanwhile)).await;
    mark(&stores, &looked_up).await;
    assert_eq!(due(&stores, 500).await, [meanwhile]);
}

pub async fn alerts_of_unknown_channels_are_ignored(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let known = alert(1, "11200", 10);
    let unknown = on("unknown", alert(2, "11200", 10));
    add(&stores, &[unknown.clone(), known.clone()]).await;
    assert_eq!(due(&stores, 500).await, [known]);
    add(&stores, &[unknown]).await;
    // Adding the channel later does not bring them back.
    add_channel(&stores, "unknown").await;
    assert_eq!(counts_on(&stores, "unknown", 0).await, []);
}

pub async fn channels_with_an_account_and_due_alerts_are_found(stores: Reconciled) {
    let found = async || {
        let channels = stores.other.channels_with_due_alerts().await;
        channels.expect("the store is there")
    };
    let ids = [CHANNEL, OTHER_CHANNEL];
    let mut alerts = Vec::new();
    for id in ids {
        add_channel(&stores, id).await;
        alerts.push(on(id, alert(1, "11200", 10)));
    }
    add(&stores, &alerts).await;
    assert_eq!(found().await, [], "they have no account");
    for id in ids {
        let account = ReconciliationAccount {
            channel: channel_id(id),
            account: AccountSid::parse(&format!("AC{:032x}", 1)).expect("an account SID"),
            api_key: ApiKeySid::parse(&format!("SK{:032x}", 1)).expect("a key SID"),
            secret: SealedSecret(vec![1]),
            changed_at: time(1),
        };
        let set = stores.one.set_reconciliation_account(&account).await;
        assert!(set.expect("the store is there"));
    }
    assert_eq!(found().await, ids.map(channel_id));
    mark(&stores, &alerts[..1]).await;
    assert_eq!(found().await, [channel_id(OTHER_CHANNEL)]);
    mark(&stores, &alerts).await;
    assert_eq!(found().await, []);
}

pub async fn alerts_go_with_their_channel(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    add(&stores, &[alert(1, "11200", 10)]).await;
    let removed = stores.other.remove(&channel_id(CHANNEL)).await;
    removed.expect("the store is there");
    assert_eq!(counts(&stores, 0).await, []);
    add_channel(&stores, CHANNEL).await;
    assert_eq!(counts(&stores, 0).await, []);
}

pub async fn alerts_are_counted_by_code_since_a_time(stores: Reconciled) {
    for id in [CHANNEL, OTHER_CHANNEL] {
        add_channel(&stores, id).await;
    }
    let looked_up = alert(3, "11205", 12);
    let alerts = [
        alert(1, "11200", 9),
        alert(2, "11205", 10),
        looked_up.clone(),
        alert(4, "11200", 11),
        alert(5, "11200", 14),
        alert(6, "11200", 14),
        alert(7, "11215", 30),
        alert(8, "11210", 30),
        on(OTHER_CHANNEL, alert(9, "11200", 40)),
    ];
    add(&stores, &alerts).await;
    mark(&stores, &[looked_up]).await;
    let count = |code, messages, first, newest, at| CallbackAlertCount {
        code: ErrorCode::parse(code).expect("a code"),
        messages,
        first_at: time(first),
        newest: MessageSid::parse(&twilio_sid(newest)).expect("a sid"),
        newest_at: time(at),
    };
    let expected = [
        count("11200", 3, 11, 6, 14),
        count("11205", 2, 10, 3, 12),
        count("11210", 1, 30, 8, 30),
        count("11215", 1, 30, 7, 30),
    ];
    assert_eq!(counts(&stores, 10).await, expected);
    assert_eq!(counts(&stores, 30).await, expected[2..]);
    assert_eq!(counts(&stores, 31).await, []);
}

pub async fn only_the_newest_alerts_of_a_channel_are_kept(stores: Reconciled) {
    for id in [CHANNEL, OTHER_CHANNEL] {
        add_channel(&stores, id).await;
    }
    let elsewhere = on(OTHER_CHANNEL, alert(1, "11200", 1));
    add(&stores, &[elsewhere]).await;
    let kept = u64::from(CALLBACK_ALERTS_KEPT);
    // The oldest have the same time.
    let many: Vec<_> = (0..kept + 3)
        .map(|number| alert(number, "11200", if number < 5 { 1 } else { 2 }))
        .collect();
    add(&stores, &many).await;
    assert_eq!(due(&stores, 1).await, [alert(3, "11200", 1)]);
    assert_eq!(counts(&stores, 0).await[0].messages, kept);
    // Marked ones count too, and another alert of a message takes no further place.
    mark(&stores, &many).await;
    add(
        &stores,
        &[alert(4, "11205", 3), alert(kept + 9, "11205", 3)],
    )
    .await;
    let counted = counts(&stores, 0).await;
    let counted: Vec<_> = counted
        .iter()
        .map(|it| (it.messages, it.first_at))
        .collect();
    assert_eq!(counted, [(kept - 2, time(2)), (2, time(3))]);
    assert_eq!(counts_on(&stores, OTHER_CHANNEL, 0).await.len(), 1);
}

pub async fn old_alerts_are_pruned_in_bounded_steps(stores: Reconciled) {
    for id in [CHANNEL, OTHER_CHANNEL] {
        add_channel(&stores, id).await;
    }
    let mut alerts: Vec<_> = (0..6_u64)
        .map(|n| alert(n, "11200", 5 + n.cast_signed()))
        .collect();
    alerts.push(on(OTHER_CHANNEL, alert(7, "11200", 1)));
    add(&stores, &alerts).await;
    mark(&stores, &alerts[..1]).await;
    assert_eq!(prune(&stores, 8, 3).await, 3);
    assert_eq!(prune(&stores, 8, 3).await, 1);
    assert_eq!(prune(&stores, 8, 3).await, 0);
    assert_eq!(due(&stores, 500).await, alerts[3..6]);
    assert_eq!(counts_on(&stores, OTHER_CHANNEL, 0).await, []);
}

pub async fn racing_alerts_and_marks_lose_nothing(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let old: Vec<_> = (0..20).map(|number| alert(number, "11200", 1)).collect();
    add(&stores, &old).await;
    let mut racers = JoinSet::new();
    for racer in 0..12_usize {
        let store = stores.nth(racer);
        let old = old.clone();
        racers.spawn(async move {
            let at = i64::try_from(racer).expect("few racers") + 2;
            let mut new: Vec<_> = (0..20).map(|number| alert(number, "11205", at)).collect();
            if racer % 3 == 0 {
                new.reverse();
            }
            match racer % 4 {
                0 => store.mark_alerts_looked_up(&old).await,
                1 => {
                    let limit = NonZeroU16::new(5).expect("at least one");
                    store.prune_callback_alerts(time(1), limit).await.map(drop)
                }
                _ => store.add_callback_alerts(&new).await,
            }
        });
    }
    for raced in racers.join_all().await {
        raced.expect("the store is there");
    }
    // The latest of them is at 13; no mark of an older one holds.
    let expected: Vec<_> = (0..20).map(|number| alert(number, "11205", 13)).collect();
    assert_eq!(due(&stores, 500).await, expected);
}

pub async fn hostile_ids_codes_and_times_are_kept_as_they_are(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let texts = [
        "SM0000000000000000000000000000000G".to_owned(),
        twilio_sid(255).to_uppercase(),
        "'; drop table callback_alerts; --".replace(' ', "_"),
        "\"],[\"".to_owned(),
        "%_\\".to_owned(),
        "\u{7e}".repeat(200),
    ];
    let codes = ["0", "11200 ".trim(), "'", "\"]", "\\u0000", &"9".repeat(32)];
    let times = [
        i64::MIN / 150,
        -1,
        0,
        1,
        1_795_370_777_000_001,
        253_402_300_799_999_999,
    ];
    let alerts = texts.iter().zip(codes).zip(times);
    let alerts: Vec<_> = alerts
        .map(|((sid, code), at)| CallbackAlert {
            sid: MessageSid::parse(sid).expect("a sid"),
            ..alert(0, code, at)
        })
        .collect();
    add(&stores, &alerts).await;
    assert_eq!(due(&stores, 500).await, alerts);
    mark(&stores, &alerts[1..]).await;
    assert_eq!(due(&stores, 500).await, alerts[..1]);
    let counted = counts(&stores, -1).await;
    let newest: Vec<_> = counted.iter().map(|it| it.newest.clone()).collect();
    let expected = alerts[1..].iter().rev().map(|it| it.sid.clone());
    assert_eq!(newest, expected.collect::<Vec<_>>());
}

pub async fn alerts_survive_the_erasure_of_a_recipient(stores: Reconciled) {
    add_channel(&stores, CHANNEL).await;
    let number = "whatsapp:+15550100001";
    let sent = report(&twilio_sid(1)).status("sent").to(number).build();
    let recorded = stores.one.record(&[sent]).await;
    recorded.expect("the store is there");
    let known = alert(1, "11200", 10);
    add(&stores, from_ref(&known)).await;
    let id = ErasureId(Uuid::from_u128(1));
    let order = ErasureOrder {
        at: time(100),
        through: RequestedVia::Api,
        reason: None,
        recipient_hash: server_secret().recipient_hash(&recipient(number)),
    };
    let begun = stores
        .one
        .begin_erasure(id, &order, &recipient(number))
        .await;
    begun.expect("the store is there");
    let budget = NonZeroU32::new(100).expect("at least one");
    loop {
        let step = stores.other.continue_erasure(id, budget, time(200)).await;
        let step = step.expect("the store is there").expect("an erasure");
        if step.finished_at.is_some() {
            break;
        }
    }
    assert_eq!(due(&stores, 500).await, from_ref(&known));
    add(&stores, from_ref(&known)).await;
    assert_eq!(due(&stores, 500).await, [known]);
}
