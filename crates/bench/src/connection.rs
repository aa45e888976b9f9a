//! One connection to a receiver: a request, its response, the next request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http_head::HttpHead;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Much longer than any caller waits, to distinguish late responses from missing ones.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection without a request in flight.
pub struct LoadConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Whether the receiver closes the connection after it.
    pub closes: bool,
}

impl LoadConnection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Returns whether the receiver has closed the connection.
    pub fn is_closed(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and reads its response. After an error it is unknown whether the request
    /// was processed, and the connection cannot be used again.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Response> {
        let exchange = async {
            self.stream.write_all(request).await?;
            self.buffer.clear();
            loop {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if let Some(head) = HttpHead::parse(&self.buffer)? {
                    let connection = head.header("connection").unwrap_or_default();
                    return Ok(Response {
                        status: head.status()?,
                        closes: connection.eq_ignore_ascii_case("close"),
                    });
                }
            }
        };
        timeout(RESPONSE_TIMEOUT, exchange).await?
    }
}
