//! Parses HTTP/1.1 messages. By hand, because the load and the subscribers share their processors
//! with the program under test.

use std::io;

/// The head of a message that has arrived with its whole body.
#[derive(Clone, Copy, Debug)]
pub struct HttpHead<'a> {
    text: &'a str,
    /// Where the body begins.
    pub body: usize,
    /// Where the message ends.
    pub end: usize,
}

impl<'a> HttpHead<'a> {
    /// Parses the head of the first message in `bytes`; `None` until its whole body has arrived.
    pub fn parse(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = bytes.get(..end).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(io::Error::other)?;
        let body = end.saturating_add(4);
        let mut head = Self {
            text,
            body,
            end: body,
        };
        if let Some(length) = head.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            head.end = body.saturating_add(length);
        }
        Ok((bytes.len() >= head.end).then_some(head))
    }

    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.text.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns the status of a response.
    pub fn status(&self) -> io::Result<u16> {
        let status = self.text.get(9..12).and_then(|digits| digits.parse().ok());
        status.ok_or_else(|| io::Error::other("a response has no status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_complete_with_its_whole_body() {
        let no_content = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        let head = HttpHead::parse(no_content).unwrap().unwrap();
        assert_eq!((head.status().unwrap(), head.end), (204, no_content.len()));
        assert!(HttpHead::parse(&no_content[..20]).unwrap().is_none());
        let request = b"POST /1 HTTP/1.1\r\nWebhook-Id: evt_1\r\nContent-Length: 3\r\n\r\nabcPOST";
        let head = HttpHead::parse(request).unwrap().unwrap();
        assert_eq!(&request[head.body..head.end], b"abc");
        assert_eq!(head.header("webhook-id"), Some("evt_1"));
        assert!(HttpHead::parse(&request[..head.end - 1]).unwrap().is_none());
        assert!(HttpHead::parse(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n").is_err());
        let nonsense = HttpHead::parse(b"nonsense nonsense\r\n\r\n").unwrap();
        assert!(nonsense.unwrap().status().is_err());
    }
}
