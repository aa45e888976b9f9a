//! What every store of subscriptions and deliveries must do: the ports of
//! [`ports::subscriptions`], which tell of each other.

pub mod attempts;
pub mod entries;
pub mod history;
pub mod leases;
pub mod losses;
pub mod recording;
pub mod retention;
pub mod sharing;

mod steps;

pub use attempts::*;
pub use entries::*;
pub use history::*;
pub use leases::*;
pub use losses::*;
pub use recording::*;
pub use retention::*;
pub use sharing::*;
pub(super) use steps::LONG;

use ports::{DeliveryQueue, DeliveryStore, Maintenance, ReportStore, SubscriptionStore};

/// A store with reports and the subscriptions to their events.
pub trait PushingStore:
    ReportStore + SubscriptionStore + DeliveryQueue + DeliveryStore + Maintenance
{
}

impl<S> PushingStore for S where
    S: ReportStore + SubscriptionStore + DeliveryQueue + DeliveryStore + Maintenance
{
}

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __subscriptions_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            a_subscription_comes_back_as_it_was_added
            a_subscription_nobody_added_is_none
            subscriptions_are_listed_from_the_oldest
            an_id_is_added_once_and_does_not_come_again
            a_change_replaces_everything_but_the_origin
            a_change_of_another_version_is_refused
            one_of_many_racing_changes_is_made
            one_that_becomes_active_again_is_not_failing_any_more
            a_removed_subscription_is_gone_with_its_deliveries
            a_status_counts_what_is_open_and_what_is_dead

            deliveries_come_from_the_latest_report_in_pages_without_gap
            every_filter_of_deliveries_lets_through_what_it_names
            deliveries_of_a_known_message_are_found
            a_delivery_nobody_recorded_is_none
            a_retried_delivery_is_open_with_its_history
            a_retried_delivery_has_as_long_as_a_new_one
            retrying_all_takes_what_the_filter_lets_through
            retrying_all_is_done_in_steps
            enqueued_deliveries_are_open_for_the_next_claim
            bodies_are_replaced_where_there_are_any
            a_rewound_subscription_is_read_from_there
            a_subscription_skips_what_is_gone_and_no_more

            a_subscription_is_claimed_by_one
            what_is_paused_or_ended_is_not_claimed
            the_one_that_waited_longest_is_claimed_first
            a_lease_that_is_over_can_be_claimed
            a_lease_that_is_over_is_held_until_somebody_claims
            a_renewed_lease_lasts_from_then_on
            a_released_subscription_can_be_claimed_at_once
            only_the_last_lease_can_be_released
            every_lease_has_a_greater_token
            of_many_claims_at_once_no_two_get_the_same
            a_finished_subscription_has_another_state_and_is_free

            workers_that_ask_share_what_there_is
            a_share_is_never_too_small_for_all_to_be_served
            a_worker_that_leaves_has_no_share
            a_worker_that_asks_no_more_has_no_share_after_a_while
            racing_workers_come_to_their_shares

            a_lease_is_lost_by_what_its_holder_does_not_know_of
            a_lost_lease_keeps_others_away_until_it_is_released
            what_changes_nothing_keeps_the_lease
            nothing_is_written_without_the_lease
            racing_workers_never_write_under_the_same_lease

            a_delivery_comes_back_as_it_was_recorded
            recording_again_changes_nothing
            what_a_delivery_is_about_stays_as_it_was
            the_body_of_a_delivered_event_is_not_kept
            of_the_same_delivery_twice_the_last_counts
            progress_is_taken_down
            a_claim_hands_out_open_deliveries_in_log_order
            a_claim_hands_out_no_more_than_it_may
            what_is_open_is_read_whole
            many_deliveries_are_recorded_at_once
            subscriptions_do_not_see_each_others_deliveries

            finished_deliveries_are_pruned_the_oldest_first
            open_deliveries_are_never_pruned
            deliveries_of_removed_subscriptions_are_pruned_first
            forgotten_bodies_are_sent_no_more

            attempts_are_counted_by_how_they_ended_and_when_they_began
            attempts_of_other_subscriptions_are_not_counted
            where_too_much_has_ended_attempts_are_counted_from_a_later_time
        }
    };
}
