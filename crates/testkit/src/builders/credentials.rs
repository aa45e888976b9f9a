//! Credentials.

use domain::crypto::{CredentialHash, KeyId, ServerSecret};
use domain::{Credential, CredentialId, WebhookUser};
use uuid::Uuid;

use super::{channel_id, server_secret, time};

/// Builds a credential that does not expire, of user `webhook` with the password
/// `password-<number>`. Its number is its id.
#[must_use]
pub fn credential(channel: &str, number: u128) -> CredentialBuilder {
    CredentialBuilder(Credential {
        id: CredentialId(Uuid::from_u128(number)),
        channel: channel_id(channel),
        user: WebhookUser::parse("webhook").expect("a user"),
        hash: CredentialHash([0; 32]),
        key_id: KeyId(0),
        label: None,
        created_at: time(1_795_370_000_000_001),
        expires_at: None,
        last_used_at: None,
        is_test: false,
    })
    .password(&server_secret(), "webhook", &format!("password-{number}"))
}

/// Builds a [`Credential`]; see [`credential`].
#[derive(Clone, Debug)]
pub struct CredentialBuilder(Credential);

impl CredentialBuilder {
    /// Sets user and password, hashed with `secret`.
    #[must_use]
    pub fn password(mut self, secret: &ServerSecret, user: &str, password: &str) -> Self {
        self.0.user = WebhookUser::parse(user).expect("a user");
        self.0.key_id = secret.key_id();
        self.0.hash = secret.credential_hash(&self.0.channel, user.as_bytes(), password.as_bytes());
        self
    }

    /// Sets the id of the server key.
    #[must_use]
    pub fn key_id(mut self, id: u32) -> Self {
        self.0.key_id = KeyId(id);
        self
    }

    /// Sets the label.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.0.label = Some(label.to_owned());
        self
    }

    /// Makes it a test credential.
    #[must_use]
    pub fn for_test(mut self) -> Self {
        self.0.is_test = true;
        self
    }

    /// Sets the time of creation, in microseconds since 1970.
    #[must_use]
    pub fn at(mut self, micros: i64) -> Self {
        self.0.created_at = time(micros);
        self
    }

    /// Sets the time of expiry, in microseconds since 1970.
    #[must_use]
    pub fn expires_at(mut self, micros: i64) -> Self {
        self.0.expires_at = Some(time(micros));
        self
    }

    /// Returns the credential.
    #[must_use]
    pub fn build(self) -> Credential {
        self.0
    }
}
