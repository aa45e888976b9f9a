//! Leases of subscriptions on a server whose clock was set.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod database;

use std::time::Duration;

use database::Database;
use domain::LogPosition;
use ports::{DeliveryQueue as _, SubscriptionStore as _};
use sqlx::{Connection as _, PgConnection};
use testkit::builders::subscription;

const LEASE: Duration = Duration::from_secs(30);

async fn execute(database: &Database, statement: &'static str) {
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn leases_from_before_clock_was_set_back_are_expired() {
    let database = Database::create().await;
    let store = database.store().await;
    for number in 1..=2 {
        let added = store.add(&subscription(number), LogPosition::START).await;
        assert!(added.unwrap());
    }
    for _ in 0..2 {
        assert!(store.claim("dead", LEASE).await.unwrap().is_some());
    }
    assert_eq!(store.claim("alive", LEASE).await.unwrap(), None);
    for statement in [
        "update subscriptions set free_at = free_at + interval '1 hour'",
        "update workers set alive_until = alive_until + interval '1 hour'",
    ] {
        execute(&database, statement).await;
    }
    for _ in 0..2 {
        assert!(store.claim("alive", LEASE).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn released_lease_is_free_whatever_the_clock_says() {
    let database = Database::create().await;
    let store = database.store().await;
    let added = store.add(&subscription(1), LogPosition::START).await;
    assert!(added.unwrap());
    let leased = store.claim("one", LEASE).await.unwrap().unwrap();
    store.release(&leased.lease).await.unwrap();
    let statement = "update subscriptions set free_at = free_at + interval '2 minutes'";
    execute(&database, statement).await;
    assert!(store.claim("one", LEASE).await.unwrap().is_some());
}
