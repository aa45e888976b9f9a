//! Troubles that are found in statistics.

use std::ops::RangeInclusive;

use domain::statistics::{Counts, Histogram, Interval, MessageCell};
use domain::trouble::{TroubleKind, TroubleSubject};
use domain::{DeliveryStatus, ErrorCode};
use ports::ReportStore as _;
use testkit::builders::{CHANNEL, channel_id, report, time, twilio_sid};

use super::{DAY, HOUR, MINUTE, NOW, World, reports};

/// The start of the running quarter of an hour: 10:00.
const QUARTER: i64 = NOW - 7 * MINUTE;

/// Messages, some of them with an error.
fn messages(all: i64, with_error: i64) -> Counts {
    let mut counts = Counts::default();
    let delivered = MessageCell {
        status: Some(DeliveryStatus::Delivered),
        contradicted: false,
    };
    counts.messages.insert(delivered, all);
    if with_error > 0 {
        let code = ErrorCode::parse("63016").unwrap();
        counts.errors.insert(code, with_error);
    }
    counts
}

/// Messages, some of them at *sent*.
fn sent(all: i64, at_sent: i64) -> Counts {
    let mut counts = messages(all - at_sent, 0);
    let sent = MessageCell {
        status: Some(DeliveryStatus::Sent),
        contradicted: false,
    };
    counts.messages.insert(sent, at_sent);
    counts
}

/// Counts 40 reports in each quarter of the same hours of these weeks ago, with short gaps.
async fn usual_weeks(world: &World, weeks: RangeInclusive<i64>) {
    for week in weeks {
        let day = NOW - NOW % DAY - 7 * week * DAY;
        world.count(Interval::Day, day, reports(800)).await;
        for quarter in -12..8 {
            let mut counts = reports(40);
            counts.gaps.add(Histogram::bucket_of(20_000_000), 40);
            let start = QUARTER - 7 * week * DAY + quarter * 15 * MINUTE;
            world.count(Interval::QuarterHour, start, counts).await;
        }
    }
}

#[tokio::test]
async fn channel_that_usually_receives_reports_is_silent() {
    let world = World::new().await;
    usual_weeks(&world, 1..=3).await;
    let last = QUARTER - HOUR;
    world.count(Interval::QuarterHour, last, reports(5)).await;
    world
        .count(Interval::Day, NOW - NOW % DAY, reports(5))
        .await;
    world.evaluate(2).await;
    let open = world.open(TroubleKind::Silence).await;
    assert_eq!(open.len(), 1);
    let subject = TroubleSubject::Channel(channel_id(CHANNEL));
    assert_eq!(open[0].key.subject, subject);
    // The last report arrived by the end of its quarter of an hour.
    assert_eq!(open[0].finding.since, time(last + 15 * MINUTE));
    // 52 minutes at 40 a quarter of an hour.
    let seen = &open[0].finding.seen;
    assert!(seen.contains("about 141 were expected"), "{seen}");
    assert!(seen.contains("shorter than"), "{seen}");
    let start = QUARTER;
    world.count(Interval::QuarterHour, start, reports(1)).await;
    world.authenticate().await;
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::Silence).await, []);
}

#[tokio::test]
async fn quiet_hour_of_the_week_is_not_silence() {
    let world = World::new().await;
    // Usually nothing arrives at this hour, and much three hours later; on other days much.
    for day in 1..7 {
        let start = QUARTER - day * DAY;
        world
            .count(Interval::QuarterHour, start, reports(900))
            .await;
    }
    for week in 1..=3 {
        let day = NOW - NOW % DAY - 7 * week * DAY;
        world.count(Interval::Day, day, reports(900)).await;
        let start = QUARTER - 7 * week * DAY + 3 * HOUR;
        world
            .count(Interval::QuarterHour, start, reports(900))
            .await;
    }
    let last = QUARTER - 5 * HOUR;
    world.count(Interval::QuarterHour, last, reports(5)).await;
    world
        .count(Interval::Day, NOW - NOW % DAY, reports(5))
        .await;
    world.evaluate(3).await;
    assert_eq!(world.troubles(TroubleKind::Silence).await, []);
}

#[tokio::test]
async fn days_of_its_first_week_say_what_is_usual_for_a_new_channel() {
    let world = World::new().await;
    for day in 1..=3 {
        let start = NOW - NOW % DAY - day * DAY;
        world.count(Interval::Day, start, reports(800)).await;
        for quarter in -8..8 {
            let start = QUARTER - day * DAY + quarter * 15 * MINUTE;
            world.count(Interval::QuarterHour, start, reports(20)).await;
        }
    }
    let last = QUARTER - HOUR;
    world.count(Interval::QuarterHour, last, reports(5)).await;
    world
        .count(Interval::Day, NOW - NOW % DAY, reports(5))
        .await;
    world.evaluate(2).await;
    let open = world.open(TroubleKind::Silence).await;
    assert!(open[0].finding.seen.contains("about 71 were expected"));
}

