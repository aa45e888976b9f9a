//! A server that does to each connection what a test says, byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// No read or write of a test's server waits longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A connection, plain or in TLS.
pub(crate) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A server that lives as long as its process; what it does ends with each
/// connection.
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Serves each connection on a thread of its own.
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&connections), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, serve) = (stream.expect("a connection"), Arc::clone(&serve));
                stream.set_read_timeout(Some(LIMIT)).expect("a limit");
                stream.set_write_timeout(Some(LIMIT)).expect("a limit");
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || serve(stream));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Answers every request with the same bytes and keeps the connection.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |stream| keep_answering(stream, &answer))
    }

    /// Answers with these bytes and closes.
    pub(crate) fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(&answer);
        })
    }

    /// Answers requests with 204 and sends them to the channel.
    pub(crate) fn recording() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel();
        let server = Self::start(move |mut stream| {
            while let Some(request) = read_request(&mut stream) {
                let _ = sender.send(request);
                let _ = stream.write_all(NO_CONTENT);
            }
        });
        (server, receiver)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(crate) const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header line.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Reads a whole request; `None` if the connection ends first.
pub(crate) fn read_request(stream: &mut dyn Stream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let mut request = Request {
        head: String::from_utf8(head).expect("a head in UTF-8"),
        body: Vec::new(),
    };
    let length = match request.header("content-length") {
        Some(length) => length.parse().ok()?,
        None => 0,
    };
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Answers every request on a connection with the same bytes.
pub(crate) fn keep_answering(mut stream: impl Stream, answer: &[u8]) {
    while read_request(&mut stream).is_some() {
        if stream.write_all(answer).is_err() {
            break;
        }
    }
}

/// Waits for the other side to end the connection. Returns whether it did.
pub(crate) fn wait_for_end(stream: &mut dyn Stream) -> bool {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
            }
        }
    }
}

/// Resets a connection by closing it while it has unread bytes.
pub(crate) fn reset(stream: TcpStream) {
    let mut byte = [0];
    stream.peek(&mut byte).expect("a request");
    drop(stream);
}
