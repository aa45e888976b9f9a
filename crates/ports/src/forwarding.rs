//! Requests that are not reports: they wait in the store until they are forwarded.

use std::time::Duration;

use async_trait::async_trait;
use domain::crypto::SealedSecret;
use domain::forwarding::{ForwardingFailure, WaitingRequests};
use domain::webhook::TargetUrl;
use domain::{ChannelId, ForwardedRequest, ForwardedRequestKey, Timestamp};

use crate::StoreError;
use crate::webhook_sender::{Delivered, SendError};

/// A request to store until it is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewForwardedRequest {
    /// Channel and hash of the body.
    pub key: ForwardedRequestKey,
    /// The encoded request, sealed.
    pub sealed: SealedSecret,
    /// When it arrived.
    pub arrived_at: Timestamp,
}

/// The result of storing a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredRequest {
    /// It is stored and due.
    Stored,
    /// The same request waits already; nothing was changed.
    AlreadyWaiting,
    /// Too many requests, or too large ones, of the channel wait
    /// ([`domain::forwarding::ForwardingBacklog`]). It is not stored.
    Full,
    /// The channel has no forward URL, or does not exist. It is not stored.
    NotForwarding,
}

/// A channel to claim requests of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimableChannel {
    /// Its id.
    pub id: ChannelId,
    /// How many of its requests the caller is sending.
    pub in_flight: u16,
}

/// Which requests to claim.
#[derive(Clone, Copy, Debug)]
pub struct RequestClaim<'a> {
    /// Requests of these channels.
    pub channels: &'a [ClaimableChannel],
    /// The maximum number of requests of each channel.
    pub per_channel: u16,
    /// The maximum number of requests of all channels.
    pub total: u16,
    /// The present time.
    pub now: Timestamp,
    /// How long other claims leave them out.
    pub lease: Duration,
}

/// A claimed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRequest {
    /// Channel and hash of the body.
    pub key: ForwardedRequestKey,
    /// The encoded request, sealed.
    pub sealed: SealedSecret,
    /// How often it was claimed, this time included.
    pub attempts: u32,
}

/// A claimed request that was not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostponedRequest {
    /// Channel and hash of the body.
    pub key: ForwardedRequestKey,
    /// As claimed: a request that was claimed again since then is left as it is.
    pub attempts: u32,
    /// When it is due again.
    pub next_attempt_at: Timestamp,
    /// When and why the attempt failed.
    pub failure: ForwardingFailure,
}

/// Stores requests until they are forwarded.
///
/// A channel's requests are removed when the channel is removed, and when its forward URL is
/// ([`ChannelStore::update`](crate::ChannelStore::update)).
#[async_trait]
pub trait ForwardedRequestStore: Send + Sync {
    /// Stores requests that are due at once, and returns the result of each, in their order. Those
    /// that are stored are durable. Requests that other calls are storing at the same time may
    /// exceed the maximum by as much as they contain.
    async fn store_requests(
        &self,
        requests: &[NewForwardedRequest],
    ) -> Result<Vec<StoredRequest>, StoreError>;

    /// Returns requests that are due, and postpones them by the lease. Of each channel, those that
    /// are due for the longest time come first. Channels share `total` equally, requests in flight
    /// included: a request comes before those of other channels that would then have more in
    /// flight, and before equal ones that are due later. Of many concurrent claims no two get the
    /// same request. A request that is neither removed nor postponed until its lease ends is due
    /// again.
    async fn claim_requests(
        &self,
        claim: &RequestClaim<'_>,
    ) -> Result<Vec<ClaimedRequest>, StoreError>;

    /// Removes requests that were forwarded or given up, and postpones others, in one step. Those
    /// that are no longer stored change nothing.
    async fn record_forwarding(
        &self,
        forwarded: &[ForwardedRequestKey],
        postponed: &[PostponedRequest],
    ) -> Result<(), StoreError>;

    /// Makes requests due that a wrong clock postponed, and returns how many: those that are due
    /// more than 25 hours after `now`, and those never claimed that are due more than an hour after
    /// `now`.
    async fn restore_due_times(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Removes requests that arrived before `arrived_before`, at most 1,000, the oldest first, and
    /// returns how many of which channel, by channel id. Requests that arrived more than an hour
    /// after `now` were stored before the clock was set back: they count as arrived `now` and are
    /// due.
    async fn remove_old_requests(
        &self,
        arrived_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<(ChannelId, u64)>, StoreError>;

    /// Returns what waits of a channel, or of all, by channel id. Channels of which nothing waits
    /// are left out.
    async fn waiting_requests(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<Vec<(ChannelId, WaitingRequests)>, StoreError>;
}

/// Forwards requests.
#[async_trait]
pub trait RequestForwarder: Send + Sync {
    /// Sends a request once with POST and waits for the response until a configured timeout, like
    /// [`WebhookSender::deliver`](crate::WebhookSender::deliver), with the same limits and the same
    /// checks of addresses. Its header lines and body are sent as they are, without a signature of
    /// this service.
    async fn forward(
        &self,
        url: &TargetUrl,
        request: &ForwardedRequest,
    ) -> Result<Delivered, SendError>;
}
