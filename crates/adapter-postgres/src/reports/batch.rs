//! A batch of reports as columns, the form in which one statement takes it.

use domain::message::MessageError;
use domain::seen_reports::ReportIdentity;
use domain::{DeliveryStatus, Effect, Message, Report};
use time::OffsetDateTime;
use uuid::Uuid;

/// A batch, folded: every message once, every different report once.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    /// One place a message, in the order of their keys. Whoever writes several messages
    /// locks them in this order, so that two writers never wait for each other.
    pub(crate) messages: Messages<'a>,
    /// One place a report, those of one message side by side.
    pub(crate) logged: LoggedReports<'a>,
    /// Which report of the batch stands at each place of `logged`.
    pub(crate) places: Vec<usize>,
}

/// What the reports of the batch say of each message, by columns of `messages`.
#[derive(Debug, Default)]
pub(crate) struct Messages<'a> {
    pub(crate) channel_id: Vec<&'a str>,
    pub(crate) sid: Vec<Vec<u8>>,
    pub(crate) recipient: Vec<String>,
    pub(crate) sender: Vec<String>,
    pub(crate) first_reported_at: Vec<OffsetDateTime>,
    pub(crate) last_reported_at: Vec<OffsetDateTime>,
    pub(crate) duplicates: Vec<i64>,
    pub(crate) seen_mask: Vec<i32>,
    pub(crate) status_rank: Vec<Option<i16>>,
    pub(crate) times: [Vec<Option<OffsetDateTime>>; 11],
    pub(crate) error_at: Vec<Option<OffsetDateTime>>,
    pub(crate) error_code: Vec<Option<String>>,
    pub(crate) error_text: Vec<Option<String>>,
    /// Where its reports begin in [`LoggedReports`].
    pub(crate) first_place: Vec<i32>,
    /// How many they are.
    pub(crate) logged: Vec<i32>,
}

/// The reports of the batch that no other one of the batch repeats, by columns of
/// `reports`.
#[derive(Debug, Default)]
pub(crate) struct LoggedReports<'a> {
    /// The bit of [`ReportIdentity::Plain`], else 0.
    pub(crate) seen_bit: Vec<i32>,
    pub(crate) fingerprint: Vec<Option<i64>>,
    pub(crate) rank: Vec<Option<i16>>,
    /// What it does to a message of which the store knows nothing yet.
    pub(crate) effect: Vec<&'static str>,
    pub(crate) arrived_at: Vec<OffsetDateTime>,
    pub(crate) credential_id: Vec<Uuid>,
    pub(crate) status: Vec<&'a str>,
    pub(crate) recipient: Vec<&'a str>,
    pub(crate) sender: Vec<&'a str>,
    pub(crate) error_code: Vec<Option<&'a str>>,
    pub(crate) error_text: Vec<Option<&'a str>>,
    pub(crate) idempotency_token: Vec<Option<&'a str>>,
    pub(crate) fields: Vec<&'a str>,
}

impl<'a> Batch<'a> {
    /// Folds reports, at most `i32::MAX`.
    pub(crate) fn fold(reports: &'a [Report]) -> Self {
        let mut sorted: Vec<Keyed<'a>> = reports
            .iter()
            .enumerate()
            .map(|(place, report)| Keyed {
                channel: report.key.channel.as_str(),
                sid: report.key.sid.to_compact(),
                place,
                report,
            })
            .collect();
        sorted.sort_unstable_by(|a, b| {
            (a.channel, &a.sid, a.place).cmp(&(b.channel, &b.sid, b.place))
        });

        let mut batch = Self::default();
        for of_one_message in sorted.chunk_by(Keyed::is_of_the_same_message) {
            batch.take_message(of_one_message);
        }
        batch
    }

    fn take_message(&mut self, reports: &[Keyed<'a>]) {
        let Some((first, rest)) = reports.split_first() else {
            return;
        };
        let first_place = self.places.len();
        let (mut message, effect) = Message::begin(first.report);
        self.take_report(first, effect);
        for next in rest {
            match message.absorb(next.report) {
                Effect::Duplicate => {}
                effect => self.take_report(next, effect),
            }
        }
        self.messages.first_place.push(small(first_place));
        self.messages
            .logged
            .push(small(self.places.len() - first_place));
        self.messages.channel_id.push(first.channel);
        self.messages.sid.push(first.sid.clone());
        self.messages.push_state(&message);
    }

    fn take_report(&mut self, keyed: &Keyed<'a>, effect: Effect) {
        self.places.push(keyed.place);
        self.logged.push(keyed.report, effect);
    }
}

struct Keyed<'a> {
    channel: &'a str,
    sid: Vec<u8>,
    place: usize,
    report: &'a Report,
}

impl Keyed<'_> {
    fn is_of_the_same_message(&self, other: &Self) -> bool {
        self.sid == other.sid && self.channel == other.channel
    }
}

impl Messages<'_> {
    fn push_state(&mut self, message: &Message) {
        self.recipient
            .push(message.parties.recipient.reveal().to_owned());
        self.sender.push(message.parties.sender.reveal().to_owned());
        self.first_reported_at
            .push(message.parties.first_reported_at.to_date_time());
        self.last_reported_at
            .push(message.last_reported_at.to_date_time());
        self.duplicates
            .push(i64::try_from(message.duplicates).unwrap_or(i64::MAX));
        self.seen_mask.push(message.seen.mask().cast_signed());
        self.status_rank.push(message.state.status().map(rank));
        for (column, time) in self.times.iter_mut().zip(message.state.timeline().times()) {
            column.push(time.map(domain::Timestamp::to_date_time));
        }
        let error: Option<&MessageError> = message.state.error();
        self.error_at
            .push(error.map(|error| error.reported_at.to_date_time()));
        self.error_code
            .push(error.map(|error| error.error.code.as_str().to_owned()));
        self.error_text
            .push(error.map(|error| error.error.text.reveal().to_owned()));
    }
}

impl<'a> LoggedReports<'a> {
    fn push(&mut self, report: &'a Report, effect: Effect) {
        let (seen_bit, fingerprint) = match ReportIdentity::of(report) {
            ReportIdentity::Plain(bit) => (bit.cast_signed(), None),
            ReportIdentity::Fingerprint(print) => (0, Some(print)),
        };
        self.seen_bit.push(seen_bit);
        self.fingerprint.push(fingerprint);
        self.rank.push(report.status.delivery().map(rank));
        self.effect.push(effect.as_str());
        self.arrived_at.push(report.arrived_at.to_date_time());
        self.credential_id.push(report.credential.0);
        self.status.push(report.status.as_str());
        self.recipient.push(report.recipient.reveal());
        self.sender.push(report.sender.reveal());
        let error = report.error.as_ref();
        self.error_code.push(error.map(|error| error.code.as_str()));
        self.error_text.push(error.map(|error| error.text.reveal()));
        self.idempotency_token
            .push(report.idempotency_token.as_deref());
        self.fields.push(report.fields.as_json());
    }
}

fn rank(status: DeliveryStatus) -> i16 {
    i16::from(status.rank())
}

fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
