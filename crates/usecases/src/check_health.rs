//! Is everything there that a report needs?

use std::sync::Arc;
use std::time::Duration;

use ports::ReportStore;

use crate::ChannelDirectory;
use crate::intake::chain;

/// How long a part may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// Checks every part the service depends on.
pub struct CheckHealth {
    store: Arc<dyn ReportStore>,
    directory: Arc<ChannelDirectory>,
}

/// One part and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name: `store`, `channels`, `secret_key`.
    pub name: &'static str,
    /// Whether reports can be taken as far as it goes.
    pub ready: bool,
    /// What is wrong; `None` if nothing is.
    pub detail: Option<String>,
}

impl CheckHealth {
    /// Checks a store and a directory.
    #[must_use]
    pub fn new(store: Arc<dyn ReportStore>, directory: Arc<ChannelDirectory>) -> Self {
        Self { store, directory }
    }

    /// How every part is. Returns within about two seconds.
    pub async fn run(&self) -> Vec<Part> {
        let store = match tokio::time::timeout(DEADLINE, self.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(_elapsed) => Some(format!("no answer within {} s", DEADLINE.as_secs())),
        };
        let channels = (!self.directory.is_filled()).then(|| "not read yet".to_owned());
        let foreign = self.directory.foreign_credentials();
        let secret_key = (foreign > 0)
            .then(|| format!("{foreign} credentials were made under another server secret"));
        vec![
            Part {
                name: "store",
                ready: store.is_none(),
                detail: store,
            },
            Part {
                name: "channels",
                ready: channels.is_none(),
                detail: channels,
            },
            // The other credentials still work, so this stops nothing.
            Part {
                name: "secret_key",
                ready: true,
                detail: secret_key,
            },
        ]
    }
}