#[tokio::test]
async fn silence_is_found_a_week_after_the_day_of_the_first_report() {
    let world = World::new().await;
    // The first report arrived seven days ago at 16:00, six hours later in the day than now.
    let first = NOW - NOW % DAY - 7 * DAY;
    world.count(Interval::Day, first, reports(160)).await;
    for quarter in 0..8 {
        let start = first + 16 * HOUR + quarter * 15 * MINUTE;
        world.count(Interval::QuarterHour, start, reports(20)).await;
    }
    for day in 1..7 {
        let start = NOW - NOW % DAY - day * DAY;
        world.count(Interval::Day, start, reports(800)).await;
        for quarter in -8..8 {
            let start = QUARTER - day * DAY + quarter * 15 * MINUTE;
            world.count(Interval::QuarterHour, start, reports(20)).await;
        }
    }
    let last = QUARTER - HOUR;
    world.count(Interval::QuarterHour, last, reports(5)).await;
    let today = NOW - NOW % DAY;
    world.count(Interval::Day, today, reports(5)).await;
    world.evaluate(2).await;
    let open = world.open(TroubleKind::Silence).await;
    assert_eq!(open.len(), 1);
    assert!(open[0].finding.seen.contains("about 71 were expected"));
}

#[tokio::test]
async fn silence_is_not_judged_while_reports_wait_to_be_counted() {
    let world = World::new().await;
    usual_weeks(&world, 1..=3).await;
    let last = QUARTER - HOUR;
    world.count(Interval::QuarterHour, last, reports(5)).await;
    world
        .count(Interval::Day, NOW - NOW % DAY, reports(5))
        .await;
    let waiting = report(&twilio_sid(1)).at(NOW - 5 * MINUTE).build();
    world.store.record(&[waiting]).await.unwrap();
    world.evaluate(3).await;
    assert_eq!(world.troubles(TroubleKind::Silence).await, []);
}

#[tokio::test]
async fn channel_without_a_report_for_a_month_is_not_in_use() {
    let world = World::new().await;
    usual_weeks(&world, 5..=8).await;
    world.evaluate(3).await;
    assert_eq!(world.troubles(TroubleKind::Silence).await, []);
}

#[tokio::test]
async fn frequent_error_is_confirmed_by_the_next_quarter_of_an_hour() {
    let world = World::new().await;
    let today = NOW - NOW % DAY;
    world
        .count(Interval::Day, today - 2 * DAY, messages(10_000, 50))
        .await;
    let last = QUARTER - 15 * MINUTE;
    world
        .count(Interval::QuarterHour, last, messages(400, 30))
        .await;
    world.count(Interval::Day, today, messages(400, 30)).await;
    // The running interval never counts.
    world
        .count(Interval::QuarterHour, QUARTER, messages(9_000, 0))
        .await;
    world.evaluate(7).await;
    let pending = world.troubles(TroubleKind::ErrorCode).await;
    assert_eq!(pending.len(), 1);
    assert!(!pending[0].state.is_open());
    let seen = &pending[0].finding.seen;
    assert!(
        seen.starts_with("30 of 400 messages (7.5 %) have error 63016; 0.5 %"),
        "{seen}"
    );
    // 10:15: the last hour has 30 errors in 9,400 messages.
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::ErrorCode).await, []);
}

#[tokio::test]
async fn frequent_error_opens_after_two_quarters() {
    let world = World::new().await;
    for start in [QUARTER - 15 * MINUTE, QUARTER] {
        world
            .count(Interval::QuarterHour, start, messages(400, 30))
            .await;
    }
    world.evaluate(8).await;
    assert_eq!(world.open(TroubleKind::ErrorCode).await, []);
    world.evaluate(1).await;
    let open = world.open(TroubleKind::ErrorCode).await;
    assert_eq!(open.len(), 1);
    let seen = &open[0].finding.seen;
    assert!(seen.starts_with("60 of 800 messages"), "{seen}");
}

#[tokio::test]
async fn messages_stuck_at_sent_are_compared_with_those_of_a_week() {
    let world = World::new().await;
    let today = NOW - NOW % DAY;
    world
        .count(Interval::Day, today - 3 * DAY, sent(1_000, 20))
        .await;
    // First reported more than an hour ago.
    let aged = QUARTER - 75 * MINUTE;
    world
        .count(Interval::QuarterHour, aged, sent(400, 40))
        .await;
    // These may still be delivered.
    let fresh = QUARTER - 45 * MINUTE;
    world
        .count(Interval::QuarterHour, fresh, sent(400, 400))
        .await;
    world.evaluate(1).await;
    let pending = world.troubles(TroubleKind::StuckAtSent).await;
    assert_eq!(pending.len(), 1);
    let seen = &pending[0].finding.seen;
    assert!(
        seen.starts_with("40 of 400 messages (10 %) were not delivered within an hour; 2.0 %"),
        "{seen}"
    );
}
