//! Reads requests with events.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::http_head::HttpHead;

/// Reads the requests of one connection, one after the other.
pub(super) struct EventRequests {
    buffer: Vec<u8>,
    /// The length of the last request.
    read: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventRequest<'a> {
    /// Its `webhook-id`.
    pub(super) id: &'a str,
    pub(super) body: &'a [u8],
}

impl EventRequests {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(4096),
            read: 0,
        }
    }

    /// Reads the next request; `None` when the connection is closed.
    pub(super) async fn next(
        &mut self,
        stream: &mut TcpStream,
    ) -> io::Result<Option<EventRequest<'_>>> {
        self.buffer.drain(..self.read);
        self.read = 0;
        while HttpHead::parse(&self.buffer)?.is_none() {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        let Some(head) = HttpHead::parse(&self.buffer)? else {
            return Ok(None);
        };
        self.read = head.end;
        Ok(Some(EventRequest {
            id: head.header("webhook-id").unwrap_or_default(),
            body: self.buffer.get(head.body..head.end).unwrap_or_default(),
        }))
    }
}
