//! Writes to standard error through a bounded queue: a log line never blocks or fails a request,
//! even if standard error is full, closed or an unread pipe.
//!
//! `tracing-appender` offers the same, but prints to standard output when it does not finish in
//! time, and does not count the lines that could not be written.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines may be pending; beyond that lines are dropped.
const MAX_PENDING_BYTES: usize = 1024 * 1024;

/// A queue of lines and the thread that writes them. Clones share it.
#[derive(Clone)]
pub struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Whether the thread is writing lines that it has removed from `pending`.
    writing: bool,
    dropped: u64,
}

impl LogQueue {
    /// Starts the thread that writes to `sink`. It runs until the process ends.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        }));
        let writer = queue.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_to(sink))?;
        Ok(queue)
    }

    /// Queues a line, which ends in a newline, or drops and counts it if the queue is full.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.pending.len().saturating_add(line.len()) > MAX_PENDING_BYTES {
            state.dropped = state.dropped.saturating_add(1);
            return;
        }
        state.pending.extend_from_slice(line);
        self.0.changed.notify_all();
    }

    /// Waits until everything queued has been written or dropped, at most for `timeout`.
    pub fn flush(&self, timeout: Duration) {
        let unfinished = |state: &mut State| state.writing || !state.pending.is_empty();
        let changed = &self.0.changed;
        drop(changed.wait_timeout_while(self.lock(), timeout, unfinished));
    }

    /// Returns how many lines were dropped since the start: the queue was full, or the sink
    /// failed.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut sink: impl Write) {
        let mut reported = 0;
        loop {
            let lines = self.take();
            let refused = write_lines(&mut sink, &lines);
            let dropped = {
                let mut state = self.lock();
                state.dropped = state.dropped.saturating_add(refused);
                state.writing = false;
                state.dropped
            };
            // Only after a successful write: before it, this line would be dropped too.
            if refused == 0 && dropped > reported {
                let lines = dropped - reported;
                reported = dropped;
                tracing::warn!(
                    lines,
                    "log lines were dropped: standard error could not be written"
                );
            }
            self.0.changed.notify_all();
        }
    }

    /// Waits for lines and removes all of them from the queue.
    fn take(&self) -> Vec<u8> {
        let changed = &self.0.changed;
        let is_empty = |state: &mut State| state.pending.is_empty();
        let waited = changed.wait_while(self.lock(), is_empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        mem::take(&mut state.pending)
    }
}

/// Writes lines and returns how many were not written. It stops at the first error.
fn write_lines(sink: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match sink.write(lines) {
            Ok(written @ 1..) => lines = lines.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                let refused = lines.split_inclusive(|byte| *byte == b'\n').count();
                return u64::try_from(refused).unwrap_or(u64::MAX);
            }
        }
    }
    0
}

/// The subscriber calls `write` once per line.
impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// A sink that does not return from a write before the test has received it.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pipe() -> (LogQueue, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(0);
        (LogQueue::start(Pipe(sender)).unwrap(), receiver)
    }

    #[test]
    fn lines_are_written_in_order_before_flush_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let queue = LogQueue::start(std::fs::File::create(&path).unwrap()).unwrap();
        for number in 0..1000 {
            queue.push(format!("line {number}\n").as_bytes());
        }
        queue.flush(TIMEOUT);
        let text = std::fs::read_to_string(path).unwrap();
        let numbers = text.lines().map(|line| line.strip_prefix("line ").unwrap());
        assert!(numbers.eq((0..1000).map(|number: u32| number.to_string())));
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_full_queue_drops_lines_and_never_blocks() {
        let (queue, receiver) = pipe();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..3 * MAX_PENDING_BYTES / line.len() {
            queue.push(&line);
        }
        // The thread has taken at most one queue's worth.
        let lines = 3 * MAX_PENDING_BYTES / line.len();
        let dropped = usize::try_from(queue.dropped()).unwrap();
        assert!((lines / 3..=2 * lines / 3).contains(&dropped), "{dropped}");
        queue.flush(Duration::from_millis(1));
        let mut written = 0;
        while written + dropped < lines {
            written += receiver.recv_timeout(TIMEOUT).unwrap().len() / line.len();
        }
    }

    #[test]
    fn failed_writes_are_counted_and_later_lines_are_written() {
        let (queue, receiver) = pipe();
        queue.push(b"first\n");
        assert_eq!(receiver.recv_timeout(TIMEOUT).unwrap(), b"first\n");
        drop(receiver);
        queue.flush(TIMEOUT);
        queue.push(b"second\nthird\n");
        queue.flush(TIMEOUT);
        assert_eq!(queue.dropped(), 2);
    }
}
