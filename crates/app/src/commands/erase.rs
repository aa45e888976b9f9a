//! Erases a recipient.

use std::io::{self, BufRead, IsTerminal as _};
use std::time::{Duration, Instant};

use adapter_http::wire::ErasureView;
use anyhow::{Context as _, Result, ensure};
use domain::erasure::{ErasureReason, RequestedVia};
use domain::{Erasure, Recipient};
use usecases::EraseRecipient;
use usecases::erasure::EraseRequest;

use super::audit_trail;
use crate::cli::EraseArgs;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

/// How often a long erasure reports its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

pub async fn run(settings: &Settings, json: bool, args: EraseArgs) -> Result<()> {
    let mut input = io::stdin().lock();
    let recipient = match &args.recipient.recipient {
        Some(number) => Recipient::parse(number).context("--recipient")?,
        None => Recipient::parse(&read_line(&mut input)?).context("--recipient-stdin")?,
    };
    let reason = args.reason.as_deref().map(ErasureReason::parse);
    let request = EraseRequest {
        recipient,
        reason: reason.transpose().context("--reason")?,
        via: RequestedVia::CommandLine,
    };
    let stores = Stores::open(settings).await?;
    // Unmasked only on a terminal, where it was typed; never in a log.
    let unmasked = io::stderr().is_terminal();
    output::hint(interpretation(&request.recipient, unmasked));
    if !args.yes {
        output::hint("This cannot be undone. Erase it? Type yes:");
        let answer = read_line(&mut input)?;
        ensure!(
            answer.trim().eq_ignore_ascii_case("yes"),
            "not confirmed: nothing was erased; answer yes, or give --yes"
        );
    }
    drop(input);
    let erase = composition::erase_recipient(&stores, settings.server_secret()?);
    let erasure = erase_all(&erase, &request).await;
    stores.close().await;
    let erasure = erasure?;
    audit_trail::note(&erasure.id.to_string(), None);
    if json {
        return output::json(&ErasureView::new(&erasure));
    }
    print(&erasure);
    Ok(())
}

fn read_line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    let read = input.read_line(&mut line);
    read.context("cannot read standard input")?;
    Ok(line)
}

/// Says how the recipient was interpreted, masked or unmasked.
fn interpretation(recipient: &Recipient, unmasked: bool) -> String {
    let key = recipient.key();
    let digits = key
        .as_deref()
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some(digits) = digits {
        let shown = if unmasked {
            format!("+{digits}")
        } else {
            format!("{recipient} of {} digits", digits.len())
        };
        return format!("Erases the number {shown}, in every spelling and under any scheme.");
    }
    let shown = if unmasked {
        recipient.address().reveal().to_owned()
    } else {
        recipient.to_string()
    };
    if key.is_some() {
        format!("Erases the user id {shown}, under any scheme.")
    } else {
        format!("Erases the address {shown}, under this scheme only.")
    }
}

async fn erase_all(erase: &EraseRecipient, request: &EraseRequest) -> Result<Erasure> {
    let mut erasure = erase.run(request, PROGRESS_INTERVAL).await?;
    let mut reported = Instant::now();
    while erasure.finished_at.is_none() {
        if reported.elapsed() >= PROGRESS_INTERVAL {
            reported = Instant::now();
            output::hint(format!(
                "scanned {} reports and messages, erased {} messages",
                erasure.looked_at, erasure.messages
            ));
        }
        let step = erase.step(erasure.id).await;
        erasure = step.with_context(|| {
            format!(
                "erasure {} is not finished; a server or `receiptd worker` continues it",
                erasure.id
            )
        })?;
    }
    Ok(erasure)
}

fn print(erasure: &Erasure) {
    output::fields(
        &format!("Erasure {}", erasure.id),
        [
            ("recipient", erasure.masked.clone()),
            ("messages", erasure.messages.to_string()),
            ("reports", erasure.reports.to_string()),
            ("deliveries", erasure.deliveries.to_string()),
        ],
    );
    output::hint(
        "Done. Journals of servers, backups and logs of other programs were not searched; \
         docs/operating/security.md says what to do about them.",
    );
}
