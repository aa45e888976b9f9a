//! The demo channel of `serve --demo`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};
use domain::{ChannelId, ChannelName, IntegratorName, WebhookUser};
use serde::{Deserialize, Serialize};
use traffic::form::required_fields;
use usecases::ManageChannels;
use usecases::channels::manage::{NewChannel, NewCredential};

use super::demo_data::is_demo_channel;
use crate::config::{self, DEFAULT_DATA_DIR, DatabaseUrl, Settings};
use crate::{output, system};

/// Why no demo channel is shown.
pub const NO_CHANNEL_MADE: &str = "--demo: no channel was made, since there are channels already \
    or the database is unavailable; `receiptd channel list` shows them";

/// How to reach the demo channel. Saved in the data folder, so that a later start can print it.
#[derive(Serialize, Deserialize)]
pub struct Demo {
    channel: String,
    callback_url: String,
    user: String,
    password: String,
}

/// Creates the demo channel if there is no channel. Returns `None` if there are only others.
pub async fn prepare(settings: &Settings, manage: &ManageChannels) -> Result<Option<Demo>> {
    let path = settings
        .storage
        .create_data_dir()?
        .join("demo-channel.json");
    let channels = manage.list().await?;
    if let Ok(text) = fs::read_to_string(&path) {
        let mut demo: Demo = serde_json::from_str(&text)
            .with_context(|| format!("{} cannot be read; remove it", path.display()))?;
        let existing = channels
            .iter()
            .find(|each| each.channel.id.as_str() == demo.channel);
        if let Some(existing) = existing {
            // The listener may have changed.
            demo.callback_url = manage.callback_url(&existing.channel)?;
            return Ok(Some(demo));
        }
    }
    if !channels
        .iter()
        .all(|each| is_demo_channel(&each.channel.id))
    {
        return Ok(None);
    }
    let (channel, issued) = manage.add(demo_channel()?).await?;
    let demo = Demo {
        channel: channel.id.to_string(),
        callback_url: manage.callback_url(&channel)?,
        user: issued.credential.user.to_string(),
        password: issued.password.reveal().to_owned(),
    };
    let context = || format!("{} cannot be written", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .with_context(context)?;
    file.write_all(serde_json::to_string_pretty(&demo)?.as_bytes())
        .with_context(context)?;
    Ok(Some(demo))
}

fn demo_channel() -> Result<NewChannel> {
    Ok(NewChannel {
        id: ChannelId::parse("202105102694809992")?,
        integrator: IntegratorName::parse("twilio")?,
        name: ChannelName::parse("Demo")?,
        senders: Vec::new(),
        public_url: None,
        signing_token: None,
        keep_messages_days: None,
        forward_url: None,
        credential: NewCredential {
            user: WebhookUser::parse("demo")?,
            password: None,
            label: Some("demo".to_owned()),
            expires_at: None,
        },
        may_reveal: true,
    })
}

impl Demo {
    /// Prints how to send a first report and where to see it. `operator` is the operator's
    /// listener.
    pub fn print(&self, settings: &Settings, operator: SocketAddr) {
        let Self {
            channel,
            callback_url,
            user,
            password,
        } = self;
        let url = callback_url.split('#').next().unwrap_or_default();
        let sid = "SM00000000000000000000000000000001";
        let fields = required_fields(sid, "delivered");
        let fields =
            fields.map(|(name, value)| format!("--data-urlencode '{name}={value}' \\\n    "));
        let fields = fields.concat();
        let (program, page) = (system::program(), config::reachable(operator));
        let flags = database_flags(settings);
        let token = if settings.secrets.admin_token.is_some() {
            "RECEIPTD_ADMIN_TOKEN".to_owned()
        } else {
            settings.admin_token_file().display().to_string()
        };
        output::line(format!(
            "
A channel to try things out with:
  callback URL   {callback_url}
  user           {user}
  password       {password}

Send a report; 204 means that it is stored:
  curl -i -u '{user}:{password}' \\
    {fields}'{url}'

See the message, in another terminal in this folder:
  {program} message show {channel} {sid}{flags}

The operator's API, with the token in {token}:
  http://{page}/docs/
"
        ));
    }
}

/// Returns the flags with which another command finds the database of these settings: another
/// terminal may not have their variables.
fn database_flags(settings: &Settings) -> String {
    let storage = &settings.storage;
    let data_dir = storage.data_dir.display().to_string();
    let mut flags = String::new();
    if data_dir != DEFAULT_DATA_DIR {
        let _ = write!(flags, " --data-dir {}", quoted(&data_dir));
    }
    match (&storage.database_url, storage.database()) {
        (Some(url), Ok(DatabaseUrl::Sqlite(_))) => {
            let _ = write!(flags, " --database-url {}", quoted(url));
        }
        // It may contain a password.
        (Some(_), Ok(DatabaseUrl::Postgres(_))) => {
            flags.push_str("\n  with the same RECEIPTD_DATABASE_URL");
        }
        (Some(_), Err(_)) | (None, _) => {}
    }
    flags
}

/// Quotes a text for a shell unless it needs no quotes.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/.:_-=".contains(c);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_for_a_shell_where_it_must_be() {
        assert_eq!(quoted("sqlite:/var/lib/x.db"), "sqlite:/var/lib/x.db");
        assert_eq!(quoted("my data"), "'my data'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("x?mode=ro&a"), "'x?mode=ro&a'");
    }
}
