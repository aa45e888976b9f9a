//! Follows the log for one subscription.

use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::delivery::Attempts;
use domain::event::{MessageEvent, events_of};
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, Subscription, Timestamp};
use ports::StoreError;
use ports::event_log::{LogPage, LogRead};

use crate::channels::directory::ChannelDirectory;
use crate::events::cloud_event::CloudEvent;
use crate::events::tail_cache::LogTailCache;

/// How long a subscription waits at the end of the log before it reads again unasked. New reports
/// end the wait at once, whichever process recorded them.
const IDLE_READ_INTERVAL: Duration = Duration::from_secs(10);

type PendingRead = Pin<Box<dyn Future<Output = Result<LogRead, StoreError>> + Send>>;

/// Reads the log page by page, and waits at its end.
pub(super) struct LogFollower {
    log: Arc<LogTailCache>,
    position: LogPosition,
    pending: Option<PendingRead>,
}

impl LogFollower {
    pub(super) const fn new(log: Arc<LogTailCache>, position: LogPosition) -> Self {
        Self {
            log,
            position,
            pending: None,
        }
    }

    /// Returns up to where the log was read.
    pub(super) const fn position(&self) -> LogPosition {
        self.position
    }

    /// Starts to read the next `step` reports, unless a read is pending.
    pub(super) fn start_read(&mut self, step: NonZeroU16) {
        if self.pending.is_some() {
            return;
        }
        let (log, after) = (Arc::clone(&self.log), self.position);
        self.pending = Some(Box::pin(async move {
            let mut changes = log.changes();
            loop {
                let read = log.read(Some(after), step).await?;
                match &read {
                    LogRead::Page(page) if page.next == after && page.complete => {
                        changes.wait(IDLE_READ_INTERVAL).await;
                    }
                    LogRead::Page(_) | LogRead::Pruned { .. } => return Ok(read),
                }
            }
        }));
    }

    /// Waits for the pending read. Without one it never returns.
    pub(super) async fn read(&mut self) -> Result<LogRead, StoreError> {
        let Some(pending) = &mut self.pending else {
            return std::future::pending().await;
        };
        let read = pending.await;
        self.pending = None;
        if let Ok(LogRead::Page(page)) = &read {
            self.position = page.next;
        }
        read
    }
}

/// Returns the deliveries that follow from a page of the log.
pub(super) fn new_deliveries(
    page: &LogPage,
    subscription: &Subscription,
    directory: &ChannelDirectory,
    now: Timestamp,
) -> Vec<Delivery> {
    let entries = page.entries.iter();
    let events = entries.flat_map(|entry| events_of(entry).map(|event| (entry.report.id, event)));
    events
        .filter(|(_, event)| subscription.filter.passes(event))
        .map(|(report_id, event)| delivery(report_id, &event, subscription, directory, now))
        .collect()
}

fn delivery(
    report_id: i64,
    event: &MessageEvent,
    subscription: &Subscription,
    directory: &ChannelDirectory,
    now: Timestamp,
) -> Delivery {
    let channel = directory.find(&event.key.channel);
    let integrator = channel.as_ref().map(|known| &known.channel.integrator);
    let form = CloudEvent::new(event, integrator, subscription.reveal);
    Delivery {
        key: DeliveryKey::new(subscription.id, report_id, event.event_type),
        position: event.position,
        event_type: event.event_type,
        message: event.key.clone(),
        revision: event.revision,
        state: DeliveryState::Retrying,
        attempts: Attempts::default(),
        created_at: now,
        retrying_since: now,
        next_attempt_at: None,
        cooldown_until: None,
        finished_at: None,
        body: Some(form.to_json()),
    }
}
