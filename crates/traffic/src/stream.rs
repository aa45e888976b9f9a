//! Endless traffic whose reports are numbered, for load generators.

use std::fmt;

use uuid::Uuid;

use crate::history::{ORDERLY, Step};
use crate::integrator::Integrator;

/// Numbered reports. Streams with different ids have no message in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Distinguishes the messages of this stream.
    pub id: u64,
    /// Which reports it consists of.
    pub pattern: Pattern,
}

/// Which reports a [`Stream`] consists of. Every message has three, mixed with those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every message is sent, then delivered, then read. The reports of one message are 1,536
    /// numbers apart, so that a message is rarely twice in a batch.
    Orderly,
    /// Like `Orderly`, but the messages that are read are [`stored_message`]s, spread evenly over
    /// all of them and each read once.
    ReadOldMessages {
        /// How many messages are stored.
        stored: u64,
        /// How many of them were read before.
        from: u64,
    },
    /// Reports in any order, failures, unknown statuses. One report in sixteen is sent again, as
    /// by a caller that did not receive the response. With the statuses that the integrator has.
    Disorderly(Integrator),
}

/// One report of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// The message.
    pub sid: Sid,
    /// Its position in the history of the message.
    pub position: usize,
    /// What it reports.
    pub step: Step,
}

/// A message id. Its digits look random, as Twilio's do: an index handles sorted ids too well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    has_media: bool,
    digits: u128,
}

/// Messages between two reports of one message.
const ORDERLY_DISTANCE: u64 = 512;
const DISORDERLY_DISTANCE: u64 = 24;

/// Has no divisor in common with any number of stored messages.
const STRIDE: u64 = 2_654_435_761;

impl Stream {
    /// Returns the report of this number.
    #[must_use]
    pub fn report(&self, number: u64) -> StreamReport {
        match self.pattern {
            Pattern::ReadOldMessages { stored, from } if number % 3 == 2 => StreamReport {
                sid: stored_message((from + number / 3).wrapping_mul(STRIDE) % stored),
                ..self.orderly(number)
            },
            Pattern::Orderly | Pattern::ReadOldMessages { .. } => self.orderly(number),
            Pattern::Disorderly(integrator) => self.disorderly(integrator, number),
        }
    }

    fn orderly(&self, number: u64) -> StreamReport {
        let (message, position) = place(number, ORDERLY_DISTANCE);
        let sid = Sid::new(self.id, message);
        report(sid, ORDERLY, position)
    }

    fn disorderly(&self, integrator: Integrator, number: u64) -> StreamReport {
        let is_repetition = number % 16 == 15;
        let number = if is_repetition { number - 8 } else { number };
        let (message, position) = place(number, DISORDERLY_DISTANCE);
        let mut sid = Sid::new(self.id, message);
        sid.has_media = sid.digits >> 64 & 1 == 1;
        let history = usize::try_from(sid.digits % 8).unwrap_or_default();
        let histories = integrator.disorderly_histories();
        let history = histories.get(history).copied().unwrap_or(ORDERLY);
        report(sid, history, position)
    }
}

/// Returns the message of a report, and its position in the history of the message.
const fn place(number: u64, distance: u64) -> (u64, usize) {
    let message = number / 3;
    match number % 3 {
        0 => (message + 2 * distance, 0),
        1 => (message + distance, 1),
        _ => (message, 2),
    }
}

fn report(sid: Sid, history: [Step; 3], position: usize) -> StreamReport {
    let [first, second, third] = history;
    let step = match position {
        0 => first,
        1 => second,
        _ => third,
    };
    StreamReport {
        sid,
        position,
        step,
    }
}

/// Returns the message of this number among those that are stored before a measurement.
#[must_use]
pub const fn stored_message(number: u64) -> Sid {
    Sid::new(u64::MAX, number)
}

impl Sid {
    /// How many digits follow `SM` or `MM`.
    pub const DIGITS: usize = 32;
    /// The id whose digits are all zero.
    pub const ZERO: Self = Self {
        has_media: false,
        digits: 0,
    };

    const fn new(stream: u64, message: u64) -> Self {
        let high = scramble(stream ^ scramble(message));
        let low = scramble(high ^ message);
        Self {
            has_media: false,
            digits: (high as u128) << 64 | low as u128,
        }
    }

    /// The same digits as a UUID, which other integrators use.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        Uuid::from_u128(self.digits)
    }

    /// Returns the hex digits as bytes.
    #[must_use]
    pub fn digits(self) -> [u8; Self::DIGITS] {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let mut digits = [0; Self::DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.digits.to_be_bytes()) {
            for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            }
        }
        digits
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.has_media { "MM" } else { "SM" };
        write!(f, "{kind}{:032x}", self.digits)
    }
}

/// Returns a permutation of all numbers that looks random (splitmix64).
#[must_use]
pub const fn scramble(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn stream(id: u64, pattern: Pattern) -> Stream {
        Stream { id, pattern }
    }

    #[test]
    fn orderly_messages_are_sent_then_delivered_then_read() {
        let mut last = HashMap::new();
        for number in 0..30_000 {
            let report = stream(7, Pattern::Orderly).report(number);
            let before = last.insert(report.sid, report.position);
            assert!(before.is_none_or(|before| before < report.position));
        }
        assert!(last.values().filter(|position| **position == 2).count() >= 9_900);
    }

    #[test]
    fn message_is_not_twice_in_a_batch() {
        let batch: HashSet<_> = (10_000..10_512)
            .map(|number| stream(7, Pattern::Orderly).report(number).sid)
            .collect();
        assert_eq!(batch.len(), 512);
    }

    #[test]
    fn every_old_message_is_read_once() {
        let pattern = Pattern::ReadOldMessages {
            stored: 1_000,
            from: 500,
        };
        let old = stream(7, pattern);
        let reports = (0..3_000).map(|number| old.report(number));
        let read: HashSet<_> = reports
            .filter(|report| report.step.status == "read")
            .map(|report| report.sid)
            .collect();
        assert_eq!(read, (0..1_000).map(stored_message).collect());
        assert_eq!(old.report(4), stream(7, Pattern::Orderly).report(4));
    }

    #[test]
    fn one_disorderly_report_in_sixteen_is_a_repetition() {
        let of = |id| -> HashSet<_> {
            let reports = (0..16_000)
                .map(|number| stream(id, Pattern::Disorderly(Integrator::Twilio)).report(number));
            reports
                .map(|report| (report.sid, report.position))
                .collect()
        };
        assert_eq!(of(3).len(), 15_000);
        assert!(of(3).is_disjoint(&of(4)));
    }

    #[test]
    fn streams_have_no_message_in_common_and_digits_are_those_of_the_text() {
        let sid = |id| stream(id, Pattern::Orderly).report(0).sid;
        assert_ne!(sid(1), sid(2));
        assert_eq!(sid(1).to_string().as_bytes()[2..], sid(1).digits());
    }
}
