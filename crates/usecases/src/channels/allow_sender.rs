//! Adds a sender to a channel whose reports were rejected because of it.

use std::sync::Arc;

use domain::crypto::ServerSecret;
use domain::{Address, Rejection};
use ports::{RejectionStore, StoreError};

use super::manage::{ChannelChanges, ManageChannels, ManageError};

/// Adds senders from rejections.
pub struct AllowSender {
    rejections: Arc<dyn RejectionStore>,
    manage: Arc<ManageChannels>,
    secret: ServerSecret,
}

/// Why a sender is not added.
#[derive(Debug, thiserror::Error)]
pub enum AllowSenderError {
    /// There is no such rejection, or not any more.
    #[error("there is no such rejection any more")]
    NoSuchRejection,
    /// The rejection has no sender to add.
    #[error("this rejection has no sender that can be added")]
    NoSender,
    /// The channel cannot be changed.
    #[error(transparent)]
    Manage(#[from] ManageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AllowSender {
    /// Adds senders of the rejections of a store to channels.
    #[must_use]
    pub fn new(
        rejections: Arc<dyn RejectionStore>,
        manage: Arc<ManageChannels>,
        secret: ServerSecret,
    ) -> Self {
        Self {
            rejections,
            manage,
            secret,
        }
    }

    /// Returns the sender of a rejection in the form in which it would be added; `None` if there is
    /// none, or it was sealed under another server secret.
    #[must_use]
    pub fn sender_of(&self, rejection: &Rejection) -> Option<Address> {
        let sealed = rejection.sender.as_ref()?;
        let context = Rejection::sender_context(&rejection.channel);
        let opened = self.secret.open(sealed, &context).ok()?;
        Address::parse_sender(&opened).ok()
    }

    /// Adds the sender of a rejection to its channel's list and returns it with the rejection. A
    /// sender that is on the list, and a channel that allows any, stay as they are.
    pub async fn run(&self, id: i64) -> Result<(Rejection, Address), AllowSenderError> {
        let found = self.rejections.rejection(id).await?;
        let rejection = found.ok_or(AllowSenderError::NoSuchRejection)?.rejection;
        let sender = self.sender_of(&rejection);
        let sender = sender.ok_or(AllowSenderError::NoSender)?;
        // A concurrent change is read again.
        for _ in 0..16 {
            let channel = self.manage.show(&rejection.channel).await?.channel;
            if channel.allows(Some(&sender)) {
                return Ok((rejection, sender));
            }
            let senders = [channel.senders.as_slice(), std::slice::from_ref(&sender)].concat();
            let changes = ChannelChanges {
                senders: Some(senders),
                version: Some(channel.version),
                ..ChannelChanges::default()
            };
            match self.manage.update(&rejection.channel, changes).await {
                Ok(_) => return Ok((rejection, sender)),
                Err(ManageError::Outdated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ManageError::Outdated.into())
    }
}
