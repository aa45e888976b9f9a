//! Lists, snoozes and configures troubles.

use std::sync::Arc;

use domain::access::OperatorName;
use domain::page::{Page, PageSize};
use domain::trouble::{
    InvalidSnooze, Snooze, SnoozeReason, StoredOperatorEvent, Trouble, TroubleId, TroubleKind,
    TroubleSettings,
};
use domain::{ChannelId, Timestamp};
use ports::troubles::TroubleFilter;
use ports::{ChannelStore, Environment, OperatorEvents, StoreError, TroubleStore};

/// Lists and snoozes troubles, and changes the settings of their rules.
pub struct ManageTroubles {
    store: Arc<dyn TroubleStore>,
    events: Arc<dyn OperatorEvents>,
    channels: Arc<dyn ChannelStore>,
    environment: Arc<dyn Environment>,
}

/// Why troubles are not managed.
#[derive(Debug, thiserror::Error)]
pub enum TroubleError {
    /// There is no trouble of this id.
    #[error("there is no trouble {0}")]
    NoSuchTrouble(TroubleId),
    /// It is over.
    #[error("trouble {0} is resolved; only an open one can be snoozed")]
    Resolved(TroubleId),
    /// The snooze is not valid.
    #[error(transparent)]
    Snooze(#[from] InvalidSnooze),
    /// There is no channel of this id.
    #[error("there is no channel {0}")]
    NoSuchChannel(ChannelId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The settings that apply to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedSettings {
    /// The settings.
    pub settings: TroubleSettings,
    /// Whether they are its own; otherwise they are those of all channels.
    pub own: bool,
}

impl ManageTroubles {
    /// Creates the use case.
    #[must_use]
    pub fn new(
        store: Arc<dyn TroubleStore>,
        events: Arc<dyn OperatorEvents>,
        channels: Arc<dyn ChannelStore>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            events,
            channels,
            environment,
        }
    }

    /// Returns the present time, which decides whether a snooze lasts.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.environment.now()
    }

    /// Returns a page of the confirmed troubles that match a filter, newest first.
    pub async fn list(
        &self,
        filter: &TroubleFilter,
        after: Option<TroubleId>,
        size: PageSize,
    ) -> Result<Page<Trouble, TroubleId>, TroubleError> {
        Ok(self.store.troubles(filter, after, size).await?)
    }

    /// Returns all open troubles, newest first.
    pub async fn open(&self) -> Result<Vec<Trouble>, TroubleError> {
        let mut open = self.store.unresolved().await?;
        open.retain(|trouble| trouble.state.is_open());
        open.reverse();
        Ok(open)
    }

    /// Returns the troubles of channels that are silent, open or not confirmed yet, oldest first.
    pub async fn silences(&self) -> Result<Vec<Trouble>, TroubleError> {
        let mut silences = self.store.unresolved().await?;
        silences.retain(|trouble| trouble.key.kind == TroubleKind::Silence);
        Ok(silences)
    }

    /// Snoozes an open trouble, or changes its snooze. Returns it.
    pub async fn snooze(
        &self,
        id: TroubleId,
        until: Timestamp,
        reason: SnoozeReason,
        by: OperatorName,
    ) -> Result<Trouble, TroubleError> {
        let snooze = Snooze::new(until, reason, by, self.environment.now())?;
        self.set_snooze(id, Some(snooze)).await
    }

    /// Ends the snooze of an open trouble. Returns it. Without a snooze changes nothing.
    pub async fn end_snooze(&self, id: TroubleId) -> Result<Trouble, TroubleError> {
        self.set_snooze(id, None).await
    }

    async fn set_snooze(
        &self,
        id: TroubleId,
        snooze: Option<Snooze>,
    ) -> Result<Trouble, TroubleError> {
        let trouble = self.store.trouble(id).await?;
        let is_confirmed = |it: &Trouble| it.state.opened_at().is_some();
        let trouble = trouble.filter(is_confirmed);
        let trouble = trouble.ok_or(TroubleError::NoSuchTrouble(id))?;
        if !self.store.set_snooze(id, snooze.as_ref()).await? {
            return Err(TroubleError::Resolved(id));
        }
        Ok(Trouble { snooze, ..trouble })
    }

    /// Returns the settings that apply to a channel; `None`: to channels without settings of their
    /// own, and to what is not about a channel.
    pub async fn settings(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<AppliedSettings, TroubleError> {
        self.require_channel(channel).await?;
        let stored = self.store.trouble_settings().await?;
        let find = |wanted: Option<&ChannelId>| {
            let mut all = stored.iter();
            let found = all.find(|(channel, _)| channel.as_ref() == wanted);
            found.map(|(_, settings)| settings.clone())
        };
        Ok(match find(channel) {
            Some(settings) => AppliedSettings {
                settings,
                own: true,
            },
            None => AppliedSettings {
                settings: find(None).unwrap_or_default(),
                own: false,
            },
        })
    }

    /// Changes the settings of a channel, or those of `None`. Without `settings` those of a channel
    /// are removed, and those of `None` become the ones that are built in. Returns what applies
    /// then.
    pub async fn set_settings(
        &self,
        channel: Option<&ChannelId>,
        settings: Option<&TroubleSettings>,
    ) -> Result<AppliedSettings, TroubleError> {
        self.require_channel(channel).await?;
        self.store.set_trouble_settings(channel, settings).await?;
        self.settings(channel).await
    }

    async fn require_channel(&self, channel: Option<&ChannelId>) -> Result<(), TroubleError> {
        if let Some(channel) = channel
            && self.channels.find(channel).await?.is_none()
        {
            return Err(TroubleError::NoSuchChannel(channel.clone()));
        }
        Ok(())
    }

    /// Returns the operator events after a sequence, in their order. `0` is before the first.
    pub async fn events(
        &self,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<StoredOperatorEvent>, TroubleError> {
        Ok(self.events.operator_events(after, size).await?)
    }
}
