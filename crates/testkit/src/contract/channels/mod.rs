//! What every [`ChannelStore`](ports::ChannelStore) must do.

pub mod credentials;
pub mod entries;
pub mod revision;

mod steps;

pub use credentials::*;
pub use entries::*;
pub use revision::*;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __channels_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            a_channel_is_found_as_it_was_added
            an_unknown_channel_is_none
            channels_are_listed_by_id_with_their_credentials_oldest_first
            adding_an_id_twice_changes_nothing
            one_of_many_racing_adds_succeeds
            an_update_replaces_everything_but_origin_and_integrator
            an_update_of_another_version_is_outdated
            one_of_many_racing_updates_succeeds
            updating_or_removing_an_unknown_channel_is_absent
            removing_a_channel_removes_its_credentials

            a_channel_has_no_more_live_credentials_than_it_may
            an_expired_credential_does_not_count_towards_the_limit
            racing_credentials_never_exceed_the_limit
            test_credentials_have_a_limit_of_their_own
            one_of_many_racing_test_credentials_is_added
            adding_a_credential_to_an_unknown_channel_is_absent
            a_removed_credential_is_gone
            a_credential_is_removed_from_its_own_channel_only
            touch_keeps_the_latest_time
            call_counts_add_up_and_are_removed_with_their_channel

            every_change_changes_the_revision
            operations_without_effect_do_not_change_the_revision
            another_store_on_the_same_data_sees_changes
        }
    };
}
