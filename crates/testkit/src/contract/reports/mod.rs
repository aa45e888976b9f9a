//! What every [`ReportStore`](ports::ReportStore) must do.

pub mod histories;
pub mod listing;
pub mod races;
pub mod values;

mod model;

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
            random_histories_give_the_domains_answer
            one_message_may_stand_in_a_batch_several_times
            a_duplicate_is_counted_and_not_logged_again
            recording_a_batch_twice_doubles_nothing
            the_same_sid_on_another_channel_is_another_message
            an_earlier_report_recorded_later_moves_first_times_and_parties_back
            an_empty_batch_is_no_work
            a_message_nobody_reported_is_none
            the_reports_of_a_message_come_in_the_order_they_were_recorded
            another_store_on_the_same_data_sees_what_was_recorded
            a_store_that_can_record_answers_ping

            many_writers_on_one_message_lose_nothing
            batches_in_opposite_orders_neither_deadlock_nor_fail
            a_batch_raced_by_its_repetition_doubles_nothing

            every_value_comes_back_as_it_was_recorded
            long_and_foreign_values_come_back_whole
            a_nul_in_a_field_does_no_harm
            sids_that_differ_in_case_are_different_messages
            times_keep_their_microseconds_in_every_year
            fields_keep_their_order_and_their_repetitions
            fields_of_the_greatest_size_are_taken
            a_refused_report_leaves_nothing_of_its_batch
            one_refused_report_costs_the_others_nothing

            messages_are_listed_from_the_newest_to_the_oldest
            messages_of_one_microsecond_are_listed_by_key_descending
            pages_have_no_gap_and_no_repetition
            a_page_that_is_just_full_is_the_last
            an_empty_store_lists_nothing
            every_filter_lets_through_what_it_names
            a_recipient_is_found_in_every_spelling
            filters_hold_together_and_on_every_page
            a_duplicate_does_not_move_a_message_in_the_list
        }
    };
}
