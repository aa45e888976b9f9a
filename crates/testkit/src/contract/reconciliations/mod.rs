//! What every [`ReconciliationStore`] must do.

pub mod accounts;
pub mod callback_alerts;

pub use accounts::*;
pub use callback_alerts::*;

use ports::{ChannelStore, Maintenance, ReconciliationStore, ReportStore};

use super::Stores;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __reconciliations_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            account_is_stored_for_a_channel_and_replaced
            new_account_keeps_the_figures_and_removes_the_error
            account_goes_with_its_channel
            progress_is_added_and_checked_through_never_decreases
            checked_through_in_the_future_is_replaced
            error_stays_until_the_integrator_answers
            runs_fail_from_the_first_error_until_all_succeed
            lookup_of_alerts_is_counted_and_postpones_no_run
            list_counts_what_was_recovered_since_the_last_one
            progress_of_a_channel_without_account_changes_nothing
            one_of_many_racing_holders_leases_a_channel
            expired_lease_can_be_taken_and_a_holder_extends_its_own
            unfinished_messages_are_listed_from_the_earliest_page_by_page
            unfinished_messages_of_the_same_time_are_listed_once
            known_messages_of_a_channel_are_found

            alerts_are_due_from_the_oldest_until_they_are_marked
            latest_alert_of_a_message_stays
            repeated_alert_makes_its_message_due_again
            alert_that_arrived_during_a_lookup_stays_due
            alerts_of_unknown_channels_are_ignored
            channels_with_an_account_and_due_alerts_are_found
            alerts_go_with_their_channel
            alerts_are_counted_by_code_since_a_time
            only_the_newest_alerts_of_a_channel_are_kept
            old_alerts_are_pruned_in_bounded_steps
            racing_alerts_and_marks_lose_nothing
            hostile_ids_codes_and_times_are_kept_as_they_are
            alerts_survive_the_erasure_of_a_recipient
        }
    };
}

/// The ports that reconciliation needs.
pub trait ReconciledStore: ReconciliationStore + ReportStore + ChannelStore + Maintenance {}

impl<S: ReconciliationStore + ReportStore + ChannelStore + Maintenance> ReconciledStore for S {}

type Reconciled = Stores<dyn ReconciledStore>;
