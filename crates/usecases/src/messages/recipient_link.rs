//! Links to the messages of a recipient that do not contain its address.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Recipient;
use domain::crypto::{SealedSecret, ServerSecret};
use ports::Environment;

/// What the sealed addresses are bound to.
const CONTEXT: &str = "console/recipient";

/// The longest text of a link that is opened.
const MAX_LENGTH: usize = 1_024;

/// Seals recipients for URLs, so that no phone number gets into a browser's history, a bookmark or
/// the log of a proxy. All replicas open the links, and only they.
pub struct RecipientLinks {
    secret: ServerSecret,
    environment: Arc<dyn Environment>,
}

impl RecipientLinks {
    /// Seals with the server secret.
    #[must_use]
    pub fn new(secret: ServerSecret, environment: Arc<dyn Environment>) -> Self {
        Self {
            secret,
            environment,
        }
    }

    /// Returns a text for a URL, another one each time.
    #[must_use]
    pub fn seal(&self, recipient: &Recipient) -> String {
        let [nonce @ .., _, _, _, _, _, _, _, _] = self.environment.secret_bytes();
        let address = recipient.address().reveal();
        let sealed = self.secret.seal(address, CONTEXT, nonce);
        URL_SAFE_NO_PAD.encode(sealed.0)
    }

    /// Returns the recipient of a text from a URL; `None` if it was not sealed here.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<Recipient> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let sealed = SealedSecret(URL_SAFE_NO_PAD.decode(text).ok()?);
        let address = self.secret.open(&sealed, CONTEXT).ok()?;
        Recipient::parse(&address).ok()
    }
}
