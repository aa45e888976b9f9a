//! What every [`TroubleStore`] and [`OperatorEvents`] must do.

pub mod entries;
pub mod evaluation;
pub mod events;

pub use entries::*;
pub use evaluation::*;
pub use events::*;

use std::time::Duration;

use domain::access::OperatorName;
use domain::trouble::{
    Finding, Notices, OperatorEvent, OperatorEventId, OperatorEventType, Snooze, SnoozeReason,
    Trouble, TroubleId, TroubleKey, TroubleKind, TroubleState, TroubleSubject, Window,
};
use ports::troubles::{EvaluationLease, OperatorEvents, TroubleChanges, TroubleStore};
use uuid::Uuid;

use super::Stores;
use crate::builders::{channel_id, time};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __troubles_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            trouble_is_found_as_it_was_saved
            confirmed_troubles_are_listed_by_page_and_filter
            snooze_is_kept_when_an_evaluation_saves
            resolved_trouble_is_not_snoozed
            longest_lasting_snooze_of_a_resolved_trouble_counts
            settings_are_stored_for_a_channel_and_for_all
            journal_is_replaced_and_found_by_its_last_use
            old_troubles_events_and_journals_are_pruned

            evaluation_is_leased_to_one_holder
            of_racing_holders_one_leases_the_evaluation
            changes_of_an_earlier_holder_are_refused
            changes_are_saved_as_a_whole

            operator_events_are_read_in_the_order_in_which_they_were_saved
            racing_saves_leave_no_gap_behind_a_reader
            last_event_before_a_time_is_found
            position_of_a_subscription_never_moves_back
            positions_of_other_subscriptions_are_removed
        }
    };
}

/// A store of troubles and operator events.
pub trait TroubledStore: TroubleStore + OperatorEvents {}

impl<S: TroubleStore + OperatorEvents> TroubledStore for S {}

type Troubled = Stores<dyn TroubledStore>;

const UNAVAILABLE: &str = "the store is there";

fn id(number: u128) -> TroubleId {
    TroubleId(Uuid::from_u128(number))
}

/// Returns a trouble of channel `channel` that was found at second 1.
fn pending(number: u128, channel: &str) -> Trouble {
    let key = TroubleKey {
        kind: TroubleKind::Silence,
        subject: TroubleSubject::Channel(channel_id(channel)),
    };
    let finding = Finding {
        since: time(-1_000_000),
        seen: "No report; 'ä' \"服务\".".to_owned(),
    };
    let window = Window::around(time(1_000_000), 1_000_000);
    Trouble::begin(id(number), key, finding, window, None)
}

fn open(number: u128, channel: &str) -> Trouble {
    Trouble {
        state: TroubleState::Open {
            opened_at: time(2_000_000),
        },
        notices: Notices {
            count: 3,
            last_at: Some(time(2_500_001)),
        },
        ..pending(number, channel)
    }
}

fn resolved(number: u128, channel: &str, resolved_at: i64) -> Trouble {
    Trouble {
        state: TroubleState::Resolved {
            opened_at: time(2_000_000),
            resolved_at: time(resolved_at),
        },
        ..open(number, channel)
    }
}

fn snooze(until: i64) -> Snooze {
    Snooze {
        until: time(until),
        reason: SnoozeReason::parse("Größe wird geklärt").expect("a reason"),
        by: OperatorName::of_command_line("root"),
    }
}

fn event(number: u128, at: i64) -> OperatorEvent {
    OperatorEvent {
        id: OperatorEventId(Uuid::from_u128(number)),
        event_type: OperatorEventType::TroubleOpened,
        channel: number.is_multiple_of(2).then(|| channel_id("1")),
        at: time(at),
        body: format!(r#"{{"number":{number},"text":"ä"}}"#),
    }
}

async fn lease(store: &dyn TroubledStore, holder: &str) -> EvaluationLease {
    let lease = store.lease_evaluation(holder, Duration::from_mins(1)).await;
    lease.expect(UNAVAILABLE).expect("the lease is free")
}

async fn save(store: &dyn TroubledStore, lease: &EvaluationLease, changes: TroubleChanges) -> bool {
    let saved = store.save_troubles(lease, &changes).await;
    saved.expect(UNAVAILABLE)
}

/// Leases the evaluation and saves troubles.
async fn save_all(store: &dyn TroubledStore, troubles: &[Trouble]) {
    let lease = lease(store, "a").await;
    let changes = TroubleChanges {
        saved: troubles.to_vec(),
        ..TroubleChanges::default()
    };
    assert!(save(store, &lease, changes).await);
}
