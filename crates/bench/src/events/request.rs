//! Parses requests with events. By hand, because the subscriber shares its processors with the
//! program under test.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

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

/// Where the parts of a request are.
#[derive(Clone, Copy)]
struct RequestParts {
    body: usize,
    end: usize,
}

impl EventRequests {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(4096),
            read: 0,
        }
    }

    /// The next request; `None` when the connection is closed.
    pub(super) async fn next(
        &mut self,
        stream: &mut TcpStream,
    ) -> io::Result<Option<EventRequest<'_>>> {
        self.buffer.drain(..self.read);
        self.read = 0;
        let parts = loop {
            if let Some(parts) = complete(&self.buffer)? {
                break parts;
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        };
        self.read = parts.end;
        let head = self.buffer.get(..parts.body).unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(io::Error::other)?;
        Ok(Some(EventRequest {
            id: header(head, "webhook-id").unwrap_or_default(),
            body: self.buffer.get(parts.body..parts.end).unwrap_or_default(),
        }))
    }
}

/// The parts of the request in `bytes`; `None` until its whole body has arrived.
fn complete(bytes: &[u8]) -> io::Result<Option<RequestParts>> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..head_end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(io::Error::other)?;
    let length = header(head, "content-length").unwrap_or("0").parse();
    let length: usize = length.map_err(io::Error::other)?;
    let body = head_end.saturating_add(4);
    let end = body.saturating_add(length);
    Ok((bytes.len() >= end).then_some(RequestParts { body, end }))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_complete_with_its_whole_body() {
        let request = b"POST /1 HTTP/1.1\r\nWebhook-Id: evt_1\r\nContent-Length: 3\r\n\r\nabcPOST";
        let parts = complete(request).unwrap().unwrap();
        assert_eq!(&request[parts.body..parts.end], b"abc");
        assert!(complete(&request[..parts.end - 1]).unwrap().is_none());
        let head = std::str::from_utf8(&request[..parts.body]).unwrap();
        assert_eq!(header(head, "webhook-id"), Some("evt_1"));
        assert!(complete(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n").is_err());
    }
}
