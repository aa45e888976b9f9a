//! Steps that `serve` and `worker` have in common before they start.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use adapter_http::ListenerSettings;
use anyhow::{Context as _, Result};
use usecases::ChannelDirectory;

use crate::background::BackgroundTask;
use crate::config::{self, AdminToken, Settings};
use crate::output;

/// Checks the secrets and the names of variables, and logs warnings.
pub fn check(settings: &Settings) -> Result<()> {
    let secrets = settings.secrets.inspect(&settings.storage)?;
    for warning in secrets.warnings {
        tracing::warn!("{warning}");
    }
    for name in config::unknown_variables() {
        tracing::warn!("the variable {name} is not a setting and is ignored");
    }
    Ok(())
}

/// Opens the listening socket of a setting.
pub fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    let listener = adapter_http::bind(address);
    listener.with_context(|| format!("{setting}: cannot listen on {address}"))
}

/// Returns the operator's token, and shows it if it was generated just now. It is shown only
/// once, so everything that can prevent the start comes before this.
pub fn admin_token(settings: &Settings) -> Result<String> {
    let AdminToken { token, is_new } = settings.admin_token()?;
    if is_new {
        output::hint(format!(
            "The operator's token, shown only once and stored in {}:\n  {token}",
            settings.admin_token_file().display(),
        ));
    }
    Ok(token)
}

/// Returns the limits of the listeners for operators and monitoring.
pub fn operator_settings(settings: &Settings) -> ListenerSettings {
    ListenerSettings {
        max_head: settings.listeners.max_head(),
        ..ListenerSettings::operator()
    }
}

/// Returns the task that reloads changed channels and saves when credentials were used.
pub fn refresh_channels(directory: Arc<ChannelDirectory>) -> BackgroundTask {
    BackgroundTask::new("refresh channels", Duration::from_secs(1), move || {
        let directory = Arc::clone(&directory);
        async move {
            directory.refresh().await?;
            directory.write_usage().await?;
            Ok(())
        }
    })
}
