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
            every_report_is_read_once_with_the_state_before_it
            pages_of_every_size_return_the_same_log
            the_reports_of_a_message_are_read_by_revision
            reading_again_returns_the_same_entries
            pages_of_long_histories_have_no_gaps_or_repetitions
            duplicates_are_not_read
            an_empty_log_is_complete_and_does_not_advance_its_reader
            a_page_says_whether_there_is_more
            the_head_is_after_all_readable_entries
            later_reports_come_after_the_head
            seek_returns_a_position_before_all_later_arrivals
            seek_after_all_reports_returns_the_head
            another_store_on_the_same_data_reads_the_same_log
            reports_after_a_position_are_counted_up_to_a_limit

            a_reader_following_many_writers_misses_nothing
            a_following_reader_sees_every_change_of_a_message_in_order
        }
    };
}
