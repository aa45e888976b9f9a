//! What every [`Maintenance`] must do.

pub mod channels;
pub mod log;
pub mod messages;
pub mod runs;
pub mod walks;

mod steps;

pub use channels::*;
pub use log::*;
pub use messages::*;
pub use runs::*;
pub use walks::*;

use ports::{ChannelStore, EventLog, Maintenance, ReportStore};

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
            a_clock_in_the_past_removes_nothing
            a_report_dated_after_the_current_time_holds_the_log_until_it_is_released
            no_step_removes_more_than_its_budget
            racing_steps_remove_everything_once
            a_log_of_new_reports_stays_as_it_is
            a_message_without_its_reports_still_tells_them
            a_report_after_those_that_are_gone_knows_what_they_said
            days_are_made_room_for_once

            old_messages_go_when_their_reports_are_gone
            a_message_that_was_heard_of_lately_stays
            a_message_that_is_reported_on_meanwhile_stays

            no_step_looks_at_more_messages_than_its_budget
            messages_that_stay_are_not_looked_at_again_within_a_day
            a_walk_that_takes_longer_than_a_day_comes_to_its_end
            a_message_heard_of_at_an_earlier_time_goes_with_the_next_walk
            a_clock_that_is_set_back_stops_nothing
            racing_steps_remove_every_message_once

            a_shorter_time_removes_messages_of_its_channel_only
            a_longer_time_keeps_the_messages_of_its_channel
            a_message_of_a_channel_stays_while_the_log_has_its_reports
            a_changed_time_is_gone_by_at_once
            a_time_that_is_taken_back_is_the_services_again
            messages_of_a_removed_channel_go_by_the_services_time

            a_run_is_noted_for_its_kind
            what_is_older_than_a_time_is_known
        }
    };
}

/// A store that records reports of channels, hands them out and removes them.
pub trait RetainingStore: ReportStore + EventLog + Maintenance + ChannelStore {}

impl<S> RetainingStore for S where S: ReportStore + EventLog + Maintenance + ChannelStore {}
