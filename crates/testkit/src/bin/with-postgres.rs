//! `with-postgres COMMAND…` runs a command with `TEST_POSTGRES_URL` set.
//!
//! If the variable is set already, that server is used; otherwise a throw-away one is started and
//! removed afterwards. The exit status is that of the command.

#![expect(clippy::print_stderr, reason = "a program for people at a terminal")]

use std::env;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus};

use testkit::cluster::Cluster;
use tokio::signal::unix::{SignalKind, signal};

const VARIABLE: &str = "TEST_POSTGRES_URL";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-postgres COMMAND [ARGUMENT]…");
        return ExitCode::from(2);
    };
    let mut command = Command::new(&program);
    command.args(arguments);
    match run(command).await {
        Ok(status) => exit_code(status),
        Err(error) => {
            eprintln!("with-postgres {}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program exists to set the variable"
)]
async fn run(mut command: Command) -> io::Result<ExitStatus> {
    if env::var_os(VARIABLE).is_some_and(|url| !url.is_empty()) {
        return wait_for(&mut command).await;
    }
    let cluster = Cluster::start()?;
    command.env(VARIABLE, cluster.url("postgres"));
    wait_for(&mut command).await
}

/// Runs the command and ignores signals: the command handles them, and must not lose its database.
async fn wait_for(command: &mut Command) -> io::Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.spawn()?;
    let pid = child.id().to_string();
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    loop {
        tokio::select! {
            status = &mut ended => return status.map_err(io::Error::other)?,
            // The terminal sends these two to the command as well.
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
            _ = terminate.recv() => {
                Command::new("/bin/sh").args(["-c", "kill -TERM \"$1\"", "sh", &pid]).status()?;
            }
        }
    }
}

/// Returns the exit code as shells do: 128 plus the signal, if one ended the command.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
