//! What every [`ForwardedRequestStore`] must do.

mod claiming;
mod recording;
mod removing;
mod storing;

pub use claiming::*;
pub use recording::*;
pub use removing::*;
pub use storing::*;

use std::collections::HashSet;
use std::time::Duration;

use domain::crypto::SealedSecret;
use domain::forwarding::{ForwardingFailure, WaitingRequests};
use domain::{ChannelId, ForwardedRequestKey};
use ports::channels::Change;
use ports::forwarding::{
    ClaimableChannel, ClaimedRequest, NewForwardedRequest, PostponedRequest, RequestClaim,
    StoredRequest,
};
use ports::{ChannelStore, ForwardedRequestStore, Maintenance};

use crate::builders::{CHANNEL, channel, channel_id, credential, time};
use crate::contract::Stores;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __forwarding_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            stored_request_is_claimed_with_its_bytes
            same_request_is_stored_once_while_it_waits
            channel_without_forward_url_stores_nothing
            number_of_waiting_requests_is_limited_per_channel
            size_of_waiting_requests_is_limited_per_channel
            racing_claims_get_different_requests
            request_is_due_again_after_its_lease
            claim_takes_the_longest_due_and_so_many_of_each_channel
            channels_with_fewer_requests_in_flight_are_claimed_first
            postponed_request_is_due_at_its_time_with_its_error
            late_record_of_an_earlier_claim_changes_nothing
            forwarded_request_is_removed
            old_requests_are_removed_and_counted_by_channel
            request_from_the_future_counts_as_arrived_now
            requests_that_a_wrong_clock_postponed_become_due
            old_requests_are_known_to_retention
            removing_the_forward_url_removes_what_waits
            removing_the_channel_removes_what_waits
        }
    };
}

/// The ports that forwarding needs.
pub trait ForwardingStore: ForwardedRequestStore + ChannelStore + Maintenance {}
impl<S: ForwardedRequestStore + ChannelStore + Maintenance> ForwardingStore for S {}

pub(super) type Forwarding = Stores<dyn ForwardingStore>;

pub(super) const OTHER: &str = "Other.channel-1";
pub(super) const URL: &str = "https://inbox.example.com/whatsapp?token=a";
pub(super) const LEASE: Duration = Duration::from_mins(1);
pub(super) const NOW: i64 = 1_795_370_777_000_001;

pub(super) async fn add_channel(stores: &Forwarding, id: &str) {
    let forwarding = channel(id).integrator("meta").forward_url(URL).build();
    let first = credential(id, if id == CHANNEL { 1 } else { 2 }).build();
    let added = stores.one.add(&forwarding, &first);
    assert_eq!(added.await.expect("the store is there"), Change::Done);
}

pub(super) fn key(channel: &str, number: u16) -> ForwardedRequestKey {
    let mut body_hash = [0; 32];
    let [high, low] = number.to_be_bytes();
    (body_hash[0], body_hash[1], body_hash[31]) = (low, high, 0xff);
    ForwardedRequestKey {
        channel: channel_id(channel),
        body_hash,
    }
}

pub(super) fn request(channel: &str, number: u16, arrived_at: i64) -> NewForwardedRequest {
    NewForwardedRequest {
        key: key(channel, number),
        sealed: SealedSecret((0..=255).chain([0, 0xff, b'\'', b'"', b'\\']).collect()),
        arrived_at: time(arrived_at),
    }
}

pub(super) async fn store(
    stores: &Forwarding,
    requests: &[NewForwardedRequest],
) -> Vec<StoredRequest> {
    let outcomes = stores.one.store_requests(requests).await;
    outcomes.expect("the store is there")
}

pub(super) async fn claim_of(
    stores: &Forwarding,
    channels: &[&str],
    limits: (u16, u16),
    now: i64,
) -> Vec<ClaimedRequest> {
    let channels: Vec<_> = channels.iter().map(|id| claimable(id, 0)).collect();
    claim_beside(stores, &channels, limits, now).await
}

pub(super) fn claimable(id: &str, in_flight: u16) -> ClaimableChannel {
    ClaimableChannel {
        id: channel_id(id),
        in_flight,
    }
}

pub(super) async fn claim_beside(
    stores: &Forwarding,
    channels: &[ClaimableChannel],
    (per_channel, total): (u16, u16),
    now: i64,
) -> Vec<ClaimedRequest> {
    let claim = RequestClaim {
        channels,
        per_channel,
        total,
        now: time(now),
        lease: LEASE,
    };
    let claimed = stores.other.claim_requests(&claim).await;
    claimed.expect("the store is there")
}

pub(super) async fn claim(stores: &Forwarding, now: i64) -> Vec<ClaimedRequest> {
    claim_of(stores, &[CHANNEL], (100, 100), now).await
}

pub(super) async fn record(
    stores: &Forwarding,
    forwarded: &[ForwardedRequestKey],
    postponed: &[PostponedRequest],
) {
    let recorded = stores.one.record_forwarding(forwarded, postponed).await;
    recorded.expect("the store is there");
}

pub(super) fn postponed(claimed: &ClaimedRequest, until: i64, error: &str) -> PostponedRequest {
    PostponedRequest {
        key: claimed.key.clone(),
        attempts: claimed.attempts,
        next_attempt_at: time(until),
        failure: ForwardingFailure {
            at: time(until - 5),
            error: error.to_owned(),
        },
    }
}

pub(super) async fn waiting(stores: &Forwarding) -> Option<WaitingRequests> {
    let channel = channel_id(CHANNEL);
    let found = stores.other.waiting_requests(Some(&channel)).await;
    let mut found = found.expect("the store is there");
    assert!(found.len() <= 1);
    let (of, waiting) = found.pop()?;
    assert_eq!(of, channel);
    Some(waiting)
}

pub(super) async fn remove_old(
    stores: &Forwarding,
    before: i64,
    now: i64,
) -> Vec<(ChannelId, u64)> {
    let removed = stores.other.remove_old_requests(time(before), time(now));
    removed.await.expect("the store is there")
}

pub(super) fn keys(claimed: &[ClaimedRequest]) -> HashSet<ForwardedRequestKey> {
    claimed.iter().map(|claimed| claimed.key.clone()).collect()
}
