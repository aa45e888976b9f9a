//! The reports that were refused.

use std::sync::Arc;

use adapter_http::wire::RejectionView;
use anyhow::Result;
use domain::ChannelId;
use domain::page::PageSize;
use usecases::ListRejections;

use crate::cli::RejectionsArgs;
use crate::config::Settings;
use crate::output;
use crate::wiring::Stores;

pub async fn run(settings: &Settings, json: bool, args: RejectionsArgs) -> Result<()> {
    let channel = args.channel.as_deref().map(ChannelId::parse).transpose()?;
    let size = PageSize::new(args.limit)?;
    let stores = Stores::open(settings).await?;
    let list = ListRejections::new(Arc::clone(&stores.rejections));
    let page = list.run(channel.as_ref(), None, size).await?;
    stores.close().await;
    let views: Vec<_> = page.items.iter().map(RejectionView::new).collect();
    if json {
        return output::json(&views);
    }
    let rows = page.items.iter().map(|kept| {
        let rejection = &kept.rejection;
        [
            rejection.arrived_at.to_string(),
            rejection.channel.to_string(),
            rejection.reason.as_str().to_owned(),
            rejection.detail.clone(),
        ]
    });
    output::table(["ARRIVED", "CHANNEL", "REASON", "DETAIL"], rows);
    Ok(())
}
