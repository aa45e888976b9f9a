//! Options that select events: positions in the log, filters, messages.

use std::sync::Arc;

use adapter_http::wire;
use anyhow::{Context as _, Result};
use domain::event::{EventFilter, EventType};
use domain::{ChannelId, CursorName, LogPosition, MessageKey, MessageSid, Timestamp};
use usecases::LogTailCache;

use crate::cli::StartArgs;
use crate::composition::{self, Stores};

/// Returns the position that the option `name` has: `latest`, `oldest`, or one from the API.
pub async fn position(log: &LogTailCache, name: &str, text: &str) -> Result<LogPosition> {
    match text {
        "latest" => Ok(log.head().await?),
        "oldest" => Ok(log.seek(Timestamp::EPOCH).await?),
        text => wire::position(text).with_context(|| {
            format!("{name} is {text:?}; expected a position as the API shows it, latest or oldest")
        }),
    }
}

/// Returns the position of `--since` or `--after`, or `None` without both.
pub async fn start(log: &LogTailCache, start: &StartArgs) -> Result<Option<LogPosition>> {
    if let Some(text) = &start.after {
        return position(log, "--after", text).await.map(Some);
    }
    let Some(text) = &start.since else {
        return Ok(None);
    };
    Ok(Some(log.seek(time("--since", text)?).await?))
}

/// Returns the position of the cursor that `--cursor` names.
pub async fn cursor(stores: &Stores, log: &Arc<LogTailCache>, name: &str) -> Result<LogPosition> {
    let name = CursorName::parse(name).context("--cursor")?;
    let cursors = composition::manage_cursors(stores, Arc::clone(log));
    Ok(cursors.find(&name).await?)
}

/// Returns the time that the option `name` has.
pub fn time(name: &str, text: &str) -> Result<Timestamp> {
    Timestamp::parse(text).with_context(|| format!("{name} is {text:?}"))
}

/// Returns the filter of `--channel` and `--type`; without them all events pass.
pub fn filter(channels: &[String], types: &[String]) -> Result<EventFilter> {
    let ids = channels.iter().map(|id| ChannelId::parse(id));
    let words = types.iter().map(|word| word.parse::<EventType>());
    let ids = ids.collect::<Result<_, _>>().context("--channel")?;
    let words = words.collect::<Result<_, _>>().context("--type")?;
    Ok(EventFilter {
        channels: Some(ids).filter(|_| !channels.is_empty()),
        types: Some(words).filter(|_| !types.is_empty()),
        ..EventFilter::default()
    })
}

/// Returns the filter of a subscription by `--channel` and `--type`; without them all message
/// events pass.
pub fn subscription_filter(channels: &[String], types: &[String]) -> Result<EventFilter> {
    let mut filter = filter(channels, &[])?;
    if !types.is_empty() {
        let names = types.iter().map(String::as_str);
        filter.set_types(names).context("--type")?;
    }
    Ok(filter)
}

/// Returns the message that the two values of `--message` name.
pub fn message(names: Option<&[String]>) -> Result<Option<MessageKey>> {
    let Some([channel, sid]) = names else {
        return Ok(None);
    };
    Ok(Some(MessageKey {
        channel: ChannelId::parse(channel).context("--message")?,
        sid: MessageSid::parse(sid).context("--message")?,
    }))
}
