//! What follows from a try.

use std::time::Duration;

use domain::subscription::SubscriptionState;
use domain::{Delivery, DeliveryState, MessageKey, Timestamp};
use ports::metrics::{AttemptOutcome, StopReason};
use ports::webhook_sender::{Delivered, SendError};

use super::super::flight::{self, Landed};
use super::super::{backoff, later};
use super::{End, Pusher};
use ports::error::error_chain;

/// How long an event waits that the store did not give.
const UNREAD_PAUSE: Duration = Duration::from_secs(1);

impl Pusher {
    /// Takes the end of a try. Why the pusher ends with it, if it does.
    pub(super) async fn landed(&mut self, landed: Landed) -> Option<End> {
        match landed {
            Landed::Tried {
                delivery,
                began,
                outcome,
            } => {
                let ended = self.tried(delivery, began, outcome).await;
                ended.then_some(End::Finished)
            }
            Landed::Unread { delivery, error } => {
                // What is not there any more was changed by somebody.
                let Some(error) = error else {
                    return Some(End::Release);
                };
                self.store_failed("an event was not read yet", &error);
                self.health.not_probed();
                let at = later(self.timeline.now(), UNREAD_PAUSE);
                self.lanes.postponed(&delivery, at);
                None
            }
        }
    }

    /// `true` if the subscription has ended with it.
    async fn tried(
        &mut self,
        mut delivery: Delivery,
        began: Timestamp,
        outcome: Result<Delivered, SendError>,
    ) -> bool {
        let (now, time_of_day) = (self.timeline.now(), self.parts.clock.now());
        let gone = matches!(outcome, Err(SendError::Gone { .. }));
        let attempt = flight::attempt(began, &outcome);
        let took = Duration::from_millis(attempt.took_ms.into());
        self.health.answered_after(took);
        delivery.attempts.push(attempt);
        delivery.rests_until = None;
        match outcome {
            Ok(_) => {
                delivery.state = DeliveryState::Delivered;
                delivery.next_attempt_at = None;
                delivery.finished_at = Some(time_of_day);
                delivery.body = None;
                self.parts.observer.pushed(AttemptOutcome::Delivered, took);
                self.worked(&delivery.message, now);
            }
            Err(error) => {
                let asked = match &error {
                    SendError::Retry { after, .. } => {
                        after.unwrap_or_default().min(backoff::LONGEST_ASKED)
                    }
                    SendError::Gone { .. } | SendError::Refused { .. } => Duration::ZERO,
                };
                self.failed(&delivery.message, now, &error);
                if is_too_much(&error) && !asked.is_zero() {
                    delivery.rests_until = Some(self.health.asked_for_rest(now, asked));
                }
                // Who changes a subscription, or resumes it, wants to know anew.
                let since = delivery.retrying_since.max(self.subscription.updated_at);
                if backoff::is_given_up(since, now) {
                    self.health.given_up(&delivery.message);
                    delivery.state = DeliveryState::Dead;
                    delivery.next_attempt_at = None;
                    delivery.finished_at = Some(time_of_day);
                    delivery.rests_until = None;
                    self.parts.observer.pushed(AttemptOutcome::GivenUp, took);
                } else {
                    let failed = if since > began {
                        // The clock was set back since then.
                        delivery.attempts.count()
                    } else {
                        delivery.attempts.count_since(since)
                    };
                    let pause = self.health.pause(failed, asked);
                    delivery.state = DeliveryState::Retrying;
                    delivery.next_attempt_at = Some(later(now, pause));
                    self.parts.observer.pushed(AttemptOutcome::Failed, took);
                }
            }
        }
        for ended in self.lanes.ended(delivery) {
            self.note(ended);
        }
        if !gone {
            return false;
        }
        let since = time_of_day;
        self.finish(SubscriptionState::Ended { since }, StopReason::Gone)
            .await
    }

    fn worked(&mut self, message: &MessageKey, now: Timestamp) {
        if self.health.is_tripped() {
            tracing::info!(subscription = %self.subscription.id, "a target takes events again");
            let health = &self.health;
            self.lanes
                .make_all_due(now, |message| health.is_stubborn(message));
        }
        self.health.worked(message);
        self.failing_since = None;
    }

    fn failed(&mut self, message: &MessageKey, now: Timestamp, error: &SendError) {
        if self.health.failed(message, now) {
            self.failing_since = Some(self.parts.clock.now());
            tracing::warn!(
                subscription = %self.subscription.id,
                error = %error_chain(error),
                "a target takes nothing; it is asked now and then"
            );
        }
    }
}

/// Whether the target takes no more events for the time being, whichever they are.
fn is_too_much(error: &SendError) -> bool {
    let status = error.answer().map(|answer| answer.status);
    matches!(status, Some(429 | 503))
}
