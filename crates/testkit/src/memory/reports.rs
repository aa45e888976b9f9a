//! Reports and messages, with the domain's rules.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::alias;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::{ChannelId, Effect, LoggedReport, Message, MessageKey, MessageSid, Report, Timestamp};
use ports::reports::MessageWithReports;
use ports::{ReportStore, StoreError};

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) messages: HashMap<MessageKey, Kept>,
    /// By id.
    pub(super) log: BTreeMap<i64, LoggedReport>,
    pub(super) last_id: i64,
    /// The greatest id that retention has removed.
    pub(super) pruned_through: i64,
    /// Reports up to this id that are dated after this time do not hold the log.
    pub(super) released: Option<(i64, Timestamp)>,
    /// The ids of messages by their aliases.
    pub(super) aliases: BTreeMap<MessageKey, MessageSid>,
}

/// A message, and the ids of its reports by revision, including removed ones.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) message: Message,
    pub(super) report_ids: Vec<i64>,
}

impl Reports {
    pub(super) fn is_released(&self, logged: &LoggedReport) -> bool {
        self.released.is_some_and(|(through, after)| {
            logged.id <= through && logged.report.arrived_at > after
        })
    }

    /// Learns the aliases of a batch and joins its reports to their messages.
    fn join(&mut self, reports: &[Report]) -> Vec<Report> {
        let known = alias::wanted(reports).into_iter();
        let known = known.filter_map(|id| Some((id.clone(), self.aliases.get(&id)?.clone())));
        let joined = alias::join(reports, known.collect());
        for (id, sid) in joined.new {
            let key = MessageKey {
                channel: id.channel.clone(),
                sid: sid.clone(),
            };
            let kept = self.messages.get(&key);
            if !kept.is_some_and(|kept| kept.message.is_erased()) {
                self.aliases.insert(id, sid);
            }
        }
        joined.reports
    }

    /// Removes the aliases of a message.
    pub(super) fn forget_aliases(&mut self, key: &MessageKey) {
        self.aliases
            .retain(|id, sid| id.channel != key.channel || *sid != key.sid);
    }

    fn absorb(&mut self, report: &Report) -> Effect {
        let (kept, effect) = match self.messages.entry(report.key.clone()) {
            Entry::Occupied(entry) => {
                let kept = entry.into_mut();
                let effect = kept.message.absorb(report);
                (kept, effect)
            }
            Entry::Vacant(entry) => {
                let (message, effect) = Message::begin(report);
                let report_ids = Vec::new();
                let kept = Kept {
                    message,
                    report_ids,
                };
                (entry.insert(kept), effect)
            }
        };
        if effect != Effect::Duplicate {
            self.last_id += 1;
            kept.report_ids.push(self.last_id);
            let logged = LoggedReport {
                id: self.last_id,
                revision: i64::try_from(kept.message.revision()).unwrap_or(i64::MAX),
                effect,
                report: if kept.message.is_erased() {
                    report.erased()
                } else {
                    report.clone()
                },
            };
            self.log.insert(logged.id, logged);
        }
        effect
    }

    /// Returns whether the last report of a message arrived before a time and its reports are
    /// removed.
    pub(super) fn is_old(&self, key: &MessageKey, cut: Timestamp) -> bool {
        self.messages.get(key).is_some_and(|kept| {
            let last = kept.report_ids.iter().max();
            kept.message.last_reported_at < cut
                && last.is_none_or(|last| *last <= self.pruned_through)
        })
    }

    fn find(&self, key: &MessageKey) -> Option<MessageWithReports> {
        let kept = self.messages.get(key)?;
        let reports = kept.report_ids.iter().filter_map(|id| self.log.get(id));
        Some(MessageWithReports {
            alias_of: self.aliases.get(key).cloned(),
            message: kept.message.clone(),
            reports: reports.cloned().collect(),
        })
    }
}

/// The position of a message in the list, the greatest first.
type DeliveryOrder<'a> = (Timestamp, &'a str, Vec<u8>);

pub(super) fn place(first_reported_at: Timestamp, key: &MessageKey) -> DeliveryOrder<'_> {
    let sid: &MessageSid = &key.sid;
    (first_reported_at, key.channel.as_str(), sid.to_compact())
}

