//! Counts days again when the time zone of the installation has changed.

use domain::Timestamp;
use domain::statistics::Interval;
use ports::statistics::{MadeDay, StatisticsDays, StatisticsRange};
use ports::{Calendar, Statistics, StoreError};

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;

/// The longest day: when clocks are set back.
const LONGEST_DAY_MICROS: i64 = 25 * HOUR_MICROS;

/// Computes days from the quarters of an hour that exist, a day per transaction.
pub(super) struct MakeDays<'a> {
    pub(super) store: &'a dyn Statistics,
    pub(super) calendar: &'a dyn Calendar,
}

impl MakeDays<'_> {
    /// Makes all days those of the calendar. Returns `false` if another process changes days at
    /// the same time; call it again then. An interrupted call is resumed by the next one.
    pub(super) async fn run(&self) -> Result<bool, StoreError> {
        let stored = self.store.statistics_days().await?;
        let mut days = match stored {
            Some(days) if days.zone == self.calendar.zone() => days,
            Some(days) => {
                let Some(changed) = self.begin(&days).await? else {
                    return Ok(false);
                };
                changed
            }
            None => {
                let first = self.all(None);
                return self.store.change_days(None, &first, None).await;
            }
        };
        let bounds = self.store.interval_bounds(Interval::QuarterHour).await?;
        while let Some(start) = days.next {
            let until = next_day(self.calendar, start);
            let made = MadeDay {
                start,
                until,
                replaces_from: start,
            };
            let next = bounds.is_some_and(|(_, last)| until <= last);
            let after = StatisticsDays {
                next: next.then_some(until),
                ..days.clone()
            };
            if !self
                .store
                .change_days(Some(&days), &after, Some(&made))
                .await?
            {
                return Ok(false);
            }
            days = after;
        }
        Ok(true)
    }

    /// Counts a day again from its quarters of an hour, if all of them exist.
    pub(super) async fn make_again(&self, day: Timestamp) -> Result<(), StoreError> {
        let days = self.store.statistics_days().await?;
        let bounds = self.store.interval_bounds(Interval::QuarterHour).await?;
        let has_quarters = bounds.is_some_and(|(first, _)| first <= day);
        if let Some(days) = days.filter(|days| has_quarters && days.zone == self.calendar.zone()) {
            let made = MadeDay {
                start: day,
                until: next_day(self.calendar, day),
                replaces_from: day,
            };
            // If another process changes days just now, it makes this one, too.
            self.store
                .change_days(Some(&days), &days, Some(&made))
                .await?;
        }
        Ok(())
    }

    /// Begins to count days of the calendar instead of those of another time zone. Days without all
    /// their quarters of an hour stay as they are.
    async fn begin(&self, old: &StatisticsDays) -> Result<Option<StatisticsDays>, StoreError> {
        let quarters = self.store.interval_bounds(Interval::QuarterHour).await?;
        let days = self.store.interval_bounds(Interval::Day).await?;
        let (Some((first, _)), Some((oldest, _))) = (quarters, days) else {
            let all = self.all(None);
            let changed = self.store.change_days(Some(old), &all, None).await?;
            return Ok(changed.then_some(all));
        };
        let has_all = first.unix_micros() - oldest.unix_micros() < LONGEST_DAY_MICROS;
        let (begun, made) = if has_all {
            let start = self.calendar.day_start(first);
            let begun = self.all(Some(start));
            // The first day of the old zone may begin before that of the new one.
            let made = MadeDay {
                start,
                until: start,
                replaces_from: oldest.min(start),
            };
            (begun, Some(made))
        } else {
            let complete = next_day(self.calendar, first.plus_micros(LONGEST_DAY_MICROS));
            let begun = StatisticsDays {
                since: Some(complete),
                ..self.all(Some(complete))
            };
            (begun, self.shortened(complete).await?)
        };
        let changed = self
            .store
            .change_days(Some(old), &begun, made.as_ref())
            .await?;
        Ok(changed.then_some(begun))
    }

    /// Returns the old day that `end` lies in, up to there.
    async fn shortened(&self, end: Timestamp) -> Result<Option<MadeDay>, StoreError> {
        let range = StatisticsRange {
            interval: Interval::Day,
            from: end.plus_micros(-LONGEST_DAY_MICROS),
            until: end,
            channel: None,
        };
        let rows = self.store.read_statistics(&range).await?;
        Ok(rows.last().map(|last| MadeDay {
            start: last.start,
            until: end,
            replaces_from: last.start,
        }))
    }

    fn all(&self, next: Option<Timestamp>) -> StatisticsDays {
        StatisticsDays {
            zone: self.calendar.zone().to_owned(),
            since: None,
            next,
        }
    }
}

