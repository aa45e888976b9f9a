//! Leases of subscriptions when the clock was set.

use std::time::Duration;

use domain::LogPosition;
use ports::{DeliveryQueue as _, SubscriptionStore as _};
use testkit::builders::subscription;

use super::store;

#[tokio::test]
async fn leases_from_before_clock_was_set_back_are_expired() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    for number in 1..=2 {
        let subscription = subscription(number);
        let added = store.add(&subscription, LogPosition::START);
        assert!(added.await.unwrap());
    }
    let lease = Duration::from_secs(30);
    for _ in 0..2 {
        assert!(store.claim("dead", lease).await.unwrap().is_some());
    }
    assert_eq!(store.claim("alive", lease).await.unwrap(), None);
    for statement in [
        "update subscriptions set free_at = free_at + 3600000000",
        "update workers set alive_until = alive_until + 3600000000",
    ] {
        let mut write = store.begin().await.unwrap();
        sqlx::query(statement).execute(&mut *write).await.unwrap();
        write.commit().await.unwrap();
    }
    for _ in 0..2 {
        assert!(store.claim("alive", lease).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn released_lease_is_free_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let subscription = subscription(1);
    let added = store.add(&subscription, LogPosition::START);
    assert!(added.await.unwrap());
    let lease = Duration::from_secs(30);
    let leased = store.claim("one", lease).await.unwrap().unwrap();
    store.release(&leased.lease).await.unwrap();
    let mut write = store.begin().await.unwrap();
    sqlx::query("update subscriptions set free_at = free_at + 120000000")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();
    assert!(store.claim("one", lease).await.unwrap().is_some());
}
