//! Shows the audit log.

use adapter_http::wire::{self, AuditList};
use anyhow::{Context as _, Result};
use domain::access::audit::AuditObject;
use domain::access::{AuditFilter, OperatorName};
use usecases::ListAudit;

use super::installation::with_stores;
use super::{event_options, page};
use crate::cli::{AuditCommand, AuditListArgs};
use crate::config::Settings;
use crate::view;

pub async fn run(settings: &Settings, json: bool, command: AuditCommand) -> Result<()> {
    let AuditCommand::List(args) = command;
    let filter = filter(&args)?;
    let (size, after) = page::parse(&args.page, wire::next)?;
    let page = with_stores(settings, async |stores| {
        let log = ListAudit::new(stores.store());
        Ok(log.run(&filter, after, size).await?)
    })
    .await?;
    view::list(
        json,
        &AuditList::new(&page),
        &[
            ("TIME", "at"),
            ("OPERATOR", "operator"),
            ("ACTION", "action"),
            ("OBJECT", "object"),
            ("DETAILS", "details"),
            ("SOURCE", "source|this machine"),
        ],
        "no entries; check the filters",
    )
}

fn filter(args: &AuditListArgs) -> Result<AuditFilter> {
    let operator = args.operator.as_deref().map(OperatorName::parse);
    let action = args.action.as_deref().map(str::parse).transpose();
    let time = |name: &str, text: Option<&str>| {
        text.map(|text| event_options::time(name, text)).transpose()
    };
    Ok(AuditFilter {
        operator: operator.transpose().context("--operator")?,
        action: action.context("--action")?,
        object: args.object.as_deref().map(AuditObject::new),
        since: time("--since", args.since.as_deref())?,
        until: time("--until", args.until.as_deref())?,
    })
}
