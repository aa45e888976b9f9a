//! The traffic of one simulated run: a pure function of seed and run id.

use std::fmt;
use std::str::FromStr;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use crate::form::Subject;
use crate::history::Step;
use crate::integrator::Integrator;

/// Distinguishes runs: the same traffic in another run has other message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(u64);

impl RunId {
    /// Returns a run id from random bytes.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(
            bytes
                .iter()
                .take(8)
                .fold(0, |id, byte| id << 8 | u64::from(*byte)),
        )
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = u64::from_str_radix(text, 16);
        id.map(Self)
            .map_err(|_| "a run is 1 to 16 hex digits".to_owned())
    }
}

/// A message of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMessage {
    /// The integrator's id.
    pub sid: String,
    /// The business number.
    pub sender: &'static str,
    /// A phone number, or a business-scoped user id.
    pub recipient: String,
}

impl PlannedMessage {
    /// Returns the message as forms describe it.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            sid: &self.sid,
            sender: self.sender,
            recipient: &self.recipient,
        }
    }
}

/// A report of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedReport {
    /// The index of its message in [`Plan::messages`].
    pub message: usize,
    /// What it reports.
    pub step: Step,
    /// `I-Twilio-Idempotency-Token`, the same for every attempt to send the report.
    pub token: Uuid,
}

/// Everything that is sent in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// All messages of the run.
    pub messages: Vec<PlannedMessage>,
    /// All reports, in the order in which they are sent.
    pub reports: Vec<PlannedReport>,
}

const SENDERS: [&str; 4] = [
    "whatsapp:+15550109001",
    "whatsapp:+15550109002",
    "whatsapp:+15550109003",
    "whatsapp:+15550109004",
];

/// The time between the first reports of two messages. It has no unit: only the order of reports
/// follows from it.
const BETWEEN_MESSAGES: u64 = 1_000;

impl Plan {
    /// Plans traffic in which every 100 messages have every history.
    #[must_use]
    pub fn new(integrator: Integrator, seed: u64, run: RunId, messages: u32) -> Self {
        let mut traffic = StdRng::seed_from_u64(seed);
        let mut ids = ids_of(seed, run);
        let mut deck: Vec<&[Step]> = Vec::new();
        let mut plan = Self {
            messages: Vec::new(),
            reports: Vec::new(),
        };
        let mut timed = Vec::new();
        let mut begins = 0;
        for message in 0..usize::try_from(messages).unwrap_or(usize::MAX) {
            if deck.is_empty() {
                deck.extend(
                    integrator
                        .histories()
                        .iter()
                        .flat_map(|(share, steps)| std::iter::repeat_n(*steps, *share)),
                );
                deck.shuffle(&mut traffic);
            }
            plan.messages
                .push(a_message(integrator, &mut traffic, &mut ids));
            for (time, step) in arrivals(begins, deck.pop().unwrap_or_default(), &mut traffic) {
                let token = Uuid::from_u128(ids.random());
                timed.push((
                    time,
                    PlannedReport {
                        message,
                        step,
                        token,
                    },
                ));
            }
            begins += BETWEEN_MESSAGES;
        }
        // Stable, so that the order is the same on every machine.
        timed.sort_by_key(|(time, _)| *time);
        plan.reports = timed.into_iter().map(|(_, report)| report).collect();
        plan
    }
}

fn ids_of(seed: u64, run: RunId) -> StdRng {
    let mut both = [0; 32];
    for (place, byte) in both
        .iter_mut()
        .zip([seed.to_le_bytes(), run.0.to_le_bytes()].concat())
    {
        *place = byte;
    }
    StdRng::from_seed(both)
}

fn a_message(integrator: Integrator, traffic: &mut StdRng, ids: &mut StdRng) -> PlannedMessage {
    let has_media = traffic.random_ratio(1, 7);
    let user = if traffic.random_ratio(1, 20) {
        // A business-scoped user id: no plus, and case matters.
        format!(
            "US.1349{:014}",
            traffic.random_range(0..100_000_000_000_000_u64)
        )
    } else {
        let number = traffic.random_range(0..9_000);
        match integrator {
            Integrator::Twilio => format!("+1555010{number:04}"),
            _ => format!("1555010{number:04}"),
        }
    };
    PlannedMessage {
        sid: integrator.message_id(ids.random(), has_media),
        sender: integrator.address(SENDERS.choose(traffic).copied().unwrap_or_default()),
        recipient: match integrator {
            Integrator::Twilio => format!("whatsapp:{user}"),
            _ => user,
        },
    }
}

