//! The audit log.

use std::num::NonZeroU32;

use domain::access::audit::{AuditDetails, AuditObject};
use domain::access::{AuditAction, AuditEntry, AuditEntryId, AuditFilter, OperatorName};
use domain::page::PageSize;
use ports::maintenance::RetentionKind;

use super::{OperatorStore, Operators, UNAVAILABLE, uuid};
use crate::builders::time;

fn entry(number: u8, at: i64) -> AuditEntry {
    AuditEntry {
        id: AuditEntryId(uuid(number)),
        at: time(at),
        operator: OperatorName::admin(),
        action: AuditAction::ChannelAdd,
        object: None,
        details: None,
        source: None,
    }
}

async fn append(store: &dyn OperatorStore, entry: &AuditEntry) {
    store.append(entry).await.expect(UNAVAILABLE);
}

/// Returns all entries that match, read in pages of `size`.
async fn list(store: &dyn OperatorStore, filter: &AuditFilter, size: u16) -> Vec<AuditEntry> {
    let size = PageSize::new(size).expect("1 to 500");
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = store.entries(filter, after, size).await.expect(UNAVAILABLE);
        assert!(page.items.len() <= usize::from(size.get()));
        entries.extend(page.items);
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}

async fn all(store: &dyn OperatorStore) -> Vec<AuditEntry> {
    list(store, &AuditFilter::default(), 500).await
}

pub async fn entry_is_read_as_it_was_appended(stores: Operators) {
    let sources = ["127.0.0.1", "::1", "2001:db8::7"].map(|text| text.parse().ok());
    let mut expected = Vec::new();
    for (action, number) in AuditAction::ALL.iter().zip(1..) {
        let appended = AuditEntry {
            operator: OperatorName::of_command_line("Änne"),
            action: *action,
            object: Some(AuditObject::new("202105102694809992/SM1")),
            details: Some(AuditDetails::new("fields: name, 'x' \"y\" 👍")),
            source: sources[usize::from(number) % sources.len()],
            ..entry(number, i64::from(number))
        };
        append(&*stores.one, &appended).await;
        expected.insert(0, appended);
    }
    let plain = entry(0, 0);
    append(&*stores.one, &plain).await;
    expected.push(plain);
    assert_eq!(all(&*stores.other).await, expected);
}

pub async fn entry_with_a_known_id_changes_nothing(stores: Operators) {
    append(&*stores.one, &entry(1, 1)).await;
    append(&*stores.other, &entry(1, 2)).await;
    assert_eq!(all(&*stores.one).await, [entry(1, 1)]);
}

pub async fn pages_of_entries_have_no_gap_and_no_repetition(stores: Operators) {
    // Not in the order of their times: clocks differ.
    let mut expected = Vec::new();
    for number in 1..31 {
        let appended = entry(number, i64::from(number % 7));
        append(&*stores.one, &appended).await;
        expected.insert(0, appended);
    }
    let filter = AuditFilter::default();
    for size in [1, 3, 10, 29, 30, 31, 500] {
        assert_eq!(list(&*stores.other, &filter, size).await, expected);
    }
    for (size, more) in [(29, true), (30, false)] {
        let size = PageSize::new(size).expect("1 to 500");
        let page = stores.one.entries(&filter, None, size).await;
        assert_eq!(page.expect(UNAVAILABLE).next.is_some(), more);
    }
}

pub async fn filters_select_entries(stores: Operators) {
    let anna = OperatorName::parse("anna").expect("a name");
    let object = |text: &str| Some(AuditObject::new(text));
    let entries = [
        entry(1, 1),
        AuditEntry {
            operator: anna.clone(),
            ..entry(2, 2)
        },
        AuditEntry {
            action: AuditAction::DataReveal,
            object: object("7"),
            ..entry(3, 3)
        },
        AuditEntry {
            operator: anna.clone(),
            object: object("77"),
            ..entry(4, 4)
        },
    ];
    for appended in &entries {
        append(&*stores.one, appended).await;
    }
    let filter = AuditFilter::default;
    let filters = [
        AuditFilter {
            operator: Some(anna.clone()),
            ..filter()
        },
        AuditFilter {
            action: Some(AuditAction::DataReveal),
            ..filter()
        },
        AuditFilter {
            object: object("7"),
            ..filter()
        },
        AuditFilter {
            since: Some(time(2)),
            until: Some(time(4)),
            ..filter()
        },
        AuditFilter {
            operator: Some(anna),
            object: object("77"),
            since: Some(time(4)),
            ..filter()
        },
        AuditFilter {
            until: Some(time(1)),
            ..filter()
        },
    ];
    for (filter, count) in filters.iter().zip([2, 1, 1, 2, 1, 0]) {
        let matching = entries.iter().rev().filter(|entry| filter.matches(entry));
        let expected: Vec<_> = matching.cloned().collect();
        assert_eq!(expected.len(), count, "{filter:?}");
        for size in [1, 50] {
            assert_eq!(list(&*stores.other, filter, size).await, expected);
        }
    }
}

pub async fn pruning_removes_the_oldest_entries_first(stores: Operators) {
    for (number, at) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
        append(&*stores.one, &entry(number, at)).await;
    }
    let prune = async |before, budget| {
        let budget = NonZeroU32::new(budget).expect("not zero");
        let pruned = stores.other.prune_audit(time(before), budget).await;
        let pruned = pruned.expect(UNAVAILABLE);
        (pruned.rows, pruned.done)
    };
    assert_eq!(prune(10, 9).await, (0, true));
    assert_eq!(prune(40, 2).await, (2, false));
    assert_eq!(all(&*stores.one).await, [entry(4, 40), entry(1, 30)]);
    assert_eq!(prune(40, 2).await, (1, true));
    assert_eq!(all(&*stores.one).await, [entry(4, 40)]);
}

pub async fn older_entries_are_known_to_retention(stores: Operators) {
    let older = async |before| {
        let kind = RetentionKind::Audit;
        let older = stores.other.has_older(kind, time(before), time(99)).await;
        older.expect(UNAVAILABLE)
    };
    assert!(!older(99).await);
    append(&*stores.one, &entry(1, 5)).await;
    assert!(!older(5).await);
    assert!(older(6).await);
}
