//! Which report comes when.
//!
//! Every message is reported sent, then delivered, then read. At any time a
//! third of the reports are each, and the reports of one message lie 1,536
//! apart, so that one message is rarely twice in a batch.

/// What is reported, in order.
pub const STATUSES: [&str; 3] = ["sent", "delivered", "read"];

/// How many messages lie between two steps of one message.
const APART: u64 = 512;

/// A report, by its number in one stream of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The message.
    pub sid: Sid,
    /// Its place in [`STATUSES`].
    pub step: usize,
}

/// The 32 hex digits of a message id, which look random as Twilio's do: ids in
/// order would flatter the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sid(u128);

/// Which messages are reported on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// New ones only.
    New,
    /// New ones are sent and delivered. What is read are messages of long ago,
    /// spread evenly over all that are [`stored`], none of them twice.
    OldRead {
        /// How many are stored.
        stored: u64,
        /// How many of them were read before.
        from: u64,
    },
}

/// Shares no step with any number of messages that are stored.
const STRIDE: u64 = 2_654_435_761;

impl Traffic {
    /// The `number`th report of a stream.
    #[must_use]
    pub const fn nth(self, stream: u64, number: u64) -> Report {
        match self {
            Self::OldRead {
                stored: count,
                from,
            } if number % 3 == 2 => Report {
                sid: stored((from + number / 3).wrapping_mul(STRIDE) % count),
                step: 2,
            },
            Self::New | Self::OldRead { .. } => Report::nth(stream, number),
        }
    }
}

/// The message of this number among those that are stored before anything is
/// measured.
#[must_use]
pub const fn stored(number: u64) -> Sid {
    Sid::of(u64::MAX, number)
}

impl Report {
    /// The `number`th report of a stream.
    #[must_use]
    pub const fn nth(stream: u64, number: u64) -> Self {
        let (message, step, ahead) = match number % 3 {
            0 => (number / 3, 0, 2 * APART),
            1 => (number / 3, 1, APART),
            _ => (number / 3, 2, 0),
        };
        Self {
            sid: Sid::of(stream, message + ahead),
            step,
        }
    }
}

impl Sid {
    const fn of(stream: u64, message: u64) -> Self {
        let high = scrambled(stream ^ scrambled(message));
        let low = scrambled(high ^ message);
        Self((high as u128) << 64 | low as u128)
    }

    /// The digits, for a buffer.
    #[must_use]
    pub fn digits(self) -> [u8; 32] {
        const HEX: [u8; 16] = *b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            }
        }
        digits
    }

    /// The whole message id.
    #[must_use]
    pub fn text(self) -> String {
        format!("SM{:032x}", self.0)
    }
}

/// The form of a report as Twilio sends it. `digits` are those of the message id.
#[must_use]
pub fn body(status: &str, digits: &str) -> String {
    let event = match status {
        "delivered" => "&EventType=DELIVERED",
        "read" => "&EventType=READ",
        _ => "",
    };
    format!(
        "ChannelPrefix=whatsapp&ApiVersion=2010-04-01&MessageStatus={status}&SmsSid=SM{digits}\
         &SmsStatus={status}&ChannelInstallSid=XE823cb84a73cd00c3731c7ebc804a13d3\
         &To=whatsapp%3A%2B15550100001&From=whatsapp%3A%2B15550109001&MessageSid=SM{digits}\
         &AccountSid=AC20dfc0ab5df7f9861fd50ba4c6c0d31b&ChannelToAddress=%2B1555010XXXX{event}"
    )
}

/// A permutation of all numbers without visible order (splitmix64's).
const fn scrambled(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_message_is_sent_then_delivered_then_read_and_never_twice_the_same() {
        let mut last_step = HashMap::new();
        for number in 0..30_000 {
            let report = Report::nth(7, number);
            let before = last_step.insert(report.sid, report.step);
            assert!(before.is_none_or(|before| before < report.step));
        }
        assert!(last_step.values().filter(|step| **step == 2).count() >= 9_900);
    }

    #[test]
    fn within_a_batch_no_message_comes_twice() {
        let batch: HashMap<_, _> = (10_000..10_512)
            .map(|number| (Report::nth(7, number).sid, number))
            .collect();
        assert_eq!(batch.len(), 512);
    }

    #[test]
    fn old_messages_are_read_once_each_and_all_over() {
        let old = Traffic::OldRead {
            stored: 1_000,
            from: 500,
        };
        let reports = (0..3_000).map(|number| old.nth(7, number));
        let read: std::collections::HashSet<_> = reports
            .filter(|report| report.step == 2)
            .map(|report| report.sid)
            .collect();
        assert_eq!(read, (0..1_000).map(stored).collect());
        assert_eq!(old.nth(7, 4), Traffic::New.nth(7, 4));
    }

    #[test]
    fn streams_share_no_message_and_digits_are_the_text() {
        let (one, other) = (Report::nth(1, 0).sid, Report::nth(2, 0).sid);
        assert_ne!(one, other);
        assert_eq!(one.text().as_bytes()[2..], one.digits());
    }
}
