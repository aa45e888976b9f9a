//! Forgetting a recipient.

use std::time::{Duration, Instant};

use adapter_http::wire::ErasureView;
use anyhow::{Context as _, Result};
use domain::erasure::{AskedThrough, ErasureReason};
use domain::{Addressee, Erasure};
use usecases::erase_recipient::EraseRequest;

use crate::cli::EraseArgs;
use crate::config::Settings;
use crate::output;
use crate::wiring::{self, Stores};

/// How often long work says how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

pub async fn run(settings: &Settings, json: bool, args: EraseArgs) -> Result<()> {
    let reason = args.reason.as_deref().map(ErasureReason::parse);
    let request = EraseRequest {
        addressee: Addressee::parse(&args.recipient).context("--recipient")?,
        reason: reason.transpose().context("--reason")?,
        through: AskedThrough::CommandLine,
    };
    let stores = Stores::open(settings).await?;
    let outcome = erase(&stores, &request).await;
    stores.close().await;
    let erasure = outcome?;
    if json {
        return output::json(&ErasureView::new(&erasure));
    }
    print(&erasure);
    Ok(())
}

async fn erase(stores: &Stores, request: &EraseRequest) -> Result<Erasure> {
    let erase = wiring::erase_recipient(stores);
    let mut erasure = erase.run(request, PROGRESS).await?;
    let mut said = Instant::now();
    while erasure.finished_at.is_none() {
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            output::hint(format!(
                "looked at {} reports and messages, {} messages erased",
                erasure.looked_at, erasure.messages
            ));
        }
        let step = erase.step(erasure.id).await;
        erasure = step.with_context(|| {
            format!(
                "erasure {} is not finished; a server or `receiptd worker` goes on with it",
                erasure.id
            )
        })?;
    }
    Ok(erasure)
}

fn print(erasure: &Erasure) {
    output::table(
        ["ERASURE", "RECIPIENT", "MESSAGES", "REPORTS", "DELIVERIES"],
        [[
            erasure.id.to_string(),
            erasure.masked.clone(),
            erasure.messages.to_string(),
            erasure.reports.to_string(),
            erasure.deliveries.to_string(),
        ]],
    );
    output::hint(
        "Done. Journals of receivers, backups and logs of other programs are not looked at; \
         docs/operating.md says what to do about them.",
    );
}
