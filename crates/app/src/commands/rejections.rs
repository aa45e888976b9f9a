//! The reports that were refused.

use adapter_http::wire::{self, RejectionList};
use anyhow::Result;
use domain::ChannelId;
use usecases::ListRejections;

use crate::cli::RejectionsArgs;
use crate::composition::Stores;
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, args: RejectionsArgs) -> Result<()> {
    let channel = args.channel.as_deref().map(ChannelId::parse).transpose()?;
    let (size, after) = super::page(&args.page, wire::next)?;
    let stores = Stores::open(settings).await?;
    let rejections = ListRejections::new(stores.store());
    let page = rejections.run(channel.as_ref(), after, size).await;
    stores.close().await;
    let list = RejectionList::new(&page?);
    if json {
        return output::json(&list);
    }
    let rows = list
        .items
        .into_iter()
        .map(|view| [view.arrived_at, view.channel_id, view.reason, view.detail]);
    output::table(["ARRIVED", "CHANNEL", "REASON", "DETAIL"], rows);
    super::hint_of(list.next.as_deref());
    Ok(())
}
