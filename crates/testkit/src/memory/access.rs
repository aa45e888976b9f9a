//! Operators' tokens, their sessions, and the audit log.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::Timestamp;
use domain::access::{
    AuditEntry, AuditEntryId, AuditFilter, OperatorToken, OperatorTokenId, Session, SessionHash,
    SessionId, TokenHash,
};
use domain::page::{Page, PageSize};
use ports::{AccessStore, AuditLog, StoreError};

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Access {
    tokens: BTreeMap<OperatorTokenId, (OperatorToken, TokenHash)>,
    sessions: BTreeMap<SessionId, (Session, SessionHash)>,
    audit: BTreeMap<AuditEntryId, AuditEntry>,
}

impl Access {
    pub(super) fn has_audit_before(&self, before: Timestamp) -> bool {
        self.audit.values().any(|entry| entry.at < before)
    }

    /// Removes the oldest entries from before a time, and returns how many.
    pub(super) fn prune_audit(&mut self, before: Timestamp, budget: NonZeroU32) -> u32 {
        let mut old: Vec<_> = self.audit.values().filter(|it| it.at < before).collect();
        old.sort_by_key(|entry| entry.at);
        let ids: Vec<_> = old.into_iter().map(|entry| entry.id).collect();
        let mut removed = 0;
        for (id, _) in ids.into_iter().zip(0..budget.get()) {
            self.audit.remove(&id);
            removed += 1;
        }
        removed
    }

    fn end_sessions(&mut self, ended: impl Fn(&Session) -> bool) -> u64 {
        let before = self.sessions.len();
        self.sessions.retain(|_, (session, _)| !ended(session));
        u64::try_from(before - self.sessions.len()).unwrap_or(u64::MAX)
    }
}

#[async_trait]
impl AccessStore for MemoryStore {
    async fn add_token(&self, token: &OperatorToken, hash: &TokenHash) -> Result<bool, StoreError> {
        let tokens = &mut self.open()?.access.tokens;
        let is_taken = tokens.values().any(|(other, other_hash)| {
            let same_name = other.name == token.name && other.revoked_at.is_none();
            other.id == token.id || other_hash == hash || same_name && token.revoked_at.is_none()
        });
        if !is_taken {
            tokens.insert(token.id, (token.clone(), *hash));
        }
        Ok(!is_taken)
    }

    async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<OperatorToken>, StoreError> {
        let data = self.open()?;
        let mut tokens = data.access.tokens.values();
        let found = tokens.find(|(_, known)| known == hash);
        Ok(found.map(|(token, _)| token.clone()))
    }

    async fn token(&self, id: OperatorTokenId) -> Result<Option<OperatorToken>, StoreError> {
        let data = self.open()?;
        Ok(data.access.tokens.get(&id).map(|(token, _)| token.clone()))
    }

    async fn tokens(&self) -> Result<Vec<OperatorToken>, StoreError> {
        let data = self.open()?;
        let tokens = data.access.tokens.values();
        Ok(tokens.map(|(token, _)| token.clone()).collect())
    }

    async fn revoke_token(
        &self,
        id: OperatorTokenId,
        at: Timestamp,
    ) -> Result<Option<OperatorToken>, StoreError> {
        let access = &mut self.open()?.access;
        access.end_sessions(|session| session.token == id);
        Ok(access.tokens.get_mut(&id).map(|(token, _)| {
            token.revoked_at.get_or_insert(at);
            token.clone()
        }))
    }

    async fn note_token_use(&self, id: OperatorTokenId, at: Timestamp) -> Result<(), StoreError> {
        if let Some((token, _)) = self.open()?.access.tokens.get_mut(&id) {
            token.last_used_at = token.last_used_at.max(Some(at));
        }
        Ok(())
    }

    async fn add_session(&self, session: &Session, hash: &SessionHash) -> Result<(), StoreError> {
        let sessions = &mut self.open()?.access.sessions;
        sessions.insert(session.id, (session.clone(), *hash));
        Ok(())
    }

    async fn session(&self, hash: &SessionHash) -> Result<Option<Session>, StoreError> {
        let data = self.open()?;
        let mut sessions = data.access.sessions.values();
        let found = sessions.find(|(_, known)| known == hash);
        Ok(found.map(|(session, _)| session.clone()))
    }

    async fn sessions(&self, now: Timestamp, limit: PageSize) -> Result<Vec<Session>, StoreError> {
        let data = self.open()?;
        let sessions = data.access.sessions.values().rev();
        let live = sessions.filter(|(session, _)| session.is_live(now));
        let live = live.take(usize::from(limit.get()));
        Ok(live.map(|(session, _)| session.clone()).collect())
    }

    async fn note_session_use(&self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        if let Some((session, _)) = self.open()?.access.sessions.get_mut(&id) {
            session.last_used_at = session.last_used_at.max(at);
        }
        Ok(())
    }

    async fn end_session(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.open()?.access.sessions.remove(&id).is_some())
    }

    async fn end_sessions(&self, token: OperatorTokenId) -> Result<u64, StoreError> {
        let access = &mut self.open()?.access;
        Ok(access.end_sessions(|session| session.token == token))
    }

    async fn prune_sessions(&self, now: Timestamp, budget: NonZeroU32) -> Result<u64, StoreError> {
        let sessions = &mut self.open()?.access.sessions;
        let ended = sessions.values().filter(|(it, _)| !it.is_live(now));
        let ids: Vec<_> = ended.map(|(session, _)| session.id).collect();
        let mut removed = 0;
        for (id, _) in ids.into_iter().zip(0..budget.get()) {
            sessions.remove(&id);
            removed += 1;
        }
        Ok(removed)
    }
}

#[async_trait]
impl AuditLog for MemoryStore {
    async fn append(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let audit = &mut self.open()?.access.audit;
        audit.entry(entry.id).or_insert_with(|| entry.clone());
        Ok(())
    }

    async fn entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditEntryId>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditEntryId>, StoreError> {
        let data = self.open()?;
        let matching = data.access.audit.values().rev();
        let matching = matching
            .filter(|entry| after.is_none_or(|after| entry.id < after))
            .filter(|entry| filter.matches(entry))
            .take(usize::from(size.get()) + 1);
        Ok(Page::cut(matching.cloned().collect(), size, |entry| {
            entry.id
        }))
    }
}
