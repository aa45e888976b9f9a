//! Circuit breaker of one endpoint: tells a failing endpoint from single events that it refuses.

use std::collections::HashSet;
use std::time::Duration;

use domain::{MessageKey, Timestamp};

use super::monotonic::{elapsed, plus};

/// Failures of so many messages, without a success in between, open the circuit. A single event
/// that the endpoint always refuses does not.
const FAILED_MESSAGES_TO_OPEN: usize = 5;

/// State of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointBreaker {
    circuit: Circuit,
    /// Messages with failures since the last success.
    failed: HashSet<MessageKey>,
    /// Messages that failed while others succeeded: their failures say nothing of the endpoint.
    quarantined: HashSet<MessageKey>,
}

#[derive(Clone, Copy, Debug)]
enum Circuit {
    Closed,
    Open(Outage),
    /// One event is in flight to find out whether the endpoint works again.
    Probing(Outage),
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Timestamp,
    failed_probes: u32,
    probe_at: Timestamp,
}

impl EndpointBreaker {
    /// Creates a breaker that is open if the endpoint failed before; it probes immediately then.
    pub(super) fn new(failing_since: Option<Timestamp>, now: Timestamp) -> Self {
        let outage = failing_since.map(|since| Outage {
            since,
            failed_probes: 0,
            probe_at: now,
        });
        Self {
            circuit: outage.map_or(Circuit::Closed, Circuit::Open),
            failed: HashSet::new(),
            quarantined: HashSet::new(),
        }
    }

    /// Returns whether the endpoint is failing, so that only probes are sent.
    pub(super) const fn is_open(&self) -> bool {
        self.outage().is_some()
    }

    /// Returns when the next probe may be sent, if the circuit is open.
    pub(super) fn probe_at(&self) -> Option<Timestamp> {
        self.outage().map(|outage| outage.probe_at)
    }

    /// Notes that a probe is in flight.
    pub(super) const fn probe_started(&mut self) {
        if let Circuit::Open(outage) = self.circuit {
            self.circuit = Circuit::Probing(outage);
        }
    }

    /// Notes that the probe was not sent after all.
    pub(super) const fn probe_cancelled(&mut self) {
        if let Circuit::Probing(outage) = self.circuit {
            self.circuit = Circuit::Open(outage);
        }
    }

    /// Returns whether this message fails while others succeed.
    pub(super) fn is_quarantined(&self, message: &MessageKey) -> bool {
        self.quarantined.contains(message)
    }

    /// Records a success for `message`: closes the circuit, and quarantines the messages that
    /// failed before.
    pub(super) fn succeeded(&mut self, message: &MessageKey) {
        self.quarantined.extend(self.failed.drain());
        self.quarantined.remove(message);
        self.circuit = Circuit::Closed;
    }

    /// Ends the quarantine of a message whose event was given up.
    pub(super) fn given_up(&mut self, message: &MessageKey) {
        self.quarantined.remove(message);
    }

    /// Records a failed attempt for `message`. Returns `true` if this failure opens the circuit.
    /// `probe_delay` computes the delay of a probe after so many failures.
    ///
    /// Attempts that were in flight when the circuit opened do not delay the first probe.
    pub(super) fn failed(
        &mut self,
        message: &MessageKey,
        now: Timestamp,
        probe_delay: impl FnOnce(u32) -> Duration,
    ) -> bool {
        if !self.quarantined.contains(message) {
            self.failed.insert(message.clone());
        }
        let (since, failed_probes) = match self.circuit {
            Circuit::Closed if self.failed.len() >= FAILED_MESSAGES_TO_OPEN => (now, 0),
            Circuit::Closed | Circuit::Open(_) => return false,
            Circuit::Probing(outage) => (outage.since, outage.failed_probes.saturating_add(1)),
        };
        let opens = !self.is_open();
        self.circuit = Circuit::Open(Outage {
            since,
            failed_probes,
            probe_at: plus(now, probe_delay(failed_probes.saturating_add(1))),
        });
        opens
    }

