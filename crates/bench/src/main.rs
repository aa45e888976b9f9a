//! Measures throughput and latency of `receiptd`.

fn main() -> anyhow::Result<()> {
    bench::bench()
}
