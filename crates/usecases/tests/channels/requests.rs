//! Requests in the statistics.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::statistics::{Interval, RequestOutcome, quarter_hour};
use ports::statistics::StatisticsRange;
use ports::{Calendar, Environment as _, Statistics as _};
use testkit::builders::channel_id;
use testkit::clock::UtcDays;
use usecases::Authentication;
use usecases::statistics::CountRequests;

use crate::{NoHeaders, World, integrators, twilio};

fn count_requests(world: &World) -> CountRequests {
    CountRequests::new(
        world.directory.clone(),
        Arc::new(world.store.clone()),
        Arc::new(UtcDays),
        world.clock.clone(),
    )
}

fn challenge(world: &World) {
    let integrators = integrators();
    let twilio = integrators.find(&twilio()).unwrap();
    let challenge = world.authenticate.run(twilio.as_ref(), "1", &NoHeaders);
    assert!(matches!(challenge, Authentication::Challenge));
}

/// Returns the start of each interval and how many requests in it were authenticated, challenged
/// and refused.
async fn counted(world: &World, interval: Interval) -> Vec<(Timestamp, [i64; 3])> {
    let now = world.clock.now();
    let range = StatisticsRange {
        interval,
        from: now.plus_micros(-2 * 24 * 60 * 60 * 1_000_000),
        until: now.plus_micros(1),
        channel: Some(channel_id("1")),
    };
    let rows = world.store.read_statistics(&range).await.unwrap();
    let outcomes = [
        RequestOutcome::Authenticated,
        RequestOutcome::Challenged,
        RequestOutcome::Refused,
    ];
    let rows = rows.into_iter();
    rows.map(|row| {
        (
            row.start,
            outcomes.map(|each| row.counts.requests_with(each)),
        )
    })
    .collect()
}

#[tokio::test]
async fn requests_count_by_outcome_in_the_interval_in_which_they_are_written() {
    let world = World::new();
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    let requests = count_requests(&world);
    requests.write().await.unwrap();
    assert_eq!(counted(&world, Interval::QuarterHour).await, []);

    assert!(world.admits("1", issued.password.reveal()));
    assert!(!world.admits("1", "wrong password"));
    challenge(&world);
    challenge(&world);
    requests.write().await.unwrap();
    let first = quarter_hour(world.clock.now());
    world.clock.advance(Duration::from_mins(15));
    challenge(&world);
    requests.write().await.unwrap();
    requests.write().await.unwrap();
    let second = quarter_hour(world.clock.now());
    assert_eq!(
        counted(&world, Interval::QuarterHour).await,
        [(first, [1, 2, 1]), (second, [0, 1, 0])]
    );
    let day = UtcDays.day_start(world.clock.now());
    assert_eq!(counted(&world, Interval::Day).await, [(day, [1, 3, 1])]);
}

#[tokio::test]
async fn requests_whose_write_failed_are_counted_once() {
    let world = World::new();
    world.add("1").await;
    world.directory.refresh().await.unwrap();
    let requests = count_requests(&world);
    challenge(&world);
    world.store.set_unavailable(true);
    requests.write().await.unwrap_err();
    challenge(&world);
    requests.write().await.unwrap_err();
    world.store.set_unavailable(false);
    requests.write().await.unwrap();
    requests.write().await.unwrap();
    let day = UtcDays.day_start(world.clock.now());
    assert_eq!(counted(&world, Interval::Day).await, [(day, [0, 2, 0])]);
}
