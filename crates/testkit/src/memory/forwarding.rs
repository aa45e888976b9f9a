//! Requests that wait to be forwarded.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::forwarding::{ForwardingBacklog, ForwardingFailure, WaitingRequests};
use domain::{ChannelId, ForwardedRequestKey, Timestamp};
use ports::StoreError;
use ports::forwarding::{
    ClaimedRequest, ForwardedRequestStore, NewForwardedRequest, PostponedRequest, RequestClaim,
    StoredRequest,
};

use super::MemoryStore;

const FUTURE_MICROS: i64 = 3_600_000_000;
const LONGEST_DELAY_MICROS: i64 = 25 * 3_600_000_000;
const MAX_REMOVED: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Forwarding {
    waiting: BTreeMap<ForwardedRequestKey, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: NewForwardedRequest,
    next_attempt_at: Timestamp,
    attempts: u32,
    failure: Option<ForwardingFailure>,
}

impl Forwarding {
    pub(super) fn remove(&mut self, channel: &ChannelId) {
        self.waiting.retain(|key, _| key.channel != *channel);
    }

    fn of<'a>(&'a self, channel: &'a ChannelId) -> impl Iterator<Item = &'a Waiting> {
        let all = self.waiting.values();
        all.filter(move |waiting| waiting.request.key.channel == *channel)
    }

    fn backlog(&self, channel: &ChannelId) -> ForwardingBacklog {
        let sizes = self.of(channel).map(|it| it.request.sealed.0.len());
        let mut backlog = (0, 0);
        for size in sizes {
            backlog = (backlog.0 + 1, backlog.1 + whole(size));
        }
        ForwardingBacklog::new(backlog.0, backlog.1)
    }

    fn store(
        &mut self,
        request: &NewForwardedRequest,
        backlog: &mut ForwardingBacklog,
    ) -> StoredRequest {
        if self.waiting.contains_key(&request.key) {
            return StoredRequest::AlreadyWaiting;
        }
        if !backlog.add(request.sealed.0.len()) {
            return StoredRequest::Full;
        }
        let waiting = Waiting {
            request: request.clone(),
            next_attempt_at: request.arrived_at,
            attempts: 0,
            failure: None,
        };
        self.waiting.insert(request.key.clone(), waiting);
        StoredRequest::Stored
    }

    pub(super) fn has_arrived_before(&self, before: Timestamp) -> bool {
        let mut all = self.waiting.values();
        all.any(|waiting| waiting.request.arrived_at < before)
    }

    fn status(&self, channel: &ChannelId) -> Option<WaitingRequests> {
        let failures = self.of(channel).filter_map(|it| it.failure.clone());
        Some(WaitingRequests {
            requests: whole(self.of(channel).count()),
            bytes: self
                .of(channel)
                .map(|it| whole(it.request.sealed.0.len()))
                .sum(),
            oldest_at: self.of(channel).map(|it| it.request.arrived_at).min()?,
            last_failure: failures.max_by_key(|failure| failure.at),
        })
    }
}

#[async_trait]
impl ForwardedRequestStore for MemoryStore {
    async fn store_requests(
        &self,
        requests: &[NewForwardedRequest],
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let mut data = self.open()?;
        let mut backlogs = BTreeMap::new();
        let mut outcomes = Vec::new();
        for request in requests {
            let channel = &request.key.channel;
            if !data.channels.forwards(channel) {
                outcomes.push(StoredRequest::NotForwarding);
                continue;
            }
            let backlog = backlogs
                .entry(channel)
                .or_insert_with(|| data.forwarding.backlog(channel));
            outcomes.push(data.forwarding.store(request, backlog));
        }
        Ok(outcomes)
    }

