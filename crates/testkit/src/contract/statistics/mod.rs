//! What every [`Statistics`] store must do.

pub mod changes;
pub mod counts;
pub mod days;
pub mod problems;
pub mod recipients;

pub use changes::*;
pub use counts::*;
pub use days::*;
pub use problems::*;
pub use recipients::*;

use ports::{Maintenance, ReportStore, Statistics};

use super::Stores;

/// A store of reports whose statistics are maintained.
pub trait CountedStore: ReportStore + Statistics + Maintenance {}

impl<S: ReportStore + Statistics + Maintenance> CountedStore for S {}

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __statistics_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            changes_are_read_once_in_the_order_of_the_log
            log_does_not_end_before_a_recorded_report
            times_of_the_integrator_are_read
            duplicates_are_no_changes
            changes_after_a_pruned_position_start_at_the_oldest
            summary_has_the_reports_before_a_position
            summary_of_pruned_reports_comes_from_their_message
            changes_add_up_to_the_messages
            problems_are_listed_as_among_all_messages
            page_of_problems_ends_where_its_scan_does
            problem_is_listed_with_its_step_until_it_changes
            problem_is_removed_with_its_message
            recipients_are_found_as_among_all_messages
            recipient_with_the_hash_of_another_is_left_out
            recipient_is_listed_with_its_step
            message_with_entries_of_two_days_is_found_once
            recipients_are_removed_with_the_messages_of_their_day
            step_that_was_read_before_an_erasure_is_refused
            erased_recipient_is_not_listed
            recipient_erased_while_it_is_listed_is_not_listed
            day_is_made_from_its_quarters
            racing_changes_of_days_happen_once
            steps_of_other_days_are_refused
            bounds_are_the_first_and_the_last_start
            step_is_applied_with_its_position
            step_from_another_position_changes_nothing
            last_arrivals_are_replaced_with_the_step
            one_of_racing_steps_is_applied
            added_counts_leave_the_position
            batch_is_added_once
            racing_additions_are_all_counted
            rows_are_read_by_length_time_and_channel
            intervals_without_counts_are_absent
            old_rows_are_pruned_a_few_at_a_time
            reset_keeps_requests_and_reports_older_than_the_log
        }
    };
}

type Counted = Stores<dyn CountedStore>;
