//! One connection to a receiver: a request, its answer, the next request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Much longer than any caller waits for an answer, so that one that is late is
/// told from one that never comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection on which nothing is under way.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Whether the receiver closes the connection after it.
    pub closes: bool,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = timeout(CONNECT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(1024),
        })
    }

    /// Whether the receiver has closed it while nothing was under way.
    pub fn is_closed(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request and reads its answer. After an error nobody knows what
    /// became of the request, and the connection is of no use.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        timeout(PATIENCE, self.exchange_patiently(request)).await?
    }

    async fn exchange_patiently(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(answer) = complete(&self.buffer)? {
                return Ok(answer);
            }
        }
    }
}

/// The answer, once it is there with its whole body.
fn complete(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(bytes.get(..head_end).unwrap_or_default());
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("an answer has no status"))?;
    let (mut body, mut closes) = (0_usize, false);
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().ok();
            body = length.ok_or_else(|| io::Error::other("an answer has a strange length"))?;
        }
        closes |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
    }
    let length = head_end.saturating_add(4).saturating_add(body);
    Ok((bytes.len() >= length).then_some(Answer { status, closes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_whole_body() {
        let taken = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        let answer = |status, closes| Some(Answer { status, closes });
        assert_eq!(complete(taken).unwrap(), answer(204, false));
        assert_eq!(complete(&taken[..20]).unwrap(), None);
        let refused = b"HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(complete(refused).unwrap(), answer(503, true));
        assert_eq!(complete(&refused[..refused.len() - 1]).unwrap(), None);
        assert!(complete(b"nonsense nonsense\r\n\r\n").is_err());
    }
}