/// Returns when the reports of one message arrive: in order except for jitter that sometimes swaps
/// two; a few arrive much later, some twice.
fn arrivals(begins: u64, steps: &[Step], traffic: &mut StdRng) -> Vec<(u64, Step)> {
    let mut happens = begins;
    let mut arrivals = Vec::with_capacity(steps.len() + 1);
    for step in steps {
        happens += traffic.random_range(2_000..20_000);
        let delay = if traffic.random_ratio(1, 40) {
            traffic.random_range(60_000..200_000)
        } else {
            traffic.random_range(0..12_000)
        };
        arrivals.push((happens + delay, *step));
        if traffic.random_ratio(1, 20) {
            arrivals.push((happens + delay + traffic.random_range(0..40_000), *step));
        }
    }
    arrivals
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::history::UNKNOWN_STATUS;

    const RUN: RunId = RunId(7);

    fn planned(seed: u64, run: RunId, messages: u32) -> Plan {
        Plan::new(Integrator::Twilio, seed, run, messages)
    }

    fn statuses_of(plan: &Plan, message: usize) -> Vec<&'static str> {
        let of_message = plan
            .reports
            .iter()
            .filter(|report| report.message == message);
        of_message.map(|report| report.step.status).collect()
    }

    #[test]
    fn same_seed_and_run_give_the_same_plan() {
        assert_eq!(planned(3, RUN, 500), planned(3, RUN, 500));
    }

    #[test]
    fn another_run_has_the_same_traffic_with_other_message_ids() {
        let (one, other) = (planned(3, RUN, 500), planned(3, RunId(8), 500));
        let traffic = |plan: &Plan| -> Vec<_> {
            plan.reports
                .iter()
                .map(|report| (report.message, report.step))
                .collect()
        };
        let sids = |plan: &Plan| -> HashSet<_> {
            plan.messages
                .iter()
                .map(|message| message.sid.clone())
                .collect()
        };
        assert_eq!(traffic(&one), traffic(&other));
        assert_eq!(sids(&one).len(), 500);
        assert!(sids(&one).is_disjoint(&sids(&other)));
        assert_ne!(traffic(&one), traffic(&planned(4, RUN, 500)));
    }

    #[test]
    fn every_100_messages_contain_every_kind_of_trouble() {
        let plan = planned(1, RUN, 100);
        let histories: Vec<_> = (0..100)
            .map(|message| statuses_of(&plan, message))
            .collect();
        let some =
            |holds: &dyn Fn(&[&str]) -> bool| histories.iter().any(|statuses| holds(statuses));
        let has = |statuses: &[&str], status| statuses.contains(&status);
        assert!(some(
            &|statuses| has(statuses, "read") && !has(statuses, "delivered")
        ));
        assert!(some(
            &|statuses| has(statuses, "undelivered") && has(statuses, "delivered")
        ));
        assert!(some(
            &|statuses| has(statuses, "failed") && has(statuses, "delivered")
        ));
        assert!(some(&|statuses| statuses
            .iter()
            .all(|status| *status == UNKNOWN_STATUS)));
        assert!(some(&|statuses| statuses
            .iter()
            .collect::<HashSet<_>>()
            .len()
            < statuses.len()));
        let place = |statuses: &[&str], status| statuses.iter().position(|each| *each == status);
        assert!(some(&|statuses| place(statuses, "delivered")
            < place(statuses, "sent")
            && place(statuses, "delivered").is_some()));
    }

    #[test]
    fn errors_may_have_no_text_and_failures_no_code() {
        let plan = planned(1, RUN, 100);
        let failures = || plan.reports.iter().map(|report| report.step);
        let with_code =
            |code| failures().filter_map(move |step| step.error.filter(|error| error.code == code));
        assert!(with_code("63016").any(|error| !error.text.is_empty()));
        assert!(with_code("63024").any(|error| error.text.is_empty()));
        assert!(with_code("30008").count() > 0);
        assert!(failures().any(|step| step.status == "failed" && step.error.is_none()));
    }

    #[test]
    fn reports_of_different_messages_are_mixed() {
        let plan = planned(1, RUN, 1000);
        let neighbours = plan.reports.windows(2);
        let same = neighbours
            .filter(|pair| pair[0].message == pair[1].message)
            .count();
        assert!(
            same * 4 < plan.reports.len(),
            "{same} of {}",
            plan.reports.len()
        );
    }

    #[test]
    fn recipients_are_numbers_or_business_scoped_ids_and_there_are_several_senders() {
        let plan = planned(1, RUN, 1000);
        let is_number =
            |message: &&PlannedMessage| message.recipient.starts_with("whatsapp:+1555010");
        let numbers = plan.messages.iter().filter(is_number).count();
        assert!((900..1000).contains(&numbers), "{numbers}");
        let senders: HashSet<_> = plan.messages.iter().map(|message| message.sender).collect();
        assert_eq!(senders.len(), 4);
    }

    #[test]
    fn run_id_is_parsed_from_its_text() {
        let run = RunId::from_random(&[0xab; 32]);
        assert_eq!(run.to_string().parse(), Ok(run));
        assert!("xyz".parse::<RunId>().is_err());
    }
}
