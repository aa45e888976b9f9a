//! Messages and what was reported of them.

use adapter_http::wire::{self, MessageDetailView, MessageList};
use anyhow::{Context as _, Result};
use domain::page::MessageFilter;
use domain::{
    Address, ChannelId, DeliveryStatus, ErrorCode, MessageKey, MessageSid, Recipient, Timestamp,
};
use usecases::messages::show::ShownMessage;
use usecases::{ListMessages, ShowMessage};

use crate::cli::{MessageCommand, MessageListArgs};
use crate::composition::Stores;
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: MessageCommand) -> Result<()> {
    let stores = Stores::open(settings).await?;
    let outcome = match command {
        MessageCommand::Show {
            channel,
            sid,
            reveal,
        } => show(&stores, json, &channel, &sid, reveal).await,
        MessageCommand::List(args) => list(&stores, json, args).await,
    };
    stores.close().await;
    outcome
}

async fn show(stores: &Stores, json: bool, channel: &str, sid: &str, reveal: bool) -> Result<()> {
    let key = MessageKey {
        channel: ChannelId::parse(channel)?,
        sid: MessageSid::parse(sid)?,
    };
    let show = ShowMessage::new(stores.store(), stores.store());
    let shown = show.run(&key).await?;
    if json {
        return output::json(&MessageDetailView::new(&shown, reveal));
    }
    print_message(&shown, reveal);
    Ok(())
}

async fn list(stores: &Stores, json: bool, args: MessageListArgs) -> Result<()> {
    let status = args.status.as_deref().map(|word| {
        let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        DeliveryStatus::from_word(word).with_context(|| format!("--status is one of {words}"))
    });
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
        since: args.since.as_deref().map(Timestamp::parse).transpose()?,
        until: args.until.as_deref().map(Timestamp::parse).transpose()?,
    };
    let (size, after) = super::page(&args.page, wire::next_message)?;
    let page = ListMessages::new(stores.store())
        .run(&filter, after.as_ref(), size)
        .await?;
    let integrators = super::integrators(stores).await?;
    let integrator = |channel: &ChannelId| integrators.get(channel).cloned();
    let list = MessageList::new(&page, integrator, args.reveal);
    if json {
        return output::json(&list);
    }
    let rows = page.items.iter().map(|message| {
        let error = message
            .state
            .error()
            .map(|error| error.error.code.to_string());
        [
            message.parties.first_reported_at.to_string(),
            message.key.channel.to_string(),
            message.key.sid.to_string(),
            status_text(message.state.status(), message.state.contradicted()),
            shown_address(&message.parties.recipient, args.reveal),
            error.unwrap_or_default(),
        ]
    });
    output::table(
        [
            "FIRST REPORTED",
            "CHANNEL",
            "MESSAGE",
            "STATUS",
            "TO",
            "ERROR",
        ],
        rows,
    );
    super::hint_of(list.next.as_deref());
    Ok(())
}

fn print_message(shown: &ShownMessage, reveal: bool) {
    let message = &shown.message.message;
    output::line(format!(
        "Message {} on channel {}",
        message.key.sid, message.key.channel
    ));
    let status = status_text(message.state.status(), message.state.contradicted());
    output::line(format!("  status    {status}"));
    output::line(format!(
        "  to        {}",
        shown_address(&message.parties.recipient, reveal)
    ));
    output::line(format!(
        "  from      {}",
        shown_address(&message.parties.sender, reveal)
    ));
    if let Some(error) = message.state.error() {
        let title = shown.explanation.map(|each| each.title).unwrap_or_default();
        output::line(format!("  error     {} {title}", error.error.code));
        if let Some(explanation) = shown.explanation {
            output::line(format!("            {}", explanation.explanation));
            let (who, how) = (explanation.actor.as_str(), explanation.permanence.as_str());
            output::line(format!("            who has to act: {who}; {how}"));
        }
    }
    output::line(format!(
        "  reports   {} different, {} duplicates",
        message.revision(),
        message.duplicates
    ));
    let steps = message.state.timeline().steps();
    output::table(
        ["STATUS", "FIRST REPORTED"],
        steps.map(|(status, at)| [status.to_string(), at.to_string()]),
    );
    let reports = shown.message.reports.iter().map(|logged| {
        let error = logged
            .report
            .error
            .as_ref()
            .map(|error| error.code.to_string());
        [
            logged.revision.to_string(),
            logged.report.arrived_at.to_string(),
            if reveal {
                logged.report.status.as_str().to_owned()
            } else {
                logged.report.status.to_string()
            },
            logged.effect.as_str().to_owned(),
            error.unwrap_or_default(),
            logged.report.idempotency_token.clone().unwrap_or_default(),
        ]
    });
    output::table(
        [
            "#",
            "ARRIVED",
            "REPORTED",
            "EFFECT",
            "ERROR",
            "IDEMPOTENCY TOKEN",
        ],
        reports,
    );
}

fn status_text(status: Option<DeliveryStatus>, contradicted: bool) -> String {
    let status = status.map_or("none yet", DeliveryStatus::as_str);
    if contradicted {
        format!("{status} (contradicted)")
    } else {
        status.to_owned()
    }
}

fn shown_address(address: &Address, reveal: bool) -> String {
    if reveal {
        address.reveal().to_owned()
    } else {
        address.to_string()
    }
}
