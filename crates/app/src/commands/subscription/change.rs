//! Adds and changes subscriptions.

use std::io::Read as _;
use std::time::Duration;

use adapter_http::wire::{IssuedSubscriptionView, SubscriptionView};
use anyhow::{Context as _, Result, anyhow};
use domain::SubscriptionId;
use domain::crypto::SigningSecret;
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use usecases::ManageSubscriptions;
use usecases::subscriptions::{NewSubscription, SubscriptionChanges, SubscriptionError};

use crate::cli::{SubscriptionAddArgs, SubscriptionUpdateArgs};
use crate::commands::{audit_trail, event_options};
use crate::output;

pub async fn add(
    manage: &ManageSubscriptions,
    json: bool,
    args: SubscriptionAddArgs,
) -> Result<()> {
    let from = event_options::start(manage.log(), &args.start).await?;
    let new = NewSubscription {
        url: TargetUrl::parse(&args.url)?,
        filter: event_options::subscription_filter(&args.channels, &args.types)?,
        reveal: args.reveal,
        description: Description::parse(args.description.as_deref().unwrap_or_default())?,
        secret: secret(args.secret_stdin)?,
        from,
        may_reveal: true,
    };
    let added = manage.add(new).await.map_err(name_setting);
    let (subscription, secret) = added?;
    audit_trail::note(&subscription.id.to_string(), None);
    print_issued(json, &IssuedSubscriptionView::new(&subscription, &secret))
}

pub async fn update(
    manage: &ManageSubscriptions,
    json: bool,
    id: SubscriptionId,
    args: &SubscriptionUpdateArgs,
) -> Result<()> {
    let before = manage.find(id).await?.subscription;
    let wanted = event_options::subscription_filter(&args.channels, &args.types)?;
    let mut filter = before.filter;
    if args.all_channels || wanted.channels.is_some() {
        filter.channels = wanted.channels;
    }
    if args.all_types || wanted.types.is_some() {
        filter.types = wanted.types;
        filter.operator_types = wanted.operator_types;
    }
    let url = args.url.as_deref().map(TargetUrl::parse).transpose();
    let description = args.description.as_deref().map(Description::parse);
    let changes = SubscriptionChanges {
        url: url.context("--url")?,
        filter: Some(filter),
        reveal: args.reveal,
        description: description.transpose().context("--description")?,
        // The new filter is derived from the version that was read.
        version: Some(before.version),
        may_reveal: true,
    };
    let outcome = manage.change(id, changes).await.map_err(name_setting)?;
    outcome.masked.context(
        "the subscription was changed, but its stored events were not masked; repeat this",
    )?;
    let view = SubscriptionView::of_status(&manage.find(id).await?);
    print_changed(json, &view, &format!("Subscription {id} changed."))
}

pub async fn pause(manage: &ManageSubscriptions, json: bool, id: SubscriptionId) -> Result<()> {
    let paused = manage.pause(id).await?;
    let said = format!("Subscription {id} paused; its events stay in the log.");
    print_changed(json, &SubscriptionView::new(&paused), &said)
}

pub async fn resume(manage: &ManageSubscriptions, json: bool, id: SubscriptionId) -> Result<()> {
    let resumed = manage.resume(id).await?;
    let from = if resumed.skipped {
        "continues with the oldest event in the log: retention has removed events that were not \
         delivered"
    } else {
        "continues from its position"
    };
    let said = format!("Subscription {id} {from}.");
    print_changed(json, &SubscriptionView::new(&resumed.subscription), &said)
}

pub async fn rotate(
    manage: &ManageSubscriptions,
    json: bool,
    id: SubscriptionId,
    overlap: Duration,
    (secret_stdin, end_previous): (bool, bool),
) -> Result<()> {
    let rotated = manage.rotate(id, secret(secret_stdin)?, overlap, end_previous);
    let (subscription, secret) = rotated.await.map_err(|error| match error {
        SubscriptionError::PreviousSecretSigns(until) => anyhow!(
            "the secret before the current one still signs until {until}, and rotating again \
             would end it now; wait, or give --end-previous"
        ),
        error => error.into(),
    })?;
    print_issued(json, &IssuedSubscriptionView::new(&subscription, &secret))
}

/// Adds the setting that would allow the endpoint.
fn name_setting(error: SubscriptionError) -> anyhow::Error {
    match error {
        SubscriptionError::PrivateTarget(_) => {
            anyhow!("{error}; to allow it, set RECEIPTD_PUSH_PRIVATE_TARGETS=true")
        }
        error => error.into(),
    }
}

/// Reads the signing secret from standard input, if an option says so.
fn secret(from_stdin: bool) -> Result<Option<SigningSecret>> {
    if !from_stdin {
        return Ok(None);
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.context("cannot read the secret from standard input")?;
    Ok(Some(SigningSecret::parse(text.trim())?))
}

/// Prints the changed subscription as JSON, or what `said` says about it.
fn print_changed(json: bool, view: &SubscriptionView, said: &str) -> Result<()> {
    if json {
        return output::json(view);
    }
    output::line(said);
    Ok(())
}

fn print_issued(json: bool, view: &IssuedSubscriptionView) -> Result<()> {
    let id = &view.subscription.id;
    if json {
        output::json(view)?;
    } else {
        output::fields(
            &format!("Subscription {id}"),
            [
                ("endpoint", view.subscription.url.clone()),
                ("secret", view.secret.clone()),
            ],
        );
        output::hint("The secret is shown only once. The subscriber verifies signatures with it.");
    }
    output::ensure_shown(|| {
        format!(
            "subscription {id} has a new signing secret, which may not have been shown; run \
             `receiptd subscription rotate {id}` to generate another one"
        )
    })
}
