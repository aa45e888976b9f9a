//! What every [`Retention`] must do.

pub mod log;
pub mod messages;

mod steps;

pub use log::*;
pub use messages::*;

use ports::{ReportLog, ReportStore, Retention};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __retention_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            old_reports_go_and_readers_behind_are_told
            old_days_that_were_made_room_for_go_as_well
            a_log_that_is_all_old_goes_and_begins_anew
            an_old_report_that_was_recorded_lately_stays
            a_report_from_a_clock_that_was_ahead_goes_with_its_neighbours
            no_step_removes_more_than_its_budget
            racing_steps_remove_everything_once
            a_log_of_new_reports_stays_as_it_is
            a_message_without_its_reports_still_tells_them
            a_report_after_those_that_are_gone_knows_what_they_said
            days_are_made_room_for_once

            old_messages_go_when_their_reports_are_gone
            a_message_that_was_heard_of_lately_stays
            no_step_removes_more_messages_than_its_budget
        }
    };
}

/// A store that records reports, hands them out and removes them.
pub trait RetainingStore: ReportStore + ReportLog + Retention {}

impl<S: ReportStore + ReportLog + Retention> RetainingStore for S {}
