//! What every store of [`Maintenance`](ports::Maintenance) must do.

pub mod matching;
pub mod resuming;

mod steps;

pub use matching::*;
pub use resuming::*;

use ports::EventLog;

use super::subscriptions::EventDeliveryStore;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __erasures_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            an_erased_recipient_is_not_found
            a_recipient_is_erased_in_every_spelling
            messages_that_do_not_name_the_recipient_are_unchanged
            later_reports_of_an_erased_message_are_stored_erased
            messages_first_reported_after_the_erasure_are_unchanged
            the_aliases_of_an_erased_message_are_removed
            pending_deliveries_are_given_up_and_leases_are_lost
            an_erasure_without_matches_does_not_revoke_leases
            reports_recorded_during_an_erasure_do_not_restore_the_address

            no_step_examines_more_than_its_budget
            a_second_erasure_of_a_recipient_finds_nothing
            a_finished_erasure_does_not_change
            beginning_an_erasure_is_idempotent
            an_unknown_erasure_is_none
            the_oldest_unfinished_erasure_is_resumed
            erasures_are_listed_newest_first_in_pages_without_gaps
            racing_erasure_steps_run_one_at_a_time
        }
    };
}

/// A store of reports and the subscriptions to their events, with a readable log.
pub trait ErasingStore: EventDeliveryStore + EventLog {}

impl<S: EventDeliveryStore + EventLog> ErasingStore for S {}
