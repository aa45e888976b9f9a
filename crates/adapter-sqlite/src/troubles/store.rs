//! The ports of troubles and operator events.

use std::num::NonZeroU16;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::trouble::rules::JournalUse;
use domain::trouble::{
    Snooze, StoredOperatorEvent, Trouble, TroubleId, TroubleKey, TroubleSettings,
};
use domain::{ChannelId, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::troubles::{
    EvaluationLease, OperatorEventPosition, OperatorEvents, TroubleChanges, TroubleFilter,
    TroubleStore,
};
use sql_rows::troubles::{
    OPERATOR_EVENT_POSITIONS, OPERATOR_EVENTS, RECEIVER_JOURNALS, TROUBLE_SETTINGS, TROUBLES,
    last_snoozes, settings, settings_to_json,
};

use crate::SqliteStore;
use crate::rows::PositionRow;
use crate::runtime::Query as _;

const EVALUATION: &str = "trouble_evaluation";

#[async_trait]
impl TroubleStore for SqliteStore {
    async fn lease_evaluation(
        &self,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<EvaluationLease>, StoreError> {
        let token = self.try_lease_evaluation(holder, lease);
        let token = token
            .run(&self.runtime, "lease evaluation of rules", EVALUATION)
            .await?;
        Ok(token.map(|token| EvaluationLease { token }))
    }

    async fn unresolved(&self) -> Result<Vec<Trouble>, StoreError> {
        let rows = self.unresolved_rows();
        let rows = rows.run(&self.runtime, "read troubles", TROUBLES).await?;
        rows.into_iter().map(Trouble::try_from).collect()
    }

    async fn lasting_snoozes(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(TroubleKey, Snooze)>, StoreError> {
        let rows = self.snoozed_rows(now);
        let rows = rows.run(&self.runtime, "read snoozes", TROUBLES).await?;
        let troubles = rows.into_iter().map(Trouble::try_from);
        Ok(last_snoozes(troubles.collect::<Result<_, _>>()?))
    }

    async fn save_troubles(
        &self,
        lease: &EvaluationLease,
        changes: &TroubleChanges,
    ) -> Result<bool, StoreError> {
        let saved = self.try_save_troubles(lease, changes);
        saved.run(&self.runtime, "save troubles", TROUBLES).await
    }

    async fn trouble(&self, id: TroubleId) -> Result<Option<Trouble>, StoreError> {
        let row = self.trouble_row(id);
        let row = row.run(&self.runtime, "find trouble", TROUBLES).await?;
        row.map(Trouble::try_from).transpose()
    }

    async fn troubles(
        &self,
        filter: &TroubleFilter,
        after: Option<TroubleId>,
        size: PageSize,
    ) -> Result<Page<Trouble, TroubleId>, StoreError> {
        let rows = self.trouble_rows(filter, after, size);
        let rows = rows.run(&self.runtime, "list troubles", TROUBLES).await?;
        let troubles = rows.into_iter().map(Trouble::try_from);
        let troubles = troubles.collect::<Result<_, _>>()?;
        Ok(Page::cut(troubles, size, |trouble: &Trouble| trouble.id))
    }

    async fn set_snooze(&self, id: TroubleId, snooze: Option<&Snooze>) -> Result<bool, StoreError> {
        let snoozed = self.update_snooze(id, snooze);
        snoozed.run(&self.runtime, "snooze trouble", TROUBLES).await
    }

    async fn trouble_settings(
        &self,
    ) -> Result<Vec<(Option<ChannelId>, TroubleSettings)>, StoreError> {
        let rows = self.settings_rows();
        let rows = rows
            .run(&self.runtime, "read settings of rules", TROUBLE_SETTINGS)
            .await?;
        let rows = rows.into_iter();
        rows.map(|(channel, json)| settings(&channel, &json))
            .collect()
    }

    async fn set_trouble_settings(
        &self,
        channel: Option<&ChannelId>,
        settings: Option<&TroubleSettings>,
    ) -> Result<(), StoreError> {
        let id = channel.map_or("", ChannelId::as_str);
        let json = settings.map(settings_to_json).transpose()?;
        let stored = self.try_set_settings(id, json.as_deref());
        stored
            .run(&self.runtime, "store settings of rules", TROUBLE_SETTINGS)
            .await
    }

    async fn note_journal(&self, journal: &JournalUse) -> Result<(), StoreError> {
        let noted = self.upsert_journal(journal);
        noted
            .run(&self.runtime, "note use of journal", RECEIVER_JOURNALS)
            .await
    }

    async fn journals(&self, since: Timestamp) -> Result<Vec<JournalUse>, StoreError> {
        let rows = self.journal_rows(since);
        let rows = rows
            .run(&self.runtime, "read journals", RECEIVER_JOURNALS)
            .await?;
        rows.into_iter().map(JournalUse::try_from).collect()
    }

    async fn prune_troubles(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let pruned = self.try_prune_troubles(before, limit);
        pruned.run(&self.runtime, "prune troubles", TROUBLES).await
    }
}

#[async_trait]
impl OperatorEvents for SqliteStore {
    async fn operator_events(
        &self,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<StoredOperatorEvent>, StoreError> {
        let rows = self.operator_event_rows(after, size);
        let rows = rows
            .run(&self.runtime, "read operator events", OPERATOR_EVENTS)
            .await?;
        rows.into_iter()
            .map(StoredOperatorEvent::try_from)
            .collect()
    }

    async fn last_operator_event(&self, before: Timestamp) -> Result<i64, StoreError> {
        let last = self.last_operator_event_before(before);
        last.run(
            &self.runtime,
            "find operator event by time",
            OPERATOR_EVENTS,
        )
        .await
    }

    async fn operator_event_positions(
        &self,
    ) -> Result<Vec<(SubscriptionId, OperatorEventPosition)>, StoreError> {
        let rows = self.position_rows();
        let rows = rows
            .run(
                &self.runtime,
                "read positions in operator events",
                OPERATOR_EVENT_POSITIONS,
            )
            .await?;
        rows.into_iter().map(PositionRow::position).collect()
    }

    async fn set_operator_event_position(
        &self,
        subscription: SubscriptionId,
        position: &OperatorEventPosition,
    ) -> Result<(), StoreError> {
        let stored = self.upsert_position(subscription, position);
        stored
            .run(
                &self.runtime,
                "store position in operator events",
                OPERATOR_EVENT_POSITIONS,
            )
            .await
    }

    async fn retain_operator_event_positions(
        &self,
        subscriptions: &[SubscriptionId],
    ) -> Result<(), StoreError> {
        let retained = self.delete_other_positions(subscriptions);
        retained
            .run(
                &self.runtime,
                "remove positions in operator events",
                OPERATOR_EVENT_POSITIONS,
            )
            .await
    }
}
