//! What every [`Maintenance`] must do.

pub mod channels;
pub mod log;
pub mod messages;
pub mod runs;
pub mod scans;

mod steps;

pub use channels::*;
pub use log::*;
pub use messages::*;
pub use runs::*;
pub use scans::*;

use ports::{ChannelStore, EventLog, Maintenance, ReportStore};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __retention_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            old_reports_are_removed_and_readers_before_the_cut_get_pruned
            old_days_with_partitions_are_removed
            an_expired_log_is_removed_and_can_be_written_again
            a_recently_recorded_old_report_is_kept
            a_clock_in_the_past_removes_nothing
            a_report_dated_after_the_current_time_holds_the_log_until_it_is_released
            no_step_removes_more_than_its_budget
            racing_retention_steps_remove_every_report_once
            a_log_of_new_reports_is_not_pruned
            a_message_keeps_its_state_without_its_reports
            a_report_after_pruned_ones_has_the_state_before_it
            partitions_are_created_once

            old_messages_are_removed_after_their_reports
            a_recently_reported_message_is_kept
            a_message_reported_during_the_scan_is_kept
            the_aliases_of_a_removed_message_are_removed

            no_step_examines_more_messages_than_its_budget
            kept_messages_are_not_examined_again_within_a_day
            a_scan_that_takes_longer_than_a_day_completes
            a_message_moved_before_the_cursor_is_removed_by_the_next_scan
            setting_the_clock_back_does_not_stop_the_scan
            racing_scan_steps_remove_every_message_once

            a_shorter_retention_removes_messages_of_its_channel_only
            a_longer_retention_keeps_the_messages_of_its_channel
            a_message_of_a_channel_stays_while_the_log_has_its_reports
            a_changed_retention_takes_effect_immediately
            removing_a_channels_retention_restores_the_general_one
            messages_of_a_removed_channel_have_the_general_retention

            a_retention_run_is_stored_per_kind
            has_older_finds_expired_data
        }
    };
}

/// A store that records reports of channels, hands them out and removes them.
pub trait RetainingStore: ReportStore + EventLog + Maintenance + ChannelStore {}

impl<S> RetainingStore for S where S: ReportStore + EventLog + Maintenance + ChannelStore {}
