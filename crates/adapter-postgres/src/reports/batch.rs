//! A batch of reports as columns, the form in which one statement records it.

use domain::message::MessageError;
use domain::seen_reports::ReportIdentity;
use domain::{DeliveryStatus, Effect, Message, Report};
use sql_rows::messages::sender_column;
use time::OffsetDateTime;
use uuid::Uuid;

/// A folded batch: each message once, each distinct report once.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    /// In the order of their keys. All writers lock messages in this order, so that they never
    /// deadlock.
    pub(crate) messages: MessageColumns<'a>,
    /// Those of one message are adjacent.
    pub(crate) reports: ReportColumns<'a>,
    /// For each of `reports`, its index in the batch.
    pub(crate) report_indexes: Vec<usize>,
}

/// The state of each message according to the batch alone, by columns of `messages`.
#[derive(Debug, Default)]
pub(crate) struct MessageColumns<'a> {
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
    /// The index of its first report in [`ReportColumns`].
    pub(crate) first_index: Vec<i32>,
    /// How many reports it has there.
    pub(crate) reports: Vec<i32>,
}

/// The reports of the batch without duplicates, by columns of `reports`.
#[derive(Debug, Default)]
pub(crate) struct ReportColumns<'a> {
    /// The bit of [`ReportIdentity::Plain`], else 0.
    pub(crate) seen_bit: Vec<i32>,
    pub(crate) fingerprint: Vec<Option<i64>>,
    pub(crate) rank: Vec<Option<i16>>,
    /// The effect on a message that is not stored yet.
    pub(crate) effect: Vec<&'static str>,
    pub(crate) arrived_at: Vec<OffsetDateTime>,
    pub(crate) credential_id: Vec<Uuid>,
    pub(crate) status: Vec<&'a str>,
    pub(crate) recipient: Vec<&'a str>,
    pub(crate) sender: Vec<&'a str>,
    pub(crate) error_code: Vec<Option<&'a str>>,
    pub(crate) error_text: Vec<Option<&'a str>>,
    pub(crate) idempotency_token: Vec<Option<&'a str>>,
    pub(crate) happened_at: Vec<Option<OffsetDateTime>>,
    pub(crate) fields: Vec<&'a str>,
}

impl<'a> Batch<'a> {
    /// Folds reports, at most `i32::MAX` of them.
    pub(crate) fn fold(reports: &'a [Report]) -> Self {
        let mut sorted: Vec<KeyedReport<'a>> = reports
            .iter()
            .enumerate()
            .map(|(index, report)| KeyedReport {
                channel: report.key.channel.as_str(),
                sid: report.key.sid.to_compact(),
                index,
                report,
            })
            .collect();
        sorted.sort_unstable_by(|a, b| {
            (a.channel, &a.sid, a.index).cmp(&(b.channel, &b.sid, b.index))
        });

        let mut batch = Self::default();
        for of_message in sorted.chunk_by(KeyedReport::is_of_same_message) {
            batch.push_message(of_message);
        }
        batch
    }

    fn push_message(&mut self, reports: &[KeyedReport<'a>]) {
        let Some((first, rest)) = reports.split_first() else {
            return;
        };
        let first_index = self.report_indexes.len();
        let (mut message, effect) = Message::begin(first.report);
        self.push_report(first, effect);
        for next in rest {
            match message.absorb(next.report) {
                Effect::Duplicate => {}
                effect => self.push_report(next, effect),
            }
        }
        self.messages.first_index.push(small(first_index));
        self.messages
            .reports
            .push(small(self.report_indexes.len() - first_index));
        self.messages.channel_id.push(first.channel);
        self.messages.sid.push(first.sid.clone());
        self.messages.push_state(&message);
    }

    fn push_report(&mut self, keyed: &KeyedReport<'a>, effect: Effect) {
        self.report_indexes.push(keyed.index);
        self.reports.push(keyed.report, effect);
    }
}

struct KeyedReport<'a> {
    channel: &'a str,
    sid: Vec<u8>,
    index: usize,
    report: &'a Report,
}

impl KeyedReport<'_> {
    fn is_of_same_message(&self, other: &Self) -> bool {
        self.sid == other.sid && self.channel == other.channel
    }
}

impl MessageColumns<'_> {
    fn push_state(&mut self, message: &Message) {
        self.recipient
            .push(message.parties.recipient.reveal().to_owned());
        self.sender
            .push(sender_column(message.parties.sender.as_ref()).to_owned());
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

impl<'a> ReportColumns<'a> {
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
        self.sender.push(sender_column(report.sender.as_ref()));
        let error = report.error.as_ref();
        self.error_code.push(error.map(|error| error.code.as_str()));
        self.error_text.push(error.map(|error| error.text.reveal()));
        self.idempotency_token
            .push(report.idempotency_token.as_deref());
        self.happened_at
            .push(report.happened_at.map(domain::Timestamp::to_date_time));
        self.fields.push(report.fields.as_json());
    }
}

fn rank(status: DeliveryStatus) -> i16 {
    i16::from(status.rank())
}

fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Returns an empty column instead of one without values: `unnest` fills short arrays with
/// nulls, and most batches leave most of the times empty.
pub(crate) fn sparse<T>(column: &[Option<T>]) -> &[Option<T>] {
    if column.iter().all(Option::is_none) {
        &[]
    } else {
        column
    }
}
