//! Forgetting a recipient.

use std::io::{self, BufRead, IsTerminal as _};
use std::time::{Duration, Instant};

use adapter_http::wire::ErasureView;
use anyhow::{Context as _, Result, ensure};
use domain::erasure::{ErasureReason, RequestedVia};
use domain::{Erasure, Recipient};
use usecases::erasure::EraseRequest;

use crate::cli::EraseArgs;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

/// How often long work says how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

pub async fn run(settings: &Settings, json: bool, args: EraseArgs) -> Result<()> {
    let mut input = io::stdin().lock();
    let addressee = match &args.recipient.recipient {
        Some(number) => Recipient::parse(number).context("--recipient")?,
        None => Recipient::parse(&read_line(&mut input)?).context("--recipient-stdin")?,
    };
    let reason = args.reason.as_deref().map(ErasureReason::parse);
    let request = EraseRequest {
        recipient: addressee,
        reason: reason.transpose().context("--reason")?,
        via: RequestedVia::CommandLine,
    };
    let stores = Stores::open(settings).await?;
    // In the clear for the person who has typed it, and in no log.
    let clear = io::stderr().is_terminal();
    output::hint(understood(&request.recipient, clear));
    if !args.yes {
        output::hint("This cannot be undone. Erase it? Type yes:");
        let answer = read_line(&mut input)?;
        ensure!(
            answer.trim().eq_ignore_ascii_case("yes"),
            "not confirmed, nothing was erased; answer yes, or give --yes"
        );
    }
    drop(input);
    let outcome = erase(&stores, &request).await;
    stores.close().await;
    let erasure = outcome?;
    if json {
        return output::json(&ErasureView::new(&erasure));
    }
    print(&erasure);
    Ok(())
}

fn read_line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    let read = input.read_line(&mut line);
    read.context("standard input cannot be read")?;
    Ok(line)
}

/// Says how the recipient was understood; masked unless it may be shown in the clear.
fn understood(addressee: &Recipient, clear: bool) -> String {
    let key = addressee.key();
    let digits = key
        .as_deref()
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some(digits) = digits {
        let shown = if clear {
            format!("+{digits}")
        } else {
            format!("{addressee} of {} digits", digits.len())
        };
        return format!("Erases the number {shown}, in every spelling and under any scheme.");
    }
    let shown = if clear {
        addressee.address().reveal().to_owned()
    } else {
        addressee.to_string()
    };
    if key.is_some() {
        format!("Erases the user id {shown}, under any scheme.")
    } else {
        format!("Erases the address {shown}, under this scheme only.")
    }
}

async fn erase(stores: &Stores, request: &EraseRequest) -> Result<Erasure> {
    let erase = composition::erase_recipient(stores);
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
