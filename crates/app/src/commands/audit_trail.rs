//! Records in the audit log what commands change and reveal.

use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use domain::access::{AuditAction, OperatorName};
use usecases::access::audit::Action;
use usecases::access::{Actor, RecordAudit};

use super::installation::with_stores;
use crate::cli::{
    ChannelCommand, Command, CredentialCommand, CursorCommand, DeliveryCommand, EventArgs,
    EventCommand, MessageCommand, RetentionCommand, SubscriptionCommand, TokenCommand,
    TroubleCommand,
};
use crate::composition;
use crate::config::Settings;
use crate::system;

/// What the command says about its change; see [`note`].
static NOTE: OnceLock<(String, Option<String>)> = OnceLock::new();

/// Names the id of what the running command created or changed, if its arguments do not contain
/// it, and says more about it. Never pass secrets or personal data of recipients.
pub fn note(object: &str, details: Option<String>) {
    // A command changes one thing.
    let _ = NOTE.set((object.to_owned(), details));
}

/// How a command is audited.
#[derive(Debug, PartialEq, Eq)]
pub enum Audited {
    /// It shows unmasked data, which must be recorded before.
    Reveal(String),
    /// It changes something; the text is its id, if the arguments contain it.
    Change(AuditAction, Option<String>),
}

/// Runs a command and records what it reveals before, and what it changed after it succeeded.
pub async fn audited(
    settings: &Settings,
    audited: Option<Audited>,
    command: impl Future<Output = Result<()>>,
) -> Result<()> {
    let change = match audited {
        None => return command.await,
        Some(Audited::Reveal(path)) => {
            let action = Action::new(AuditAction::DataReveal).on(&path);
            record(settings, async |audit, actor| {
                audit
                    .before(actor, action)
                    .await
                    .context("cannot record the reveal")
            })
            .await?;
            return command.await;
        }
        Some(Audited::Change(action, object)) => (action, object),
    };
    command.await?;
    let (noted, details) = NOTE.get().cloned().unzip();
    let mut action = Action::new(change.0);
    if let Some(object) = noted.or(change.1) {
        action = action.on(&object);
    }
    if let Some(details) = details.flatten() {
        action = action.saying(&details);
    }
    record(settings, async |audit, actor| {
        audit.after(actor, action).await;
        Ok(())
    })
    .await
}

async fn record(
    settings: &Settings,
    record: impl AsyncFnOnce(&RecordAudit, &Actor) -> Result<()>,
) -> Result<()> {
    let actor = Actor {
        name: OperatorName::of_command_line(&system::user_name()),
        source: None,
    };
    with_stores(settings, async |stores| {
        record(&composition::record_audit(stores), &actor).await
    })
    .await
}

/// Returns how a command is audited; `None` if it neither changes nor reveals anything.
pub fn of(command: &Command) -> Option<Audited> {
    match command {
        Command::Channel(command) => of_channel(command),
        Command::Credential(CredentialCommand::Add { channel, .. }) => {
            change(AuditAction::CredentialAdd, channel)
        }
        Command::Credential(CredentialCommand::Remove { channel, id }) => {
            change(AuditAction::CredentialRemove, &format!("{channel}/{id}"))
        }
        Command::Message(command) => of_message(command),
        Command::Event(command) => of_event(command),
        Command::Cursor(CursorCommand::Set { name, .. }) => change(AuditAction::CursorSet, name),
        Command::Cursor(CursorCommand::Remove { name }) => change(AuditAction::CursorRemove, name),
        Command::Subscription(command) => of_subscription(command),
        Command::Delivery(DeliveryCommand::Retry(arg)) => {
            change(AuditAction::DeliveryRetry, &arg.id)
        }
        Command::Erase(_) => Some(Audited::Change(AuditAction::RecipientErase, None)),
        Command::Retention(RetentionCommand::Release) => {
            Some(Audited::Change(AuditAction::RetentionRelease, None))
        }
        Command::Trouble(command) => of_trouble(command),
        Command::Reconcile(args) if !args.dry_run => {
            change(AuditAction::ChannelReconcile, &args.channel)
        }
        Command::Token(TokenCommand::Add(_)) => Some(Audited::Change(AuditAction::TokenAdd, None)),
        Command::Token(TokenCommand::Revoke { .. }) => {
            Some(Audited::Change(AuditAction::TokenRevoke, None))
        }
        Command::Credential(CredentialCommand::List { .. })
        | Command::Cursor(CursorCommand::List | CursorCommand::Show { .. })
        | Command::Delivery(DeliveryCommand::Show(_))
        | Command::Retention(RetentionCommand::Show)
        | Command::Token(TokenCommand::List)
        | Command::Audit(_)
        | Command::Serve(_)
        | Command::Worker(_)
        | Command::Migrate
        | Command::Erasure(_)
        | Command::Rejections(_)
        | Command::Reconcile(_)
        | Command::Stats(_)
        | Command::Config(_)
        | Command::Demo
        | Command::Simulate(_)
        | Command::Health
        | Command::Settings => None,
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "other arms of the matches are `None`"
)]
fn change(action: AuditAction, object: &str) -> Option<Audited> {
    Some(Audited::Change(action, Some(object.to_owned())))
}

