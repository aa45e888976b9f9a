//! Channels are reconciled when they are due, each by one process.

use std::sync::Arc;
use std::time::Duration;

use ports::channels::Change;
use ports::{ChannelStore as _, ReconciliationStore as _};
use testkit::builders::{CHANNEL, channel};
use testkit::fake_twilio::Failure;
use usecases::reconciliation::{ReconcileChannels, ReconcileScope};

use super::{Setup, id};

const INTERVAL: Duration = Duration::from_mins(5);

impl Setup {
    fn channels(&self, holder: &str) -> Arc<ReconcileChannels> {
        Arc::new(ReconcileChannels::new(
            self.reconcile(),
            Arc::new(self.store.clone()),
            self.clock.clone(),
            holder.to_owned(),
            INTERVAL,
        ))
    }

    /// Returns what one process compared now.
    pub(super) async fn scopes(&self, holder: &str) -> Vec<ReconcileScope> {
        let runs = self.channels(holder).run().await;
        let runs = runs.expect("the store is there").into_iter();
        runs.map(|run| run.scope).collect()
    }
}

#[tokio::test]
async fn channel_is_reconciled_each_interval_and_its_list_once_a_day() {
    let setup = Setup::new().await;
    let both = [ReconcileScope::Due, ReconcileScope::Listed];
    assert_eq!(setup.scopes("a").await, both);
    assert_eq!(setup.scopes("a").await, []);
    setup.clock.advance(INTERVAL);
    assert_eq!(setup.scopes("a").await, [ReconcileScope::Due]);
    let mut lists = 0;
    // Six hours, until after midnight.
    for _ in 0..72 {
        setup.clock.advance(INTERVAL);
        let scopes = setup.scopes("b").await;
        lists += scopes
            .iter()
            .filter(|it| **it == ReconcileScope::Listed)
            .count();
    }
    assert_eq!(lists, 1, "another UTC day began");
}

#[tokio::test]
async fn list_is_compared_after_a_pause() {
    let setup = Setup::new().await;
    setup.scopes("a").await;
    setup.clock.advance(2 * INTERVAL);
    assert_eq!(setup.scopes("a").await, [ReconcileScope::Due]);
    setup.clock.advance(2 * INTERVAL + Duration::from_secs(1));
    let both = [ReconcileScope::Due, ReconcileScope::Listed];
    assert_eq!(setup.scopes("a").await, both);
}

#[tokio::test]
async fn failed_run_is_repeated_after_an_interval() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 30).await;
    setup.put(1, "delivered");
    setup.twilio.fail_always(Some(Failure::Status(503)));
    // The list is not tried after the lookups failed.
    assert_eq!(setup.scopes("a").await, [ReconcileScope::Due]);
    assert_eq!(setup.scopes("a").await, []);
    setup.twilio.fail_always(None);
    setup.clock.advance(INTERVAL);
    assert_eq!(setup.scopes("a").await.len(), 2);
    assert_eq!(setup.figures().await.recovered, 1);
}

#[tokio::test]
async fn one_of_two_processes_reconciles_a_channel() {
    let setup = Setup::new().await;
    setup.sent(1..=15, 30).await;
    for number in 1..=15 {
        setup.put(number, "delivered");
    }
    let (a, b) = (setup.channels("a"), setup.channels("b"));
    let (a, b) = tokio::join!(a.run(), b.run());
    let runs = a.expect("the store is there").len() + b.expect("the store is there").len();
    assert_eq!(runs, 2, "the lookups and the list");
    let figures = setup.figures().await;
    assert_eq!((figures.checked, figures.recovered), (30, 15));
    assert_eq!(setup.twilio.requests().len(), 15 + 1);
}

#[tokio::test]
async fn process_that_holds_a_lease_keeps_others_away_until_it_expires() {
    let setup = Setup::new().await;
    for (lease, runs) in [(INTERVAL, 0), (Duration::ZERO, 2)] {
        let channel = id();
        let claimed = setup.store.claim_reconciliation(&channel, "killed", lease);
        assert!(claimed.await.expect("the store is there"));
        assert_eq!(setup.scopes("a").await.len(), runs);
    }
}

#[tokio::test]
async fn disabled_channel_is_not_reconciled() {
    let setup = Setup::new().await;
    let mut disabled = channel(CHANNEL).build();
    disabled.enabled = false;
    disabled.version += 1;
    let updated = setup.store.update(&disabled).await;
    assert_eq!(updated.expect("the store is there"), Change::Done);
    assert_eq!(setup.scopes("a").await, []);
}
