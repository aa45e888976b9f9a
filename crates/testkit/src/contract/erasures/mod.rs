//! What every store of [`Maintenance`](ports::Maintenance) must do.

pub mod forgetting;
pub mod taking;

mod steps;

pub use forgetting::*;
pub use taking::*;

use ports::EventLog;

use super::subscriptions::PushingStore;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __erasures_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            an_erased_person_is_found_nowhere
            a_person_is_erased_in_every_spelling
            all_that_names_nobody_stays
            what_is_reported_later_of_an_erased_message_is_erased_too
            a_message_first_heard_of_later_is_kept
            what_was_still_to_be_sent_is_given_up_and_leases_are_lost
            an_erasure_that_finds_nobody_takes_no_lease
            reports_recorded_meanwhile_do_not_bring_the_address_back

            no_step_looks_at_more_than_its_budget
            erasing_again_finds_nothing
            a_finished_erasure_stays_as_it_is
            beginning_the_same_erasure_again_changes_nothing
            an_erasure_nobody_asked_for_is_none
            the_oldest_unfinished_erasure_is_gone_on_with
            erasures_are_listed_from_the_latest_in_pages_without_gap
            racing_steps_are_taken_one_after_the_other
        }
    };
}

/// A store that records reports, tells of them, and forgets whom they name.
pub trait ErasingStore: PushingStore + EventLog {}

impl<S: PushingStore + EventLog> ErasingStore for S {}