/// The path is that of the same data in the API.
fn reveal(is_revealed: bool, path: impl Into<String>) -> Option<Audited> {
    is_revealed.then(|| Audited::Reveal(path.into()))
}

fn of_channel(command: &ChannelCommand) -> Option<Audited> {
    match command {
        ChannelCommand::Add(args) => change(AuditAction::ChannelAdd, &args.id),
        ChannelCommand::Update { id, .. } => change(AuditAction::ChannelChange, id),
        ChannelCommand::Enable(arg) | ChannelCommand::Disable(arg) => {
            change(AuditAction::ChannelChange, &arg.id)
        }
        ChannelCommand::Remove(arg) => change(AuditAction::ChannelRemove, &arg.id),
        ChannelCommand::Show { id, reveal: shown } => reveal(*shown, format!("channels/{id}")),
        // The running server sends the test report, and records it.
        ChannelCommand::Test(_) | ChannelCommand::List => None,
    }
}

fn of_trouble(command: &TroubleCommand) -> Option<Audited> {
    match command {
        TroubleCommand::Snooze { id, .. } => change(AuditAction::TroubleSnooze, id),
        TroubleCommand::Unsnooze { id } => change(AuditAction::TroubleEndSnooze, id),
        TroubleCommand::Set(args) => {
            let channel = args.channel.clone();
            Some(Audited::Change(AuditAction::TroubleSettings, channel))
        }
        TroubleCommand::Reset { channel } => change(AuditAction::TroubleSettings, channel),
        TroubleCommand::List(_)
        | TroubleCommand::Settings { .. }
        | TroubleCommand::Events { .. } => None,
    }
}

fn of_message(command: &MessageCommand) -> Option<Audited> {
    match command {
        MessageCommand::Show {
            channel,
            sid,
            reveal: shown,
        } => reveal(*shown, format!("messages/{channel}/{sid}")),
        MessageCommand::List(args) => reveal(args.reveal, "messages"),
    }
}

fn of_event(command: &EventCommand) -> Option<Audited> {
    let of_list = |args: &EventArgs| reveal(args.reveal, "events");
    match command {
        EventCommand::List { args, .. } | EventCommand::Tail { args } => of_list(args),
        EventCommand::Replay { subscription, .. } => {
            change(AuditAction::SubscriptionReplay, subscription)
        }
    }
}

fn of_subscription(command: &SubscriptionCommand) -> Option<Audited> {
    match command {
        SubscriptionCommand::Add(_) => Some(Audited::Change(AuditAction::SubscriptionAdd, None)),
        SubscriptionCommand::Update { id, .. } => change(AuditAction::SubscriptionChange, id),
        SubscriptionCommand::Pause(arg) => change(AuditAction::SubscriptionPause, &arg.id),
        SubscriptionCommand::Resume(arg) => change(AuditAction::SubscriptionResume, &arg.id),
        SubscriptionCommand::Remove(arg) => change(AuditAction::SubscriptionRemove, &arg.id),
        SubscriptionCommand::Rotate { id, .. } => change(AuditAction::SubscriptionRotateSecret, id),
        SubscriptionCommand::Replay { id, .. } => change(AuditAction::SubscriptionReplay, id),
        SubscriptionCommand::Retry { id, .. } => change(AuditAction::DeliveryRetry, id),
        // The running server sends the test event, and records it.
        SubscriptionCommand::Test(_)
        | SubscriptionCommand::List
        | SubscriptionCommand::Show(_)
        | SubscriptionCommand::Deliveries { .. } => None,
    }
}
