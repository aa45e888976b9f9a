//! What every store of subscriptions and deliveries must do: the ports of
//! [`ports::subscriptions`].

pub mod attempts;
pub mod entries;
pub mod history;
pub mod leases;
pub mod listing;
pub mod losses;
pub mod positions;
pub mod recording;
pub mod retention;
pub mod sharing;

mod steps;

pub use attempts::*;
pub use entries::*;
pub use history::*;
pub use leases::*;
pub use listing::*;
pub use losses::*;
pub use positions::*;
pub use recording::*;
pub use retention::*;
pub use sharing::*;
pub(super) use steps::LONG;

use ports::{DeliveryQueue, DeliveryStore, Maintenance, ReportStore, SubscriptionStore};

/// A store with reports and the subscriptions to their events.
pub trait EventDeliveryStore:
    ReportStore + SubscriptionStore + DeliveryQueue + DeliveryStore + Maintenance
{
}

impl<S> EventDeliveryStore for S where
    S: ReportStore + SubscriptionStore + DeliveryQueue + DeliveryStore + Maintenance
{
}

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __subscriptions_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            a_subscription_is_found_as_it_was_added
            an_unknown_subscription_is_none
            subscriptions_are_listed_oldest_first
            an_id_is_added_once_and_never_reused
            a_change_replaces_everything_but_the_creation_time
            a_change_of_another_version_is_refused
            one_of_many_racing_changes_succeeds
            a_reactivated_subscription_is_not_failing
            removing_a_subscription_removes_its_deliveries
            a_status_counts_pending_and_dead_deliveries

            deliveries_are_listed_newest_first_in_pages_without_gaps
            every_delivery_filter_selects_matching_deliveries
            deliveries_of_a_known_message_are_found
            a_page_of_deliveries_ends_where_its_scan_does
            deliveries_in_short_scans_have_no_gaps_or_repetitions
            an_unknown_delivery_is_none
            a_retried_delivery_is_pending_and_keeps_its_history
            a_retried_delivery_is_retried_as_long_as_a_new_one
            retry_all_retries_matching_deliveries
            retry_all_runs_in_steps
            enqueued_deliveries_are_pending_at_the_next_claim
            only_existing_bodies_are_replaced
            a_rewound_subscription_continues_from_its_new_position
            skipping_moves_a_subscription_forwards_only

            a_subscription_is_claimed_by_one_worker
            paused_and_ended_subscriptions_are_not_claimed
            the_subscription_that_waited_longest_is_claimed_first
            an_expired_lease_can_be_claimed
            an_expired_lease_is_held_until_another_worker_claims_it
            a_renewed_lease_lasts_from_its_renewal
            a_released_subscription_can_be_claimed_immediately
            only_the_last_lease_can_be_released
            every_lease_has_a_greater_token
            racing_claims_get_different_subscriptions
            finishing_sets_the_state_and_releases_the_lease

            active_workers_share_all_subscriptions
            fair_shares_are_rounded_up
            a_worker_that_left_has_no_share
            an_inactive_worker_loses_its_share
            racing_workers_reach_their_fair_shares

            changes_by_others_revoke_the_lease
            a_lost_lease_blocks_claims_until_it_is_released
            operations_without_effect_do_not_revoke_the_lease
            nothing_is_written_without_the_lease
            racing_workers_never_share_a_lease

            a_delivery_is_read_as_it_was_recorded
            recording_deliveries_is_idempotent
            recording_again_does_not_change_the_event_of_a_delivery
            the_body_of_a_delivered_event_is_not_kept
            the_last_of_two_records_of_one_delivery_applies
            progress_is_persisted
            a_claim_returns_pending_deliveries_in_log_order
            a_claim_returns_at_most_the_maximum
            pending_deliveries_are_read_completely
            many_deliveries_are_recorded_at_once
            subscriptions_do_not_see_each_others_deliveries

            finished_deliveries_are_pruned_oldest_first
            pending_deliveries_are_never_pruned
            deliveries_of_removed_subscriptions_are_pruned_first
            erased_deliveries_are_not_sent

            attempts_are_counted_by_outcome_and_start_time
            attempts_of_other_subscriptions_are_not_counted
            the_counted_window_is_truncated_at_its_limit
        }
    };
}
