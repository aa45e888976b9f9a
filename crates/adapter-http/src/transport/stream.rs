//! The socket as the server sees it. Bytes that may not be read yet stay in the socket.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{Connection, Limits, Phase};
use crate::connections::Connections;

/// Bytes the server receives before it must try to parse a request. Small, because a parsed head
/// takes far more memory than its bytes, and pipelined requests would be parsed ahead of the one
/// being answered.
const MAX_UNPARSED_BYTES: usize = 2_048;

/// Written by the stream itself: the server would first read up to 128 KiB.
const HEAD_TOO_LONG: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";

/// A socket with limits on what its client may hold.
pub(crate) struct GuardedStream {
    socket: TcpStream,
    connection: Rc<Connection>,
    /// Bytes read since the server last parsed them.
    unparsed: usize,
    /// Whether the server has parsed as many bytes as a head may have and found no request.
    head_is_full: bool,
}

impl GuardedStream {
    pub(crate) fn new(socket: TcpStream, limits: Limits, connections: &Arc<Connections>) -> Self {
        // If this fails, small writes are delayed.
        let _ = socket.set_nodelay(true);
        Self {
            socket,
            connection: Rc::new(Connection::new(limits, connections)),
            unparsed: 0,
            head_is_full: false,
        }
    }

    pub(crate) const fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Handles a read while nothing may be read.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = &self.connection;
        if connection.blocked.get().is_some() || connection.phase.get() == Phase::Request {
            connection.gated.set(true);
            return Poll::Pending;
        }
        if !self.head_is_full {
            self.head_is_full = true;
            return self.parse(context);
        }
        // The answer may be lost if the client keeps sending.
        let _ = Pin::new(&mut self.socket).poll_write(context, HEAD_TOO_LONG);
        Poll::Ready(Ok(()))
    }

    /// Makes the server parse what it has before it reads more.
    fn parse(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unparsed = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn check_open(&self) -> io::Result<()> {
        if self.connection.is_closed() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_open()?;
        let this = &mut *self;
        let connection = &this.connection;
        connection.store_waker(context);
        let phase = connection.phase.get();
        if phase == Phase::Closing {
            // The server drops it at once.
            return Pin::new(&mut this.socket).poll_read(context, buffer);
        }
        let allowed = connection.allowance.get();
        if allowed == 0 || connection.blocked.get().is_some() {
            return this.wait(context);
        }
        if this.unparsed >= MAX_UNPARSED_BYTES {
            return this.parse(context);
        }
        let length = allowed
            .min(MAX_UNPARSED_BYTES - this.unparsed)
            .min(buffer.remaining());
        let mut chunk = ReadBuf::new(buffer.initialize_unfilled_to(length));
        let read = Pin::new(&mut this.socket).poll_read(context, &mut chunk);
        if read.is_pending() {
            this.unparsed = 0;
        }
        ready!(read)?;
        let length = chunk.filled().len();
        buffer.advance(length);
        this.unparsed = this.unparsed.saturating_add(length);
        this.head_is_full = false;
        connection.allowance.set(allowed.saturating_sub(length));
        if phase == Phase::Idle && length > 0 {
            connection.phase.set(Phase::Head);
            connection.since.set(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        if written.is_pending() && self.connection.blocked.get().is_none() {
            self.connection.blocked.set(Some(Instant::now()));
        }
        written
    }

    /// The server flushes once it has written everything.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_open()?;
        let connection = &self.connection;
        if connection.blocked.take().is_some() && connection.gated.take() {
            context.waker().wake_by_ref();
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
