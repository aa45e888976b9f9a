//! Shows messages and their reports.

use adapter_http::wire::{self, MessageDetailView, MessageList};
use anyhow::{Context as _, Result};
use domain::crypto::ServerSecret;
use domain::page::MessageFilter;
use domain::{ChannelId, DeliveryStatus, ErrorCode, MessageKey, MessageSid, Recipient};
use usecases::{ListMessages, ShowMessage};

use super::installation::{ensure_exists, integrators, with_stores};
use super::{event_options, page};
use crate::cli::{MessageCommand, MessageListArgs};
use crate::composition::Stores;
use crate::config::Settings;
use crate::view;

pub async fn run(settings: &Settings, json: bool, command: MessageCommand) -> Result<()> {
    with_stores(settings, async |stores| match command {
        MessageCommand::Show {
            channel,
            sid,
            reveal,
        } => show(stores, json, &channel, &sid, reveal).await,
        MessageCommand::List(args) => list(stores, settings.server_secret()?, json, args).await,
    })
    .await
}

async fn show(stores: &Stores, json: bool, channel: &str, sid: &str, reveal: bool) -> Result<()> {
    let key = MessageKey {
        channel: ChannelId::parse(channel)?,
        sid: MessageSid::parse(sid)?,
    };
    let show = ShowMessage::new(stores.store(), stores.store());
    let shown = show.run(&key).await?;
    let detail = MessageDetailView::new(&shown, reveal);
    view::show(
        json,
        &format!("Message {} on channel {}", key.sid, key.channel),
        &detail,
        &[
            ("status", "status|none yet"),
            ("contradicted", "contradicted|yes:"),
            ("to", "to"),
            ("from", "from"),
            ("error", "error.code"),
            ("", "error.title"),
            ("", "error.explanation"),
            ("action by", "error.actor"),
            ("permanence", "error.permanence"),
            ("reports", "counters.reports"),
            ("duplicates", "counters.duplicates"),
            ("another id of", "alias_of"),
        ],
    )?;
    if !json {
        view::table(
            &detail.message.timeline,
            &[
                ("STATUS", "status"),
                ("FIRST REPORTED", "first_reported_at"),
            ],
            "no status yet",
        )?;
        view::compact_table(
            &detail.reports,
            &[
                ("#", "revision"),
                ("ARRIVED", "arrived_at"),
                ("HAPPENED", "happened_at"),
                ("REPORTED", "status"),
                ("EFFECT", "effect"),
                ("PROVENANCE", "provenance"),
                ("ERROR", "error_code"),
                ("IDEMPOTENCY TOKEN", "idempotency_token"),
            ],
            "no reports: retention has removed them",
        )?;
    }
    Ok(())
}

async fn list(
    stores: &Stores,
    secret: ServerSecret,
    json: bool,
    args: MessageListArgs,
) -> Result<()> {
    let status = args.status.as_deref().map(|given| {
        let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        let statuses = given.parse().ok();
        statuses.with_context(|| format!("--status must be one or several of {words}"))
    });
    let time = |name: &str, text: Option<&str>| {
        text.map(|text| event_options::time(name, text)).transpose()
    };
    let filter = MessageFilter {
        channel: args.channel.as_deref().map(ChannelId::parse).transpose()?,
        status: status.transpose()?,
        contradicted: args.contradicted.then_some(true),
        recipient: args.to.as_deref().map(Recipient::parse).transpose()?,
        error_code: args
            .error_code
            .as_deref()
            .map(ErrorCode::parse)
            .transpose()?,
        since: time("--since", args.since.as_deref())?,
        until: time("--until", args.until.as_deref())?,
    };
    let (size, after) = page::parse(&args.page, wire::next_message)?;
    let list = ListMessages::new(stores.store(), stores.store(), secret);
    let mut found = list.run(&filter, after.as_ref(), size).await?;
    // A page without a match is not the last while it has a next one.
    while let (true, Some(next)) = (found.items.is_empty(), &found.next) {
        found = list.run(&filter, Some(next), size).await?;
    }
    if let (Some(channel), true) = (&filter.channel, found.items.is_empty()) {
        ensure_exists(stores, channel).await?;
    }
    let integrators = integrators(stores).await?;
    let integrator = |channel: &ChannelId| integrators.get(channel).cloned();
    view::list(
        json,
        &MessageList::new(&found, integrator, args.reveal),
        &[
            ("FIRST REPORTED", "first_reported_at"),
            ("CHANNEL", "channel_id"),
            ("MESSAGE", "message_sid"),
            ("STATUS", "status|none yet"),
            ("CONTRADICTED", "contradicted|yes:"),
            ("TO", "to"),
            ("ERROR", "error.code"),
        ],
        "no messages; check the filters, or `receiptd rejections` if reports were sent",
    )
}
