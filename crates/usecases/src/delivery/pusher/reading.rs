//! How a pusher follows the log.

use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::delivery::Attempts;
use domain::event::{MessageEvent, events_of};
use domain::subscription::PauseReason;
use domain::{Delivery, DeliveryKey, DeliveryState, Timestamp};
use ports::event_log::{LogPage, LogRead};
use ports::metrics::StopReason;
use ports::{EventLog as _, StoreError};

use super::Pusher;
use crate::CloudEvent;

/// How many reports are read at a time.
const STEP: u16 = 500;

/// How many are read for a failing endpoint, or when other subscriptions have filled
/// the memory.
const SMALLEST_STEP: NonZeroU16 = NonZeroU16::new(10).unwrap();

/// How long to wait for something new in the log before looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) type ParseResult = Pin<Box<dyn Future<Output = Result<LogRead, StoreError>> + Send>>;

impl Pusher {
    /// Whether more events should be read from the log.
    pub(super) fn wants_more(&self) -> bool {
        // A target that takes nothing is asked with one event after the other: what it has
        // not seen yet may be what it takes.
        (!self.health.is_tripped() || !self.lanes.has_untried())
            && self.behind.is_none()
            && self.has_room()
            && !self.is_full()
            && self.store_rests_until.is_none()
    }

    fn has_room(&self) -> bool {
        let (held, room) = (self.lanes.unrecorded(), self.share.room());
        held == 0 || held < self.settings.waiting.min(room)
    }

    /// How many reports to read: few for a failing endpoint, or where there is room
    /// for few events.
    fn step(&self) -> NonZeroU16 {
        if self.health.is_tripped() {
            return SMALLEST_STEP;
        }
        let half = u16::try_from(self.share.room() / 2).unwrap_or(u16::MAX);
        NonZeroU16::new(half.min(STEP)).map_or(SMALLEST_STEP, |step| step.max(SMALLEST_STEP))
    }

    pub(super) fn reading(&self) -> ParseResult {
        let (log, after, step) = (Arc::clone(&self.parts.log), self.read, self.step());
        Box::pin(async move {
            let mut news = log.news();
            loop {
                let read = log.read(Some(after), step).await?;
                match &read {
                    LogRead::Page(page) if page.next == after && page.complete => {
                        news.wait(LOOK_AGAIN).await;
                    }
                    LogRead::Page(_) | LogRead::Pruned { .. } => return Ok(read),
                }
            }
        })
    }

    /// Takes what was read. `true` if the subscription has ended.
    pub(super) async fn took(&mut self, read: Result<LogRead, StoreError>) -> bool {
        match read {
            Ok(LogRead::Page(page)) => self.add(&page),
            Ok(LogRead::Pruned { .. }) => {
                return self.pause(PauseReason::Pruned, StopReason::Pruned).await;
            }
            Err(error) => self.store_failed("the log was not read", &error),
        }
        false
    }

    fn add(&mut self, page: &LogPage) {
        let now = self.parts.clock.now();
        for entry in &page.entries {
            for event in events_of(entry) {
                if !self.subscription.filter.passes(&event) {
                    continue;
                }
                let delivery = self.delivery(entry.report.id, &event, now);
                if let Some(waiting) = self.lanes.add(delivery) {
                    self.note(waiting);
                }
            }
        }
        self.read = page.next;
    }

    fn delivery(&self, report_id: i64, event: &MessageEvent, now: Timestamp) -> Delivery {
        let channel = self.parts.directory.find(&event.key.channel);
        let integrator = channel.as_ref().map(|known| &known.channel.integrator);
        let form = CloudEvent::new(event, integrator, self.subscription.reveal);
        Delivery {
            key: DeliveryKey::new(self.subscription.id, report_id, event.event_type),
            position: event.position,
            event_type: event.event_type,
            message: event.key.clone(),
            revision: event.revision,
            state: DeliveryState::Retrying,
            attempts: Attempts::default(),
            created_at: now,
            retrying_since: now,
            next_attempt_at: None,
            rests_until: None,
            finished_at: None,
            body: Some(form.to_json()),
        }
    }
}

/// What a future gives that may not be there; without one, for ever nothing.
pub(super) async fn poll_some(reading: &mut Option<ParseResult>) -> Result<LogRead, StoreError> {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}
