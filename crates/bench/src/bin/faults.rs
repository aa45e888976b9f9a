//! Breaks what `receiptd` depends on, and counts what was lost.

fn main() -> anyhow::Result<std::process::ExitCode> {
    bench::faults()
}
