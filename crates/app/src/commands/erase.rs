//! Forgetting a recipient.

use std::io::{self, BufRead, IsTerminal as _};
use std::time::{Duration, Instant};

use adapter_http::wire::ErasureView;
use anyhow::{Context as _, Result, ensure};
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
    let mut input = io::stdin().lock();
    let addressee = match &args.recipient.recipient {
        Some(number) => Addressee::parse(number).context("--recipient")?,
        None => Addressee::parse(&read_line(&mut input)?).context("--recipient-stdin")?,
    };
    let reason = args.reason.as_deref().map(ErasureReason::parse);
    let request = EraseRequest {
        addressee,
        reason: reason.transpose().context("--reason")?,
        through: AskedThrough::CommandLine,
    };
    let stores = Stores::open(settings).await?;
    // In the clear for the person who has typed it, and in no log.
    let clear = io::stderr().is_terminal();
    output::hint(understood(&request.addressee, clear));
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
fn understood(addressee: &Addressee, clear: bool) -> String {
    let forms = addressee.forms();
    let first = forms.first().map_or("", String::as_str);
    let is_number = first.starts_with('+');
    let shown = match (clear, is_number) {
        (true, _) => first.to_owned(),
        (false, true) => format!("{addressee} of {} digits", first.len() - 1),
        (false, false) => addressee.to_string(),
    };
    if is_number {
        format!("Erases the number {shown}, with and without a plus, whatsapp:, rcs: or sms:.")
    } else if forms.len() > 1 {
        format!("Erases the user id {shown}, with and without whatsapp:, rcs: or sms:.")
    } else {
        format!("Erases the address {shown}, exactly as it is written here.")
    }
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
