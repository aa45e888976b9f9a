//! Accounts, figures, leases, and the messages to compare.

use std::time::Duration;

use domain::crypto::SealedSecret;
use domain::page::PageSize;
use domain::reconciliation::{
    AccountSid, ApiKeySid, ReconciliationAccount, ReconciliationFigures, ReconciliationProgress,
    ReconciliationStep,
};
use domain::{Message, MessageSid, Report, Timestamp};
use tokio::task::JoinSet;

use super::Reconciled;
use crate::builders::{CHANNEL, channel, channel_id, credential, key_on, report, time, twilio_sid};

const LEASE: Duration = Duration::from_mins(5);

fn account(digit: u8) -> ReconciliationAccount {
    ReconciliationAccount {
        channel: channel_id(CHANNEL),
        account: AccountSid::parse(&format!("AC{digit:032x}")).expect("an account SID"),
        api_key: ApiKeySid::parse(&format!("SK{digit:032x}")).expect("a key SID"),
        secret: SealedSecret(vec![0, digit, 255]),
        changed_at: time(1_795_370_777_000_001),
    }
}

fn progress(at: i64) -> ReconciliationProgress {
    ReconciliationProgress {
        at: time(at),
        step: ReconciliationStep::Run,
        checked: 3,
        recovered: 1,
        checked_through: Some(time(at)),
        listed: None,
        answered: true,
        error: None,
    }
}

async fn with_account(stores: &Reconciled) {
    let (channel, credential) = (channel(CHANNEL).build(), credential(CHANNEL, 1).build());
    let added = stores.one.add(&channel, &credential);
    added.await.expect("the store is there");
    assert!(set(stores, 1).await);
}

async fn set(stores: &Reconciled, digit: u8) -> bool {
    let set = stores.one.set_reconciliation_account(&account(digit)).await;
    set.expect("the store is there")
}

async fn add(stores: &Reconciled, progress: &ReconciliationProgress) -> bool {
    let channel = channel_id(CHANNEL);
    let added = stores.one.add_reconciliation_progress(&channel, progress);
    added.await.expect("the store is there")
}

async fn figures(stores: &Reconciled) -> ReconciliationFigures {
    let found = stores.other.reconciliation(&channel_id(CHANNEL)).await;
    let found = found.expect("the store is there").expect("an account");
    found.figures
}

pub async fn account_is_stored_for_a_channel_and_replaced(stores: Reconciled) {
    assert!(!set(&stores, 1).await, "there is no channel yet");
    with_account(&stores).await;
    assert!(set(&stores, 2).await);
    let all = stores.other.reconciliations().await;
    let all = all.expect("the store is there");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].account, account(2));
    assert_eq!(all[0].figures, ReconciliationFigures::default());
    let channel = channel_id(CHANNEL);
    let found = stores.one.reconciliation(&channel).await;
    assert_eq!(found.expect("the store is there"), Some(all[0].clone()));
    for expected in [true, false] {
        let removed = stores.other.remove_reconciliation_account(&channel).await;
        assert_eq!(removed.expect("the store is there"), expected);
    }
    let found = stores.one.reconciliation(&channel).await;
    assert_eq!(found.expect("the store is there"), None);
}

pub async fn new_account_keeps_the_figures_and_removes_the_error(stores: Reconciled) {
    with_account(&stores).await;
    let failed = ReconciliationProgress {
        error: Some("Twilio refuses the API key".to_owned()),
        ..progress(1_000_000)
    };
    assert!(add(&stores, &failed).await);
    let before = figures(&stores).await;
    assert_eq!(before.last_error, failed.error);
    assert!(set(&stores, 2).await);
    assert_eq!(before.failing_since, Some(time(1_000_000)));
    let expected = ReconciliationFigures {
        last_error: None,
        failing_since: None,
        ..before
    };
    assert_eq!(figures(&stores).await, expected);
}

pub async fn account_goes_with_its_channel(stores: Reconciled) {
    with_account(&stores).await;
    let removed = stores.one.remove(&channel_id(CHANNEL)).await;
    removed.expect("the store is there");
    let all = stores.other.reconciliations().await;
    assert_eq!(all.expect("the store is there"), []);
}

pub async fn progress_is_added_and_checked_through_never_decreases(stores: Reconciled) {
    with_account(&stores).await;
    let unmoved = ReconciliationProgress {
        checked_through: None,
        ..progress(4_000_000)
    };
    assert!(add(&stores, &unmoved).await);
    assert_eq!(figures(&stores).await.checked_through, None);
    for through in [3_000_000, 2_000_000] {
        let moved = ReconciliationProgress {
            checked_through: Some(time(through)),
            ..progress(4_000_000)
        };
        assert!(add(&stores, &moved).await);
    }
    assert!(add(&stores, &unmoved).await);
    let expected = ReconciliationFigures {
        checked: 12,
        recovered: 4,
        last_run_at: Some(time(4_000_000)),
        last_error: None,
        checked_through: Some(time(3_000_000)),
        ..ReconciliationFigures::default()
    };
    assert_eq!(figures(&stores).await, expected);
}