    /// Returns whether the circuit has been open for `duration`.
    pub(super) fn has_failed_for(&self, duration: Duration, now: Timestamp) -> bool {
        self.outage()
            .is_some_and(|outage| elapsed(outage.since, now) >= duration)
    }

    const fn outage(&self) -> Option<&Outage> {
        match &self.circuit {
            Circuit::Closed => None,
            Circuit::Open(outage) | Circuit::Probing(outage) => Some(outage),
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::builders::key;

    use super::*;

    const START: Timestamp = Timestamp::EPOCH;

    fn closed() -> EndpointBreaker {
        EndpointBreaker::new(None, START)
    }

    fn message(number: u32) -> MessageKey {
        key(&format!("SM{number}"))
    }

    fn at(seconds: u64) -> Timestamp {
        plus(START, Duration::from_secs(seconds))
    }

    /// Records a failure; probes are a second later for each failure.
    fn fail(breaker: &mut EndpointBreaker, number: u32, seconds: u64) -> bool {
        let delay = |failures: u32| Duration::from_secs(failures.into());
        breaker.failed(&message(number), at(seconds), delay)
    }

    #[test]
    fn failures_of_five_messages_open_it_and_one_success_closes_it() {
        let mut breaker = closed();
        let opened: Vec<_> = (0..7).map(|n| fail(&mut breaker, n, 0)).collect();
        assert_eq!(opened, [false, false, false, false, true, false, false]);
        assert_eq!(breaker.probe_at(), Some(at(1)));
        breaker.succeeded(&message(9));
        assert!(!breaker.is_open());
        assert_eq!(breaker.probe_at(), None);
    }

    #[test]
    fn one_message_never_opens_it() {
        let mut breaker = closed();
        for _ in 0..100 {
            assert!(!fail(&mut breaker, 1, 0));
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn quarantined_messages_do_not_open_it() {
        let mut breaker = closed();
        for n in 0..20 {
            fail(&mut breaker, n, 0);
        }
        breaker.succeeded(&message(99));
        for n in (0..20).chain([100, 101, 102, 103]) {
            assert!(!fail(&mut breaker, n, 0), "{n}");
        }
        assert!(fail(&mut breaker, 104, 1));
        assert!(breaker.has_failed_for(Duration::from_secs(4), at(5)));
        assert!(!breaker.has_failed_for(Duration::from_secs(5), at(5)));
        // A success or giving up ends the quarantine.
        for n in 0..20 {
            breaker.succeeded(&message(n));
        }
        assert!(!breaker.is_quarantined(&message(0)));
        let opened: Vec<_> = (0..5).map(|n| fail(&mut breaker, n, 0)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
    }

    #[test]
    fn in_flight_failures_do_not_delay_first_probe() {
        let mut breaker = closed();
        for n in 0..64 {
            fail(&mut breaker, n, 0);
        }
        assert_eq!(breaker.probe_at(), Some(at(1)));
        for n in 1..9 {
            breaker.probe_started();
            assert!(!fail(&mut breaker, n, 0));
            assert_eq!(breaker.probe_at(), Some(at(u64::from(n) + 1)));
        }
        breaker.succeeded(&message(1));
        for n in 100..164 {
            fail(&mut breaker, n, 0);
        }
        assert_eq!(breaker.probe_at(), Some(at(1)), "it starts again");
    }

    #[test]
    fn cancelled_probe_does_not_delay_the_next_one() {
        let mut breaker = EndpointBreaker::new(Some(START), at(7));
        assert_eq!(breaker.probe_at(), Some(at(7)));
        breaker.probe_started();
        breaker.probe_cancelled();
        assert!(!fail(&mut breaker, 1, 8));
        assert_eq!(breaker.probe_at(), Some(at(7)));
    }

    #[test]
    fn an_outage_is_measured_from_when_the_circuit_opened() {
        let mut breaker = closed();
        let hour = Duration::from_hours(1);
        for n in 0..4 {
            fail(&mut breaker, n, 0);
        }
        assert!(!breaker.has_failed_for(hour, at(7_200)));
        fail(&mut breaker, 4, 3_600);
        assert!(!breaker.has_failed_for(hour, at(7_199)));
        assert!(breaker.has_failed_for(hour, at(7_200)));
    }
}
