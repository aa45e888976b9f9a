//! Lists rejected reports.

use adapter_http::wire::{self, RejectionList};
use anyhow::Result;
use domain::ChannelId;
use usecases::ListRejections;

use super::installation::{ensure_exists, with_stores};
use super::page;
use crate::cli::RejectionsArgs;
use crate::config::Settings;
use crate::view;

pub async fn run(settings: &Settings, json: bool, args: RejectionsArgs) -> Result<()> {
    let channel = args.channel.as_deref().map(ChannelId::parse).transpose()?;
    let (size, after) = page::parse(&args.page, wire::next)?;
    let page = with_stores(settings, async |stores| {
        let rejections = ListRejections::new(stores.store());
        let page = rejections.run(channel.as_ref(), after, size).await?;
        if let (Some(channel), true) = (&channel, page.items.is_empty()) {
            ensure_exists(stores, channel).await?;
        }
        Ok(page)
    })
    .await?;
    view::list(
        json,
        &RejectionList::new(&page),
        &[
            ("ARRIVED", "arrived_at"),
            ("CHANNEL", "channel_id"),
            ("REASON", "reason"),
            ("DETAIL", "detail"),
        ],
        "no rejected reports: every report of a known caller was accepted",
    )
}
