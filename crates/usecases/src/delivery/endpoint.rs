//! What an attempt's outcome means for its delivery and for the endpoint.

use std::time::Duration;

use domain::{Delivery, DeliveryState, Timestamp};
use ports::metrics::AttemptOutcome;
use ports::webhook_sender::{Delivered, SendError};

use super::endpoint_breaker::EndpointBreaker;
use super::monotonic::plus;
use super::retry_policy::{MAX_RETRY_AFTER, RetryPolicy, is_given_up};

/// Circuit breaker and retry policy of one endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) breaker: EndpointBreaker,
    pub(super) retry: RetryPolicy,
}

/// The times that an outcome is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptTimes {
    /// Time of day when the attempt began.
    pub(super) began: Timestamp,
    /// Time of day when it was completed.
    pub(super) completed: Timestamp,
    /// Monotonic time, which schedules the next attempt.
    pub(super) now: Timestamp,
    /// When an operator last changed or resumed the subscription, which restarts the three days
    /// after which a delivery is given up.
    pub(super) subscription_changed: Timestamp,
}

impl Endpoint {
    /// Returns when the endpoint may be sent something: after its cooldown, and when the next
    /// probe is due if it is failing.
    pub(super) fn ready_at(&self) -> Timestamp {
        let cooldown = self.retry.cooldown_until();
        let probe_at = self.breaker.probe_at();
        probe_at.map_or(cooldown, |at| at.max(cooldown))
    }

    /// Updates a delivery after an attempt: delivered, retried later, or given up. The attempt
    /// itself is in the delivery already.
    pub(super) fn complete(
        &mut self,
        delivery: &mut Delivery,
        outcome: &Result<Delivered, SendError>,
        times: AttemptTimes,
    ) -> AttemptOutcome {
        delivery.cooldown_until = None;
        delivery.next_attempt_at = None;
        match outcome {
            Ok(_) => {
                self.breaker.succeeded(&delivery.message);
                delivery.state = DeliveryState::Delivered;
                delivery.finished_at = Some(times.completed);
                delivery.body = None;
                AttemptOutcome::Delivered
            }
            Err(error) => self.failed(delivery, error, times),
        }
    }

    fn failed(
        &mut self,
        delivery: &mut Delivery,
        error: &SendError,
        times: AttemptTimes,
    ) -> AttemptOutcome {
        let (message, now, retry) = (&delivery.message, times.now, &mut self.retry);
        self.breaker
            .failed(message, now, |failures| retry.probe_delay(failures));
        let retry_after = match error {
            SendError::Retry { after, .. } => after.unwrap_or_default().min(MAX_RETRY_AFTER),
            SendError::Gone { .. } | SendError::Refused { .. } => Duration::ZERO,
        };
        let cooldown = (is_rate_limit(error) && !retry_after.is_zero())
            .then(|| retry.start_cooldown(now, retry_after));
        let since = delivery.retrying_since.max(times.subscription_changed);
        if is_given_up(since, now) {
            self.breaker.given_up(message);
            delivery.state = DeliveryState::Dead;
            delivery.finished_at = Some(times.completed);
            return AttemptOutcome::GivenUp;
        }
        let failures = if since > times.began {
            // The system's clock was set back in between.
            delivery.attempts.count()
        } else {
            delivery.attempts.count_since(since)
        };
        delivery.state = DeliveryState::Retrying;
        delivery.next_attempt_at = Some(plus(now, retry.retry_delay(failures, retry_after)));
        delivery.cooldown_until = cooldown;
        AttemptOutcome::Failed
    }
}

/// Returns whether the endpoint refuses events for the time being, whichever they are.
fn is_rate_limit(error: &SendError) -> bool {
    let status = error.answer().map(|answer| answer.status);
    matches!(status, Some(429 | 503))
}

#[cfg(test)]
mod tests {
    use domain::webhook::AnswerExcerpt;
    use ports::webhook_sender::Answer;
    use testkit::builders::{delivery, failed_attempt, subscription_id};

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn hours(hours: u64) -> Timestamp {
        plus(NOW, Duration::from_hours(hours))
    }

    /// Returns an endpoint, and a delivery that was first tried now.
    fn endpoint() -> (Endpoint, Delivery) {
        let endpoint = Endpoint {
            breaker: EndpointBreaker::new(None, NOW),
            retry: RetryPolicy::new(1, NOW),
        };
        let mut delivery = delivery(subscription_id(1), 1, DeliveryState::Retrying);
        delivery.retrying_since = NOW;
        delivery.attempts.push(failed_attempt(0));
        (endpoint, delivery)
    }

    fn at(now: Timestamp) -> AttemptTimes {
        AttemptTimes {
            began: now,
            completed: now,
            now,
            subscription_changed: NOW,
        }
    }

    fn refusal(status: u16, after: Duration) -> Result<Delivered, SendError> {
        Err(SendError::Retry {
            after: Some(after),
            answer: Some(Answer {
                status,
                excerpt: AnswerExcerpt::default(),
            }),
            took: Duration::ZERO,
            source: "refused".into(),
        })
    }

    #[test]
    fn success_ends_a_delivery() {
        let (mut endpoint, mut delivery) = endpoint();
        let success = Ok(Delivered {
            answer: Answer {
                status: 200,
                excerpt: AnswerExcerpt::default(),
            },
            took: Duration::ZERO,
        });
        let outcome = endpoint.complete(&mut delivery, &success, at(hours(1)));
        assert_eq!(outcome, AttemptOutcome::Delivered);
        assert_eq!(delivery.delivered_at(), Some(hours(1)));
        assert_eq!((delivery.body, delivery.next_attempt_at), (None, None));
    }

    #[test]
    fn retry_after_delays_the_delivery_and_a_rate_limit_the_endpoint() {
        for (status, limited) in [(500, false), (429, true), (503, true)] {
            let (mut endpoint, mut delivery) = endpoint();
            let refusal = refusal(status, Duration::from_hours(2));
            let outcome = endpoint.complete(&mut delivery, &refusal, at(NOW));
            assert_eq!(outcome, AttemptOutcome::Failed);
            assert_eq!(delivery.next_attempt_at, Some(hours(2)));
            assert_eq!(delivery.cooldown_until, limited.then(|| hours(1)));
            assert_eq!(endpoint.ready_at() > NOW, limited);
        }
    }

    #[test]
    fn delivery_is_given_up_three_days_after_an_operator_changed_the_subscription() {
        for (changed, outcome) in [(0, AttemptOutcome::GivenUp), (1, AttemptOutcome::Failed)] {
            let (mut endpoint, mut delivery) = endpoint();
            let times = AttemptTimes {
                subscription_changed: hours(changed),
                ..at(hours(72))
            };
            let refusal = refusal(500, Duration::ZERO);
            assert_eq!(endpoint.complete(&mut delivery, &refusal, times), outcome);
            let dead = outcome == AttemptOutcome::GivenUp;
            assert_eq!(delivery.state == DeliveryState::Dead, dead);
            assert_eq!(delivery.finished_at.is_some(), dead);
        }
    }
}
