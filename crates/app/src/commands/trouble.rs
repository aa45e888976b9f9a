//! Lists and snoozes troubles, and changes the settings of their rules.

use adapter_http::wire::{self, OperatorEventList, TroubleList, TroubleSettingsView, TroubleView};
use anyhow::{Context as _, Result};
use domain::access::OperatorName;
use domain::page::PageSize;
use domain::trouble::{
    QuietHours, SnoozeReason, Thresholds, TroubleId, TroubleKind, TroubleSettings,
};
use domain::{ChannelId, Timestamp};
use ports::troubles::TroubleFilter;
use usecases::ManageTroubles;
use usecases::trouble::AppliedSettings;

use super::installation::{ensure_exists, with_stores};
use super::{audit_trail, page};
use crate::cli::{TroubleCommand, TroubleListArgs, TroubleSetArgs, TroubleStateArg};
use crate::composition::Stores;
use crate::config::Settings;
use crate::{output, system, trouble, view};

pub async fn run(settings: &Settings, json: bool, command: TroubleCommand) -> Result<()> {
    with_stores(settings, async |stores| {
        let troubles = trouble::manage(&stores.store());
        match command {
            TroubleCommand::List(args) => list(stores, &troubles, json, args).await,
            TroubleCommand::Snooze { id, until, reason } => {
                snooze(&troubles, json, &id, &until, &reason).await
            }
            TroubleCommand::Unsnooze { id } => {
                let ended = troubles.end_snooze(trouble_id(&id)?).await?;
                let view = TroubleView::new(&ended, troubles.now());
                print_changed(json, &view, "Notices about it are sent again.")
            }
            TroubleCommand::Settings { channel } => {
                let channel = channel_id(channel.as_deref())?;
                let applied = troubles.settings(channel.as_ref()).await?;
                show_settings(json, channel.as_ref(), &applied)
            }
            TroubleCommand::Set(args) => set(&troubles, json, &args).await,
            TroubleCommand::Reset { channel } => {
                let channel = channel_id(Some(&channel))?;
                let applied = troubles.set_settings(channel.as_ref(), None).await?;
                show_settings(json, channel.as_ref(), &applied)
            }
            TroubleCommand::Events { after, limit } => {
                let size = PageSize::new(limit).context("--limit")?;
                let events = troubles.events(after, size).await?;
                list_events(json, &OperatorEventList::new(&events, after))
            }
        }
    })
    .await
}

async fn list(
    stores: &Stores,
    troubles: &ManageTroubles,
    json: bool,
    args: TroubleListArgs,
) -> Result<()> {
    let filter = TroubleFilter {
        resolved: args.state.map(|state| match state {
            TroubleStateArg::Open => false,
            TroubleStateArg::Resolved => true,
        }),
        channel: channel_id(args.channel.as_deref())?,
    };
    let (size, after) = page::parse(&args.page, wire::next::<TroubleId>)?;
    let listed = troubles.list(&filter, after, size).await?;
    if let (Some(channel), true) = (&filter.channel, listed.items.is_empty()) {
        ensure_exists(stores, channel).await?;
    }
    view::list(
        json,
        &TroubleList::new(&listed, troubles.now()),
        &[
            ("ID", "id"),
            ("STATE", "state"),
            ("KIND", "kind"),
            ("ABOUT", "about"),
            ("SINCE", "since"),
            ("SNOOZED UNTIL", "snoozed_until|no"),
            ("SEEN", "seen"),
        ],
        "no troubles",
    )
}

async fn snooze(
    troubles: &ManageTroubles,
    json: bool,
    id: &str,
    until: &str,
    reason: &str,
) -> Result<()> {
    let until = Timestamp::parse(until).context("--until")?;
    let reason = SnoozeReason::parse(reason).context("--reason")?;
    let by = OperatorName::of_command_line(&system::user_name());
    audit_trail::note(id, Some(format!("until {until}: {}", reason.as_str())));
    let snoozed = troubles.snooze(trouble_id(id)?, until, reason, by).await?;
    let view = TroubleView::new(&snoozed, troubles.now());
    print_changed(json, &view, "No notices about it are sent until then.")
}

async fn set(troubles: &ManageTroubles, json: bool, args: &TroubleSetArgs) -> Result<()> {
    let channel = channel_id(args.channel.as_deref())?;
    let built_in = Thresholds::default();
    let thresholds = Thresholds::new(
        args.silence_minutes.unwrap_or(built_in.silence_minutes()),
        args.challenges.unwrap_or(built_in.challenges()),
        args.code_share_percent
            .unwrap_or(built_in.code_share_percent()),
    );
    let off = args.off.iter().map(|kind| kind.parse::<TroubleKind>());
    let quiet_hours = args.quiet_hours.as_deref().map(str::parse::<QuietHours>);
    let settings = TroubleSettings {
        off: off.collect::<Result<_, _>>().context("--off")?,
        thresholds: thresholds?,
        quiet_hours: quiet_hours.transpose().context("--quiet-hours")?,
    };
    let applied = troubles
        .set_settings(channel.as_ref(), Some(&settings))
        .await?;
    show_settings(json, channel.as_ref(), &applied)
}

fn show_settings(json: bool, channel: Option<&ChannelId>, applied: &AppliedSettings) -> Result<()> {
    let view = TroubleSettingsView::new(channel, applied);
    if json {
        return output::json(&view);
    }
    let title = match &view.channel_id {
        Some(channel) if view.own => format!("Rules of channel {channel}"),
        Some(channel) => format!("Rules of channel {channel}, as of all channels"),
        None => "Rules of all channels".to_owned(),
    };
    let off = match view.off.join(", ") {
        none if none.is_empty() => "none".to_owned(),
        off => off,
    };
    output::fields(
        &title,
        [
            ("switched off", off),
            ("silence", format!("{} minutes", view.silence_minutes)),
            ("challenges", format!("{} in 10 minutes", view.challenges)),
            ("code share", format!("{} %", view.code_share_percent)),
            ("quiet hours", view.quiet_hours.unwrap_or("none".to_owned())),
        ],
    );
    Ok(())
}

fn list_events(json: bool, events: &OperatorEventList) -> Result<()> {
    if json {
        return output::json(events);
    }
    if events.items.is_empty() {
        output::line("no events");
    }
    for each in &events.items {
        let text = |pointer: &str| {
            let value = each.event.pointer(pointer);
            value.and_then(|value| value.as_str()).unwrap_or_default()
        };
        output::line(format!(
            "{}  {}  {}",
            each.sequence,
            output::time(text("/time")),
            text("/type")
        ));
        output::line(format!(
            "    {}: {}",
            text("/data/about"),
            text("/data/seen")
        ));
    }
    Ok(())
}

fn print_changed(json: bool, view: &TroubleView, said: &str) -> Result<()> {
    if json {
        return output::json(view);
    }
    output::line(format!("{} ({}). {said}", view.title, view.about));
    Ok(())
}

fn trouble_id(text: &str) -> Result<TroubleId> {
    let parsed = text.parse().ok();
    parsed.with_context(|| {
        format!("{text:?} is not the id of a trouble; `receiptd trouble list` shows them")
    })
}

fn channel_id(text: Option<&str>) -> Result<Option<ChannelId>> {
    text.map(ChannelId::parse).transpose().context("--channel")
}
