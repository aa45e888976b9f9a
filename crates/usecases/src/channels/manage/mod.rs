//! Manages channels and their credentials.

mod types;

use std::sync::Arc;

use domain::crypto::{SealedSecret, ServerSecret, SigningTokens};
use domain::webhook::{TargetUrl, special_network};
use domain::{
    Channel, ChannelCalls, ChannelId, Credential, CredentialId, Password, PublicUrl, Timestamp,
};
use ports::channels::Change;
use ports::integrator::{Signatures, report_path};
use ports::{ChannelStore, ChannelWithCredentials, Environment, Integrator};

use crate::integrators::Integrators;

pub use types::{ChannelChanges, IssuedCredential, ManageError, NewChannel, NewCredential, Setup};

/// Adds, changes and removes channels and credentials.
pub struct ManageChannels {
    store: Arc<dyn ChannelStore>,
    integrators: Integrators,
    secret: ServerSecret,
    /// Public URL of channels that have none of their own.
    public_url: PublicUrl,
    environment: Arc<dyn Environment>,
    /// Whether forward URLs may be on private networks.
    private_targets: bool,
}

impl ManageChannels {
    /// Manages the channels of a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn ChannelStore>,
        integrators: Integrators,
        secret: ServerSecret,
        public_url: PublicUrl,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            integrators,
            secret,
            public_url,
            environment,
            private_targets: false,
        }
    }

    /// Sets whether forward URLs may be on private networks.
    #[must_use]
    pub fn with_private_targets(self, private_targets: bool) -> Self {
        Self {
            private_targets,
            ..self
        }
    }

    /// Returns the public URL of channels that have none of their own.
    #[must_use]
    pub const fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }

    /// Returns the built-in integrators.
    #[must_use]
    pub const fn integrators(&self) -> &Integrators {
        &self.integrators
    }

    /// Returns all channels, by id, without test credentials.
    pub async fn list(&self) -> Result<Vec<ChannelWithCredentials>, ManageError> {
        let mut channels = self.store.all().await?;
        channels.iter_mut().for_each(remove_test_credentials);
        Ok(channels)
    }

    /// Returns one channel, without test credentials.
    pub async fn show(&self, id: &ChannelId) -> Result<ChannelWithCredentials, ManageError> {
        let found = self.store.find(id).await?;
        let mut found = found.ok_or_else(|| ManageError::NoSuchChannel(id.clone()))?;
        remove_test_credentials(&mut found);
        Ok(found)
    }

    /// Returns the time that the validity of credentials is compared with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.environment.now()
    }

    /// Returns the counts of unsuccessful calls to a channel.
    pub async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, ManageError> {
        Ok(self.store.calls(id).await?)
    }

    /// Returns the callback URL for the integrator's console, without credentials.
    pub fn callback_url(&self, channel: &Channel) -> Result<String, ManageError> {
        self.callback_url_with(channel, None)
    }

    /// Adds a channel with its first credential.
    pub async fn add(&self, new: NewChannel) -> Result<(Channel, IssuedCredential), ManageError> {
        check_reveal(new.forward_url.as_ref(), new.may_reveal)?;
        let now = self.environment.now();
        let channel = Channel {
            signing_token: new.signing_token.map(|token| self.seal(&new.id, &token)),
            id: new.id,
            integrator: new.integrator,
            name: new.name,
            enabled: true,
            senders: new.senders,
            public_url: new.public_url,
            keep_messages_days: new.keep_messages_days,
            forward_url: new.forward_url,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        self.check_public_url(&channel)?;
        self.check_signing_token(&channel)?;
        self.check_forward_url(&channel)?;
        let issued = self.issue(&channel, new.credential, now)?;
        match self.store.add(&channel, &issued.credential).await? {
            Change::Done => Ok((channel, issued)),
            Change::Exists | Change::Absent | Change::Outdated | Change::Full => {
                Err(ManageError::ChannelExists(channel.id))
            }
        }
    }

    /// Changes a channel.
    pub async fn update(
        &self,
        id: &ChannelId,
        changes: ChannelChanges,
    ) -> Result<Channel, ManageError> {
        check_reveal(
            changes.forward_url.iter().flatten().next(),
            changes.may_reveal,
        )?;
        // Without a version, concurrent changes are retried.
        for _ in 0..16 {
            let mut channel = self.show(id).await?.channel;
            if changes
                .version
                .is_some_and(|version| version != channel.version)
            {
                return Err(ManageError::Outdated);
            }
            self.apply(&changes, &mut channel);
            if changes.public_url.is_some() {
                self.check_public_url(&channel)?;
            }
            if changes.forward_url.is_some() {
                self.check_forward_url(&channel)?;
            }
            self.check_signing_token(&channel)?;
            channel.version = channel.version.saturating_add(1);
            channel.updated_at = self.environment.now();
            match self.store.update(&channel).await? {
                Change::Done => return Ok(channel),
                Change::Absent => return Err(ManageError::NoSuchChannel(id.clone())),
                Change::Outdated | Change::Exists | Change::Full => {}
            }
        }
        Err(ManageError::Outdated)
    }

    /// Removes a channel and its credentials. Its messages stay.
    pub async fn remove(&self, id: &ChannelId) -> Result<(), ManageError> {
        match self.store.remove(id).await? {
            Change::Done => Ok(()),
            Change::Absent | Change::Exists | Change::Outdated | Change::Full => {
                Err(ManageError::NoSuchChannel(id.clone()))
            }
        }
    }

    /// Adds a second credential, so that the first one can be replaced without losing reports.
    pub async fn add_credential(
        &self,
        id: &ChannelId,
        new: NewCredential,
    ) -> Result<IssuedCredential, ManageError> {
        let channel = self.show(id).await?.channel;
        let issued = self.issue(&channel, new, self.environment.now())?;
        match self.store.add_credential(&issued.credential).await? {
            Change::Done => Ok(issued),
            Change::Full => Err(ManageError::TooManyCredentials),
            Change::Absent | Change::Exists | Change::Outdated => {
                Err(ManageError::NoSuchChannel(id.clone()))
            }
        }
    }

    /// Removes a credential; its callers are refused from then on.
    pub async fn remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<(), ManageError> {
        match self.store.remove_credential(channel, id).await? {
            Change::Done => Ok(()),
            Change::Absent | Change::Exists | Change::Outdated | Change::Full => {
                Err(ManageError::NoSuchCredential(id))
            }
        }
    }

    fn issue(
        &self,
        channel: &Channel,
        new: NewCredential,
        now: Timestamp,
    ) -> Result<IssuedCredential, ManageError> {
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(ManageError::ExpiryInThePast);
        }
        let password = new
            .password
            .unwrap_or_else(|| Password::from_random(&self.environment.secret_bytes()));
        let pair = (new.user.as_str(), password.reveal());
        let integrator = self.integrator(channel)?;
        let callback_url = self.callback_url_with(channel, Some(pair))?;
        let hashed_user = integrator.credential_shape().hashed_user(pair.0);
        let credential = Credential {
            id: CredentialId(self.environment.uuid()),
            channel: channel.id.clone(),
            hash: self.secret.credential_hash(
                &channel.id,
                hashed_user.as_bytes(),
                pair.1.as_bytes(),
            ),
            key_id: self.secret.key_id(),
            user: new.user,
            label: new.label,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
            is_test: false,
        };
        Ok(IssuedCredential {
            credential,
            password,
            callback_url,
            setup_steps: integrator.setup_steps(),
        })
    }

    fn apply(&self, changes: &ChannelChanges, channel: &mut Channel) {
        if let Some(name) = &changes.name {
            channel.name = name.clone();
        }
        if let Some(enabled) = changes.enabled {
            channel.enabled = enabled;
        }
        if let Some(senders) = &changes.senders {
            channel.senders.clone_from(senders);
        }
        if let Some(public_url) = &changes.public_url {
            channel.public_url.clone_from(public_url);
        }
        if let Some(token) = &changes.signing_token {
            channel.signing_token = token.as_ref().map(|token| self.seal(&channel.id, token));
        }
        if let Some(days) = changes.keep_messages_days {
            channel.keep_messages_days = days;
        }
        if let Some(url) = &changes.forward_url {
            channel.forward_url.clone_from(url);
        }
    }

    fn seal(&self, channel: &ChannelId, tokens: &SigningTokens) -> SealedSecret {
        let [nonce @ .., _, _, _, _, _, _, _, _] = self.environment.secret_bytes();
        let context = Channel::signing_token_context(channel);
        self.secret.seal(&tokens.reveal(), &context, nonce)
    }

    /// Refuses a signing token where nothing is signed, and none where everything is: no report
    /// would be accepted.
    fn check_signing_token(&self, channel: &Channel) -> Result<(), ManageError> {
        let name = || channel.integrator.clone();
        let integrator = self.integrators.find(&channel.integrator);
        let signatures = integrator.map(|integrator| integrator.signatures());
        match (signatures, &channel.signing_token) {
            (Some(Signatures::Never), Some(_)) => Err(ManageError::NoSignatures(name())),
            (Some(Signatures::Always), None) => Err(ManageError::SignatureRequired(name())),
            _ => Ok(()),
        }
    }

    /// Refuses a public URL with the report path of another channel: no signature would match.
    fn check_public_url(&self, channel: &Channel) -> Result<(), ManageError> {
        let integrator = self.integrators.find(&channel.integrator);
        let (Some(url), Some(integrator)) = (&channel.public_url, integrator) else {
            return Ok(());
        };
        let own = report_path(integrator.as_ref(), &channel.id);
        let path = url.reveal().split(['?', '#']).next().unwrap_or_default();
        if path.contains("/social/on/") && !path.ends_with(&own) {
            return Err(ManageError::OtherReportPath(own));
        }
        Ok(())
    }

    /// Refuses a forward URL that nothing would be sent to.
    fn check_forward_url(&self, channel: &Channel) -> Result<(), ManageError> {
        let Some(url) = &channel.forward_url else {
            return Ok(());
        };
        let integrator = self.integrators.find(&channel.integrator);
        if integrator.is_some_and(|it| it.forwarded_headers().is_none()) {
            return Err(ManageError::NothingToForward(channel.integrator.clone()));
        }
        let special = url.literal_address().and_then(special_network);
        match special.filter(|_| !self.private_targets) {
            Some(network) => Err(ManageError::PrivateForwardUrl(network)),
            None => Ok(()),
        }
    }

    fn callback_url_with(
        &self,
        channel: &Channel,
        credentials: Option<(&str, &str)>,
    ) -> Result<String, ManageError> {
        let integrator = self.integrator(channel)?;
        let base = channel.public_url.as_ref().unwrap_or(&self.public_url);
        Ok(integrator.callback_url(base, &channel.id, credentials))
    }

    /// Returns what an operator does at the integrator so that its reports arrive.
    pub fn setup(&self, channel: &Channel) -> Result<Setup, ManageError> {
        let integrator = self.integrator(channel)?;
        Ok(Setup {
            callback_url: self.callback_url(channel)?,
            steps: integrator.setup_steps(),
            redelivers: integrator.report_endpoint().answers.redelivers,
        })
    }

    fn integrator(&self, channel: &Channel) -> Result<&dyn Integrator, ManageError> {
        let found = self.integrators.find(&channel.integrator);
        let found = found.ok_or_else(|| ManageError::UnknownIntegrator {
            name: channel.integrator.clone(),
            known: self.integrators.names(),
        })?;
        Ok(found.as_ref())
    }
}

/// Fails if a forward URL is given that the operator may not set: it decides who receives the
/// messages of recipients.
fn check_reveal(forward_url: Option<&TargetUrl>, may_reveal: bool) -> Result<(), ManageError> {
    if forward_url.is_some() && !may_reveal {
        return Err(ManageError::RevealRequired);
    }
    Ok(())
}

fn remove_test_credentials(found: &mut ChannelWithCredentials) {
    found.credentials.retain(|credential| !credential.is_test);
}
