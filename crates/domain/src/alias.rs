//! Aliases: further ids by which an integrator names a message.
//!
//! Gupshup reports by its own id for a week, with the id of `WhatsApp` beside it, and by that one
//! alone later. A report is joined to its message if the alias is known by then. Otherwise it
//! begins a message of its own. When the alias is learned, the two messages are never merged: their
//! reports and events are out. The second one stays as it is, and readers see that it is separate.

use std::collections::BTreeMap;

use crate::{MessageKey, MessageSid, Report};

/// What a report says about other ids of its message. Not stored in the log: recording the report
/// resolves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Alias {
    /// The integrator knows a message by one id.
    #[default]
    None,
    /// It has one id, which may be an alias.
    Unknown,
    /// It has two ids: this one is an alias of that of its key.
    Known(MessageSid),
}

/// A batch of reports whose aliases are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinedBatch {
    /// The reports, in the same order, with the keys of the messages that they are joined to.
    pub reports: Vec<Report>,
    /// Aliases that were not known, and the ids of their messages.
    pub new: BTreeMap<MessageKey, MessageSid>,
}

/// Returns the ids to look up among the known aliases before a batch is recorded; none if no
/// report has an alias.
#[must_use]
pub fn wanted(reports: &[Report]) -> Vec<MessageKey> {
    let ids = reports.iter().filter_map(|report| match &report.alias {
        Alias::None => None,
        Alias::Unknown => Some(report.key.clone()),
        Alias::Known(alias) => Some(alias_key(report, alias)),
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Joins reports to their messages. `known` contains which of the [`wanted`] ids are aliases, and
/// of which ids. An alias that is known keeps its message.
#[must_use]
pub fn join(reports: &[Report], mut known: BTreeMap<MessageKey, MessageSid>) -> JoinedBatch {
    let mut joined = JoinedBatch::default();
    for report in reports {
        if let Alias::Known(alias) = &report.alias {
            let alias = alias_key(report, alias);
            if !known.contains_key(&alias) {
                known.insert(alias.clone(), report.key.sid.clone());
                joined.new.insert(alias, report.key.sid.clone());
            }
        }
    }
    for report in reports {
        let mut report = report.clone();
        if report.alias == Alias::Unknown
            && let Some(sid) = known.get(&report.key)
        {
            report.key.sid = sid.clone();
        }
        joined.reports.push(report);
    }
    joined
}

fn alias_key(report: &Report, alias: &MessageSid) -> MessageKey {
    MessageKey {
        channel: report.key.channel.clone(),
        sid: alias.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ReportFields;
    use crate::{Address, ChannelId, CredentialId, DeliveryStatus, Timestamp};

    fn report(sid: &str, alias: Alias) -> Report {
        Report {
            key: key(sid),
            alias,
            status: DeliveryStatus::Sent.into(),
            error: None,
            recipient: Address::parse("15550100001").unwrap(),
            sender: None,
            arrived_at: Timestamp::from_unix_micros(0).unwrap(),
            happened_at: None,
            credential: CredentialId(uuid::Uuid::nil()),
            idempotency_token: None,
            fields: ReportFields::default(),
        }
    }

    fn key(sid: &str) -> MessageKey {
        MessageKey {
            channel: ChannelId::parse("1").unwrap(),
            sid: id(sid),
        }
    }

    fn id(text: &str) -> MessageSid {
        MessageSid::parse(text).unwrap()
    }

    fn sids(joined: &JoinedBatch) -> Vec<&str> {
        let reports = joined.reports.iter();
        reports.map(|report| report.key.sid.as_str()).collect()
    }

    #[test]
    fn reports_without_aliases_need_no_lookup() {
        assert_eq!(wanted(&[report("a", Alias::None)]), []);
        let reports = [
            report("w", Alias::Unknown),
            report("g", Alias::Known(id("w"))),
        ];
        assert_eq!(wanted(&reports), [key("w")]);
    }

    #[test]
    fn alias_of_the_same_batch_is_known_in_both_orders() {
        let mut reports = [
            report("w", Alias::Unknown),
            report("g", Alias::Known(id("w"))),
            report("other", Alias::Unknown),
        ];
        for _ in 0..2 {
            let joined = join(&reports, BTreeMap::new());
            assert_eq!(joined.new, BTreeMap::from([(key("w"), id("g"))]));
            assert_eq!(sids(&joined).iter().filter(|sid| **sid == "g").count(), 2);
            reports.reverse();
        }
    }

    #[test]
    fn known_alias_keeps_its_message() {
        let reports = [
            report("h", Alias::Known(id("w"))),
            report("w", Alias::Unknown),
            report("w", Alias::None),
        ];
        let joined = join(&reports, BTreeMap::from([(key("w"), id("g"))]));
        assert!(joined.new.is_empty());
        assert_eq!(sids(&joined), ["h", "g", "w"]);
    }
}
