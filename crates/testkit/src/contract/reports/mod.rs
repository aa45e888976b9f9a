//! What every [`ReportStore`](ports::ReportStore) must do.

pub mod aliases;
pub mod histories;
pub mod listing;
pub mod races;
pub mod values;

mod model;

pub use aliases::*;
pub use histories::*;
pub use listing::*;
pub(super) use model::record;
pub use races::*;
pub use values::*;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __reports_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            a_report_on_a_known_alias_is_joined_to_its_message
            two_messages_of_an_alias_are_never_merged
            an_alias_keeps_its_first_message_on_its_channel
            two_ids_at_once_lose_no_report

            random_histories_lead_to_the_state_of_the_domain
            a_batch_may_have_several_reports_of_one_message
            a_duplicate_is_counted_and_not_logged_again
            different_reports_beyond_the_limit_are_counted_as_duplicates
            recording_a_batch_is_idempotent
            the_same_sid_on_another_channel_is_another_message
            an_earlier_report_recorded_later_sets_first_times_and_parties
            an_empty_batch_has_no_effect
            an_unknown_message_is_none
            the_reports_of_a_message_are_listed_in_recording_order
            another_store_on_the_same_data_sees_what_was_recorded
            a_store_that_can_record_answers_ping

            many_writers_on_one_message_lose_nothing
            batches_in_opposite_orders_neither_deadlock_nor_fail
            a_batch_raced_by_its_repetition_is_recorded_once

            every_value_is_read_as_it_was_recorded
            long_and_non_ascii_values_are_stored_unchanged
            a_nul_in_a_field_is_stored
            sids_that_differ_in_case_are_different_messages
            times_keep_their_microseconds_in_every_year
            fields_keep_their_order_and_their_repetitions
            fields_of_the_maximum_size_are_accepted
            a_refused_report_rolls_back_its_batch
            one_refused_report_does_not_prevent_recording_the_others

            messages_are_listed_newest_first
            messages_of_one_microsecond_are_listed_by_key_descending
            pages_of_messages_have_no_gaps_or_repetitions
            a_full_page_without_successor_is_the_last
            a_page_ends_where_its_scan_does
            pages_of_short_scans_have_no_gaps_or_repetitions
            an_empty_store_lists_nothing
            every_message_filter_selects_matching_messages
            a_recipient_is_found_in_every_spelling
            filters_are_combined_and_apply_to_every_page
            a_duplicate_does_not_move_a_message_in_the_list
        }
    };
}