/// Returns when the day after that of `moment` begins.
pub(super) fn next_day(calendar: &dyn Calendar, moment: Timestamp) -> Timestamp {
    let start = calendar.day_start(moment);
    calendar.day_start(start.plus_micros(LONGEST_DAY_MICROS + HOUR_MICROS))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::statistics::{Counts, RequestOutcome, quarter_hour};
    use ports::statistics::IntervalCounts;
    use testkit::builders::{channel_id, time};
    use testkit::clock::UtcDays;
    use testkit::memory::MemoryStore;

    use super::*;

    const DAY: i64 = 24 * HOUR_MICROS;

    /// Days that begin some hours after those of UTC.
    struct Later(i64);

    impl Calendar for Later {
        fn day_start(&self, moment: Timestamp) -> Timestamp {
            let shift = self.0 * HOUR_MICROS;
            UtcDays
                .day_start(moment.plus_micros(-shift))
                .plus_micros(shift)
        }

        fn zone(&self) -> &'static str {
            "later"
        }
    }

    /// Counts a request every hour of ten days, those of the first `old` days only by day.
    async fn counted(old: i64) -> MemoryStore {
        let store = MemoryStore::new();
        let mut counts = IntervalCounts::new();
        let mut request = Counts::default();
        request.requests.insert(RequestOutcome::Challenged, 1);
        for hour in 0..240 {
            let at = time(hour * HOUR_MICROS);
            let mut add = |interval, start| {
                let key = (interval, start, channel_id("a"));
                counts.entry(key).or_default().add(&request, 1);
            };
            add(Interval::Day, UtcDays.day_start(at));
            if hour >= 24 * old {
                add(Interval::QuarterHour, quarter_hour(at));
            }
        }
        store.add_statistics(&counts).await.unwrap();
        assert!(make(&store, &UtcDays).await);
        store
    }

    async fn make(store: &MemoryStore, calendar: &dyn Calendar) -> bool {
        MakeDays { store, calendar }.run().await.unwrap()
    }

    /// Returns the starts of days in hours, and how many requests each has.
    async fn days(store: &MemoryStore) -> Vec<(i64, i64)> {
        let range = StatisticsRange {
            interval: Interval::Day,
            from: time(-2 * DAY),
            until: time(20 * DAY),
            channel: None,
        };
        let rows = store.read_statistics(&range).await.unwrap().into_iter();
        rows.map(|row| {
            let requests = row.counts.requests_with(RequestOutcome::Challenged);
            (row.start.unix_micros() / HOUR_MICROS, requests)
        })
        .collect()
    }

    #[tokio::test]
    async fn all_days_are_made_again_while_all_quarters_exist() {
        for shift in [5, -5] {
            let store = counted(0).await;
            assert!(make(&store, &Later(shift)).await);
            let made = days(&store).await;
            assert_eq!(made.iter().map(|(_, requests)| requests).sum::<i64>(), 240);
            assert!(
                made.iter().all(|(hour, _)| (hour - shift) % 24 == 0),
                "{made:?}"
            );
            assert_eq!(made[1].1, 24);
            let stored = store.statistics_days().await.unwrap().unwrap();
            assert_eq!((stored.since, stored.next), (None, None));
        }
    }

    #[tokio::test]
    async fn days_without_quarters_stay_and_it_is_known_since_when() {
        for shift in [5, -5] {
            let store = counted(4).await;
            assert!(make(&store, &Later(shift)).await);
            let made = days(&store).await;
            assert_eq!(made.iter().map(|(_, requests)| requests).sum::<i64>(), 240);
            let stored = store.statistics_days().await.unwrap().unwrap();
            let since = stored.since.unwrap().unix_micros() / HOUR_MICROS;
            assert_eq!(stored.next, None);
            assert!((24 * 5..=24 * 7).contains(&since), "{since}");
            for (hour, requests) in made {
                if hour >= since {
                    assert_eq!((hour - shift) % 24, 0);
                } else {
                    assert_eq!(hour % 24, 0);
                    assert_eq!(requests, 24.min(since - hour));
                }
            }
        }
    }

    #[tokio::test]
    async fn interrupted_change_is_resumed() {
        let store = counted(0).await;
        let stored = store.statistics_days().await.unwrap();
        let begun = StatisticsDays {
            zone: "later".to_owned(),
            since: None,
            next: Some(time(-19 * HOUR_MICROS)),
        };
        let changed = store.change_days(stored.as_ref(), &begun, None).await;
        assert!(changed.unwrap());
        assert!(make(&store, &Later(5)).await);
        let made = days(&store).await;
        assert_eq!(made.iter().map(|(_, requests)| requests).sum::<i64>(), 240);
        assert_eq!(made[1], (5, 24));
    }

    #[tokio::test]
    async fn racing_processes_make_the_same_days() {
        let store = counted(0).await;
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = Arc::new(store.clone());
            racers.spawn(async move { while !make(&store, &Later(5)).await {} });
        }
        racers.join_all().await;
        let made = days(&store).await;
        assert_eq!(made.iter().map(|(_, requests)| requests).sum::<i64>(), 240);
    }
}