fn passes(message: &Message, filter: &MessageFilter) -> bool {
    let MessageFilter {
        channel,
        status,
        contradicted,
        recipient,
        error_code,
        since: _,
        until: _,
    } = filter;
    let code = message.state.error().map(|error| &error.error.code);
    channel
        .as_ref()
        .is_none_or(|channel| message.key.channel == *channel)
        && status.is_none_or(|statuses| statuses.contains(message.state.status()))
        && contradicted.is_none_or(|it| message.state.contradicted() == it)
        && recipient
            .as_ref()
            .is_none_or(|to| to.is(message.parties.recipient.reveal()))
        && error_code.as_ref().is_none_or(|it| code == Some(it))
}

fn in_time(message: &Message, filter: &MessageFilter) -> bool {
    let first = message.parties.first_reported_at;
    filter.since.is_none_or(|since| first >= since)
        && filter.until.is_none_or(|until| first < until)
}

#[async_trait]
impl ReportStore for MemoryStore {
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        self.lock().record_calls += 1;
        self.until_resumed().await;
        let mut data = self.open()?;
        let locked = |report: &Report| data.locked.contains(&report.key.sid);
        if reports.iter().any(locked) {
            return Err(StoreError::Locked("a test holds a row".into()));
        }
        let refused = reports
            .iter()
            .any(|report| data.refused.contains(&report.key.sid) || report.fields.are_too_long());
        if refused {
            return Err(StoreError::Rejected {
                what: "report",
                source: "its fields are too large, or a test said so".into(),
            });
        }
        let joined = data.reports.join(reports);
        Ok(joined
            .iter()
            .map(|report| data.reports.absorb(report))
            .collect())
    }

    async fn locked(&self, reports: &[Report]) -> Result<Vec<bool>, StoreError> {
        let data = self.open()?;
        let locked = |report: &Report| data.locked.contains(&report.key.sid);
        Ok(reports.iter().map(locked).collect())
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<MessageWithReports>, StoreError> {
        Ok(self.open()?.reports.find(key))
    }

    async fn messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let reports = &self.open()?.reports;
        Ok(reports.page(filter, after, size, scan, |_| true))
    }

    async fn separate_messages(
        &self,
        channel: &ChannelId,
        aliases: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let data = self.open()?;
        let all = data.reports.aliases.keys();
        let examined = all.filter(|id| id.channel == *channel);
        let examined = examined.take(aliases.get().into());
        let separate = examined.filter(|id| data.reports.messages.contains_key(*id));
        Ok(u64::try_from(separate.count()).unwrap_or(u64::MAX))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.open().map(drop)
    }

    async fn durability_warning(&self) -> Result<Option<String>, StoreError> {
        Ok(self.open()?.durability_warning.clone())
    }
}

impl Reports {
    /// Returns one page of the messages that a filter passes and that `is_listed`, the newest
    /// first.
    pub(super) fn page(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
        is_listed: impl Fn(&Message) -> bool,
    ) -> Page<Message, MessageCursor> {
        let after = after.map(|cursor| place(cursor.first_reported_at, &cursor.key));
        let messages = self.messages.values().map(|kept| &kept.message);
        let mut examined: Vec<_> = messages
            .filter(|message| in_time(message, filter) && is_listed(message))
            .map(|message| {
                (
                    place(message.parties.first_reported_at, &message.key),
                    message,
                )
            })
            .filter(|(place, _)| after.as_ref().is_none_or(|after| place < after))
            .collect();
        examined.sort_by(|(a, _), (b, _)| Reverse(a).cmp(&Reverse(b)));
        let limit = usize::try_from(scan.get()).unwrap_or(usize::MAX);
        examined.truncate(limit);
        let last = examined.get(limit - 1);
        let end = last.map(|(_, message)| MessageCursor::of(message));
        let listed = examined.into_iter().map(|(_, message)| message);
        let listed = listed.filter(|message| passes(message, filter));
        let listed = listed.take(usize::from(size.get()) + 1);
        let mut page = Page::of_messages(listed.cloned().collect(), size);
        page.next = page.next.or(end);
        page
    }
}
