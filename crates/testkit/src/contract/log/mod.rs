//! What every [`EventLog`] must do.

pub mod following;
pub mod reading;

mod reader;

pub use following::*;
pub use reader::{Reader, page};
pub use reading::*;

use ports::{EventLog, ReportStore};

/// A store that records reports and hands them out.
pub trait LoggingStore: ReportStore + EventLog {}

impl<S: ReportStore + EventLog> LoggingStore for S {}

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            every_report_is_handed_out_once_with_the_state_before_it
            pages_of_every_size_tell_the_same_log
            the_reports_of_a_message_are_handed_out_by_revision
            reading_again_hands_out_the_same
            duplicates_are_not_handed_out
            an_empty_log_is_complete_and_its_reader_stays_where_it_is
            a_page_says_whether_there_is_more
            the_head_is_behind_what_was_handed_out
            what_is_recorded_after_the_head_comes_behind_it
            a_log_can_be_read_from_a_time_on
            a_time_after_all_reports_is_the_head
            another_store_on_the_same_data_hands_out_the_same
            what_is_behind_a_position_is_counted_up_to_a_limit

            many_writers_and_a_reader_that_follows_them
            a_reader_that_follows_sees_every_change_of_a_message_in_order
        }
    };
}