pub async fn checked_through_in_the_future_is_replaced(stores: Reconciled) {
    with_account(&stores).await;
    assert!(add(&stores, &progress(9_000_000)).await);
    let unmoved = ReconciliationProgress {
        checked_through: None,
        ..progress(3_000_000)
    };
    for (progress, through) in [(unmoved, 9_000_000), (progress(3_000_000), 3_000_000)] {
        assert!(add(&stores, &progress).await);
        let found = figures(&stores).await.checked_through;
        assert_eq!(found, Some(time(through)));
    }
}

pub async fn error_stays_until_the_integrator_answers(stores: Reconciled) {
    with_account(&stores).await;
    let error = Some("Twilio refuses the API key".to_owned());
    let failed = ReconciliationProgress {
        answered: false,
        error: error.clone(),
        ..progress(1_000_000)
    };
    let idle = ReconciliationProgress {
        error: None,
        ..failed.clone()
    };
    for (progress, expected) in [
        (failed, error.clone()),
        (idle, error),
        (progress(2_000_000), None),
    ] {
        assert!(add(&stores, &progress).await);
        assert_eq!(figures(&stores).await.last_error, expected);
    }
}

pub async fn runs_fail_from_the_first_error_until_all_succeed(stores: Reconciled) {
    with_account(&stores).await;
    let step = |at, step, error: Option<&str>| ReconciliationProgress {
        step,
        error: error.map(str::to_owned),
        ..progress(at)
    };
    let (run, success) = (ReconciliationStep::Run, ReconciliationStep::Success);
    let error = Some("Twilio refuses the API key");
    for (step, since) in [
        (step(1, run, None), None),
        (step(2, run, error), Some(2)),
        (step(3, run, None), Some(2)),
        (step(4, ReconciliationStep::Alerts, error), Some(2)),
        (step(5, run, error), Some(2)),
        (step(6, success, None), None),
        (step(7, ReconciliationStep::Alerts, error), Some(7)),
        // The clock was set back.
        (step(3, run, error), Some(3)),
        (step(4, success, None), None),
    ] {
        assert!(add(&stores, &step).await);
        let found = figures(&stores).await.failing_since;
        assert_eq!(found, since.map(time), "{step:?}");
    }
}

pub async fn lookup_of_alerts_is_counted_and_postpones_no_run(stores: Reconciled) {
    with_account(&stores).await;
    let alerts = |at| ReconciliationProgress {
        step: ReconciliationStep::Alerts,
        checked_through: None,
        ..progress(at)
    };
    assert!(add(&stores, &alerts(1)).await);
    assert_eq!(figures(&stores).await.last_run_at, None);
    assert!(add(&stores, &progress(2)).await);
    assert!(add(&stores, &alerts(3)).await);
    let figures = figures(&stores).await;
    assert_eq!(figures.last_run_at, Some(time(2)));
    assert_eq!((figures.checked, figures.recovered), (9, 3));
}

pub async fn list_counts_what_was_recovered_since_the_last_one(stores: Reconciled) {
    with_account(&stores).await;
    let list = |at, listed| ReconciliationProgress {
        listed: Some(listed),
        ..progress(at)
    };
    let lists = [(list(1, 10), 1), (list(3, 20), 2), (list(4, 0), 1)];
    for (list, lost) in lists {
        if lost == 2 {
            assert!(add(&stores, &progress(2)).await);
        }
        assert!(add(&stores, &list).await);
        let figures = figures(&stores).await;
        assert_eq!(figures.listed_at, Some(list.at));
        assert_eq!((Some(figures.listed), figures.lost), (list.listed, lost));
    }
    assert!(add(&stores, &progress(5)).await);
    let figures = figures(&stores).await;
    assert_eq!(figures.listed_at, Some(time(4)));
    assert_eq!((figures.listed, figures.lost), (0, 1));
}

pub async fn progress_of_a_channel_without_account_changes_nothing(stores: Reconciled) {
    assert!(!add(&stores, &progress(1_000_000)).await);
    let all = stores.one.reconciliations().await;
    assert_eq!(all.expect("the store is there"), []);
}

pub async fn one_of_many_racing_holders_leases_a_channel(stores: Reconciled) {
    let channel = channel_id(CHANNEL);
    let claimed = stores.one.claim_reconciliation(&channel, "a", LEASE).await;
    assert!(!claimed.expect("the store is there"), "it has no account");
    with_account(&stores).await;
    let mut racers = JoinSet::new();
    for racer in 0..16_usize {
        let (store, channel) = (stores.nth(racer), channel.clone());
        racers.spawn(async move {
            let holder = format!("holder {racer}");
            let claimed = store.claim_reconciliation(&channel, &holder, LEASE).await;
            claimed.expect("the store is there")
        });
    }
    let claimed = racers.join_all().await.into_iter();
    assert_eq!(claimed.filter(|claimed| *claimed).count(), 1);
}

