//! Channels and their credentials.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{
    Channel, ChannelCalls, ChannelId, Credential, CredentialId, RetentionDays, Timestamp,
};
use ports::StoreError;
use ports::channels::{Change, ChannelStore, ChannelWithCredentials};

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Channels {
    by_id: BTreeMap<ChannelId, ChannelWithCredentials>,
    calls: BTreeMap<ChannelId, ChannelCalls>,
    revision: i64,
}

impl Channels {
    pub(super) fn contains(&self, id: &ChannelId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn forwards(&self, id: &ChannelId) -> bool {
        let found = self.by_id.get(id);
        found.is_some_and(|kept| kept.channel.forward_url.is_some())
    }

    /// Returns the channels with a retention of their own.
    pub(super) fn keep_messages_days(&self) -> BTreeMap<ChannelId, RetentionDays> {
        let all = self.by_id.iter();
        all.filter_map(|(id, kept)| Some((id.clone(), kept.channel.keep_messages_days?)))
            .collect()
    }
}

#[async_trait]
impl ChannelStore for MemoryStore {
    async fn revision(&self) -> Result<i64, StoreError> {
        Ok(self.open()?.channels.revision)
    }

    async fn all(&self) -> Result<Vec<ChannelWithCredentials>, StoreError> {
        Ok(self.open()?.channels.by_id.values().cloned().collect())
    }

    async fn find(&self, id: &ChannelId) -> Result<Option<ChannelWithCredentials>, StoreError> {
        Ok(self.open()?.channels.by_id.get(id).cloned())
    }

    async fn add(&self, channel: &Channel, credential: &Credential) -> Result<Change, StoreError> {
        self.change(|channels| {
            if channels.contains_key(&channel.id) {
                return Change::Exists;
            }
            let added = ChannelWithCredentials {
                channel: channel.clone(),
                credentials: vec![credential.clone()],
            };
            channels.insert(channel.id.clone(), added);
            Change::Done
        })
    }

    async fn update(&self, channel: &Channel) -> Result<Change, StoreError> {
        let updated = self.change(|channels| match channels.get_mut(&channel.id) {
            None => Change::Absent,
            Some(kept) if kept.channel.version.checked_add(1) != Some(channel.version) => {
                Change::Outdated
            }
            Some(kept) => {
                kept.channel = Channel {
                    created_at: kept.channel.created_at,
                    integrator: kept.channel.integrator.clone(),
                    ..channel.clone()
                };
                Change::Done
            }
        })?;
        if updated == Change::Done && channel.forward_url.is_none() {
            self.open()?.forwarding.remove(&channel.id);
        }
        Ok(updated)
    }

    async fn remove(&self, id: &ChannelId) -> Result<Change, StoreError> {
        let removed = self.change(|channels| match channels.remove(id) {
            Some(_) => Change::Done,
            None => Change::Absent,
        });
        self.open()?.channels.calls.remove(id);
        self.open()?.reconciliations.remove(id);
        self.open()?.callback_alerts.remove(id);
        self.open()?.forwarding.remove(id);
        removed
    }

    async fn add_credential(&self, credential: &Credential) -> Result<Change, StoreError> {
        self.change(|channels| {
            let Some(kept) = channels.get_mut(&credential.channel) else {
                return Change::Absent;
            };
            let now = credential.created_at;
            let live = |it: &&Credential| it.is_live(now) && it.is_test == credential.is_test;
            if kept.credentials.iter().filter(live).count() >= credential.live_max() {
                return Change::Full;
            }
            kept.credentials.retain(|it| it.is_live(now) || !it.is_test);
            kept.credentials.push(credential.clone());
            kept.credentials.sort_by_key(|it| (it.created_at, it.id));
            Change::Done
        })
    }

    async fn remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, StoreError> {
        self.change(|channels| {
            let credentials = channels.get_mut(channel).map(|kept| &mut kept.credentials);
            let found = credentials.and_then(|credentials| {
                let place = credentials.iter().position(|it| it.id == id)?;
                Some(credentials.remove(place))
            });
            match found {
                Some(_) => Change::Done,
                None => Change::Absent,
            }
        })
    }

    async fn touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let kept = data.channels.by_id.values_mut();
        for credential in kept.flat_map(|kept| &mut kept.credentials) {
            let times = used.iter().filter(|(id, _)| *id == credential.id);
            let latest = times.map(|(_, at)| *at).max();
            credential.last_used_at = credential.last_used_at.max(latest);
        }
        Ok(())
    }

    async fn count_calls(&self, calls: &[(ChannelId, ChannelCalls)]) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let channels = &mut data.channels;
        for (id, more) in calls {
            if channels.by_id.contains_key(id) {
                let kept = channels.calls.entry(id.clone()).or_default();
                kept.challenged += more.challenged;
                kept.refused += more.refused;
                kept.rejected += more.rejected;
                kept.last_refused_at = kept.last_refused_at.max(more.last_refused_at);
            }
        }
        Ok(())
    }

    async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, StoreError> {
        let calls = self.open()?.channels.calls.get(id).copied();
        Ok(calls.unwrap_or_default())
    }
}

impl MemoryStore {
    /// Makes a change, and increments the revision if it was made.
    fn change(
        &self,
        make: impl FnOnce(&mut BTreeMap<ChannelId, ChannelWithCredentials>) -> Change,
    ) -> Result<Change, StoreError> {
        let mut data = self.open()?;
        let change = make(&mut data.channels.by_id);
        if change == Change::Done {
            data.channels.revision += 1;
        }
        Ok(change)
    }
}