    async fn claim_requests(
        &self,
        claim: &RequestClaim<'_>,
    ) -> Result<Vec<ClaimedRequest>, StoreError> {
        let mut data = self.open()?;
        let mut due: Vec<(u16, Timestamp, ForwardedRequestKey)> = Vec::new();
        for channel in claim.channels {
            let waiting = data.forwarding.of(&channel.id);
            let waiting = waiting.filter(|it| it.next_attempt_at <= claim.now);
            let mut of_channel: Vec<_> = waiting
                .map(|it| (it.next_attempt_at, it.request.key.clone()))
                .collect();
            of_channel.sort();
            of_channel.truncate(claim.per_channel.into());
            let ranked = (channel.in_flight..).zip(of_channel);
            due.extend(ranked.map(|(rank, (due_at, key))| (rank, due_at, key)));
        }
        due.sort();
        due.truncate(claim.total.into());
        let lease = i64::try_from(claim.lease.as_micros()).unwrap_or(i64::MAX);
        let mut claimed = Vec::new();
        for (_, _, key) in due {
            if let Some(waiting) = data.forwarding.waiting.get_mut(&key) {
                waiting.next_attempt_at = claim.now.plus_micros(lease);
                waiting.attempts += 1;
                claimed.push(ClaimedRequest {
                    key,
                    sealed: waiting.request.sealed.clone(),
                    attempts: waiting.attempts,
                });
            }
        }
        Ok(claimed)
    }

    async fn record_forwarding(
        &self,
        forwarded: &[ForwardedRequestKey],
        postponed: &[PostponedRequest],
    ) -> Result<(), StoreError> {
        let mut data = self.open()?;
        for key in forwarded {
            data.forwarding.waiting.remove(key);
        }
        for request in postponed {
            let waiting = data.forwarding.waiting.get_mut(&request.key);
            if let Some(waiting) = waiting.filter(|it| it.attempts == request.attempts) {
                waiting.next_attempt_at = request.next_attempt_at;
                waiting.failure = Some(request.failure.clone());
            }
        }
        Ok(())
    }

    async fn restore_due_times(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut data = self.open()?;
        let longest = now.plus_micros(LONGEST_DELAY_MICROS);
        let future = now.plus_micros(FUTURE_MICROS);
        let mut restored = 0;
        for waiting in data.forwarding.waiting.values_mut() {
            let due_at = waiting.next_attempt_at;
            if due_at > longest || (waiting.attempts == 0 && due_at > future) {
                waiting.next_attempt_at = now;
                restored += 1;
            }
        }
        Ok(restored)
    }

    async fn remove_old_requests(
        &self,
        arrived_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<(ChannelId, u64)>, StoreError> {
        let mut data = self.open()?;
        let future = now.plus_micros(FUTURE_MICROS);
        let all = data.forwarding.waiting.values_mut();
        for waiting in all.filter(|it| it.request.arrived_at > future) {
            waiting.request.arrived_at = now;
            waiting.next_attempt_at = now;
        }
        let all = data.forwarding.waiting.values();
        let old = all.filter(|it| it.request.arrived_at < arrived_before);
        let mut old: Vec<_> = old
            .map(|it| (it.request.arrived_at, it.request.key.clone()))
            .collect();
        old.sort();
        old.truncate(MAX_REMOVED);
        let mut removed = BTreeMap::new();
        for (_, key) in old {
            data.forwarding.waiting.remove(&key);
            *removed.entry(key.channel).or_insert(0) += 1;
        }
        Ok(removed.into_iter().collect())
    }

    async fn waiting_requests(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<Vec<(ChannelId, WaitingRequests)>, StoreError> {
        let data = self.open()?;
        let mut channels: Vec<_> = data
            .forwarding
            .waiting
            .keys()
            .map(|key| &key.channel)
            .collect();
        channels.dedup();
        let wanted = channels
            .into_iter()
            .filter(|it| channel.is_none_or(|one| one == *it));
        let all = wanted.filter_map(|it| Some((it.clone(), data.forwarding.status(it)?)));
        Ok(all.collect())
    }
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