pub async fn expired_lease_can_be_taken_and_a_holder_extends_its_own(stores: Reconciled) {
    with_account(&stores).await;
    let channel = channel_id(CHANNEL);
    let claim = async |holder: &str, lease| {
        let claimed = stores.one.claim_reconciliation(&channel, holder, lease);
        claimed.await.expect("the store is there")
    };
    assert!(claim("a", LEASE).await);
    assert!(!claim("b", LEASE).await);
    assert!(claim("a", Duration::ZERO).await);
    assert!(claim("b", LEASE).await);
    assert!(!claim("a", LEASE).await);
}

fn at(micros: i64) -> Timestamp {
    time(1_795_370_000_000_000 + micros)
}

fn sent(number: u64, micros: i64) -> Report {
    let report = report(&twilio_sid(number)).status("sent");
    report.at(at(micros).unix_micros()).build()
}

async fn record(stores: &Reconciled, reports: &[Report]) {
    let recorded = stores.one.record(reports).await;
    recorded.expect("the store is there");
}

/// Returns all unfinished messages in `from..until`, read in pages of `size`.
async fn unfinished(stores: &Reconciled, from: i64, until: i64, size: u16) -> Vec<Message> {
    let (channel, period) = (channel_id(CHANNEL), at(from)..at(until));
    let size = PageSize::new(size).expect("a page size");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = stores
            .other
            .unfinished_messages(&channel, &period, after.as_ref(), size)
            .await
            .expect("the store is there");
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn sids(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .map(|each| each.key.sid.to_string())
        .collect()
}

pub async fn unfinished_messages_are_listed_from_the_earliest_page_by_page(stores: Reconciled) {
    let mut reports: Vec<_> = (1..=5_i64)
        .map(|number| sent(number.unsigned_abs(), 10 - number))
        .collect();
    let later = |number: u64, status| {
        let report = report(&twilio_sid(number)).status(status);
        report.at(at(20).unix_micros()).build()
    };
    // Final statuses, and one that is not known.
    reports.extend([later(2, "read"), later(3, "failed"), later(4, "canceled")]);
    reports.push(later(5, "word of tomorrow"));
    let mut elsewhere = sent(6, 6);
    elsewhere.key = key_on("elsewhere", &twilio_sid(6));
    reports.push(elsewhere);
    let mut unknown = later(7, "word of tomorrow");
    unknown.arrived_at = at(7);
    reports.push(unknown);
    record(&stores, &reports).await;
    for size in [1, 2, 500] {
        let found = unfinished(&stores, 0, 100, size).await;
        assert_eq!(sids(&found), [5, 7, 1].map(twilio_sid), "pages of {size}");
    }
    // The end is not part of the period.
    assert_eq!(
        sids(&unfinished(&stores, 5, 9, 1).await),
        [5, 7].map(twilio_sid)
    );
    assert_eq!(
        sids(&unfinished(&stores, 6, 10, 1).await),
        [7, 1].map(twilio_sid)
    );
}

pub async fn unfinished_messages_of_the_same_time_are_listed_once(stores: Reconciled) {
    let reports: Vec<_> = (0..7).map(|number| sent(number, 5)).collect();
    record(&stores, &reports).await;
    for size in [1, 3, 7] {
        let found = unfinished(&stores, 0, 100, size).await;
        let expected: Vec<_> = (0..7).map(twilio_sid).collect();
        assert_eq!(sids(&found), expected, "pages of {size}");
    }
}

pub async fn known_messages_of_a_channel_are_found(stores: Reconciled) {
    let mut elsewhere = sent(3, 6);
    elsewhere.key = key_on("elsewhere", &twilio_sid(3));
    record(&stores, &[sent(1, 5), sent(2, 6), elsewhere]).await;
    let parse = |number| MessageSid::parse(&twilio_sid(number)).expect("a sid");
    let asked: Vec<_> = (2..=4).chain([1]).map(parse).collect();
    let channel = channel_id(CHANNEL);
    let found = stores.other.known_messages(&channel, &asked).await;
    let found = found.expect("the store is there");
    let of = |number: u64, micros| Message::begin(&sent(number, micros)).0;
    assert_eq!(found.len(), 2);
    for expected in [of(1, 5), of(2, 6)] {
        assert!(found.contains(&expected), "{expected:?}");
    }
    let none = stores.one.known_messages(&channel, &[]).await;
    assert_eq!(none.expect("the store is there"), []);
}
