//! One connection to a receiver: a request, its response, the next request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

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

    /// Whether the receiver has closed the connection.
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
                if let Some(response) = complete_response(&self.buffer)? {
                    return Ok(response);
                }
            }
        };
        timeout(RESPONSE_TIMEOUT, exchange).await?
    }
}

/// The response in `bytes`; `None` until its whole body has arrived.
fn complete_response(bytes: &[u8]) -> io::Result<Option<Response>> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..head_end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(io::Error::other)?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("a response has no status"))?;
    let (mut body, mut closes) = (0_usize, false);
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = value.parse().map_err(io::Error::other)?;
        }
        closes |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
    }
    let length = head_end.saturating_add(4).saturating_add(body);
    Ok((bytes.len() >= length).then_some(Response { status, closes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_is_complete_with_its_whole_body() {
        let response = |status, closes| Some(Response { status, closes });
        let no_content = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        assert_eq!(complete_response(no_content).unwrap(), response(204, false));
        assert_eq!(complete_response(&no_content[..20]).unwrap(), None);
        let refused = b"HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(complete_response(refused).unwrap(), response(503, true));
        let part = &refused[..refused.len() - 1];
        assert_eq!(complete_response(part).unwrap(), None);
        assert!(complete_response(b"nonsense nonsense\r\n\r\n").is_err());
    }
}
