//! What one client may hold: how much is read before its request is complete, and for how
//! long it may be idle, slow to send or slow to read.
//!
//! actix limits none of this: it reads up to 128 KiB of an unfinished head, goes on reading
//! requests while earlier ones are being answered and while their answers cannot be written,
//! and has no time limit for the head of a second request or for a client that does not read.
//! [`GuardedStream`] stands between it and the socket, and [`registry`] closes what takes too
//! long or what others need more.

mod registry;
mod stream;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Bytes;

use crate::connections::{Connections, Counted};
use crate::webhook::body::has_body;

pub(crate) use registry::register;
pub(crate) use stream::GuardedStream;

/// How many bytes are read beyond a request that is being answered: enough to notice that the
/// client is gone, too few to queue requests.
const READ_AHEAD: usize = 1_024;

/// What a client may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many bytes the head of a request has at most.
    pub(crate) head: usize,
    /// How many bytes of a body are read at most.
    pub(crate) body: usize,
    /// How long a connection is kept without a request.
    pub(crate) idle: Duration,
    /// How long the head of a request may take to arrive, counted from its first byte.
    pub(crate) receiving: Duration,
    /// How long an answer may wait for a client that does not read it.
    pub(crate) sending: Duration,
}

/// What happens on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte of the next request has arrived.
    Idle,
    /// Some bytes of the next request's head have arrived.
    Head,
    /// A request is being answered.
    Request,
    /// The last answer was given; what still arrives is dropped by the server.
    Closing,
}

/// The state of one connection, shared by its stream, its requests and the registry, which
/// live on one thread.
pub(crate) struct Connection {
    limits: Limits,
    phase: Cell<Phase>,
    /// When the phase began.
    since: Cell<Instant>,
    /// How many bytes may still be read in this phase.
    allowance: Cell<usize>,
    /// Whether reading has stopped for want of an allowance, or because answers wait.
    gated: Cell<bool>,
    /// Since when bytes wait that the client does not take.
    blocked: Cell<Option<Instant>>,
    /// Whether the body of the request was read to its end.
    complete: Cell<bool>,
    /// Whether a request on it has shown valid credentials.
    proven: Cell<bool>,
    /// The task that serves it.
    task: RefCell<Option<Waker>>,
    /// `None` once it is closed.
    counted: RefCell<Option<Counted>>,
}

impl Connection {
    fn new(limits: Limits, connections: &Arc<Connections>) -> Self {
        Self {
            limits,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(Instant::now()),
            allowance: Cell::new(limits.head),
            gated: Cell::new(false),
            blocked: Cell::new(None),
            complete: Cell::new(false),
            proven: Cell::new(false),
            task: RefCell::new(None),
            counted: RefCell::new(Some(connections.count())),
        }
    }

    /// The connection on which a request has arrived; `None` if it was made by a test without
    /// one.
    fn of(request: &HttpRequest) -> Option<&Rc<Self>> {
        request.conn_data::<Rc<Self>>()
    }

    fn enter(&self, phase: Phase, allowance: usize) {
        self.phase.set(phase);
        self.since.set(Instant::now());
        self.allowance.set(allowance);
        if self.gated.take() {
            self.wake();
        }
    }

    fn begin(&self, head: &HeaderMap) {
        let body = if head.contains_key(header::TRANSFER_ENCODING) {
            // Chunks add their lengths to what they carry.
            self.limits.body.saturating_mul(2)
        } else {
            let length = head.get(header::CONTENT_LENGTH);
            let length = length.and_then(|length| length.to_str().ok()?.trim().parse().ok());
            length.unwrap_or(0).min(self.limits.body)
        };
        self.complete.set(!has_body(head));
        self.enter(Phase::Request, body.saturating_add(READ_AHEAD));
    }

    fn end(&self, closing: bool) {
        if closing {
            self.enter(Phase::Closing, usize::MAX);
        } else {
            self.enter(Phase::Idle, self.limits.head);
        }
    }

    /// Closes it at once, whatever was still to be sent. It gives up its place immediately;
    /// the server drops it when it next looks.
    fn close(&self) {
        if self.counted.take().is_some() {
            self.wake();
        }
    }

    fn is_closed(&self) -> bool {
        self.counted.borrow().is_none()
    }

    fn wake(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }

    fn remember(&self, context: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if task
            .as_ref()
            .is_none_or(|task| !task.will_wake(context.waker()))
        {
            *task = Some(context.waker().clone());
        }
    }
}

/// Notes that a request on this connection has shown valid credentials: the connection is not
/// evicted while others are there that have not.
pub(crate) fn authenticate(request: &HttpRequest) {
    if let Some(connection) = Connection::of(request) {
        connection.proven.set(true);
    }
}

/// Whether a request has shown valid credentials on this connection.
pub(crate) fn is_proven(request: &HttpRequest) -> bool {
    Connection::of(request).is_some_and(|connection| connection.proven.get())
}

/// Notes that the body of the request was read to its end, and stops reading ahead.
pub(crate) fn body_complete(request: &HttpRequest) {
    if let Some(connection) = Connection::of(request) {
        connection.complete.set(true);
        let left = connection.allowance.get().min(READ_AHEAD);
        connection.allowance.set(left);
    }
}

/// Ends a connection while it is being answered.
pub(crate) struct Cut(Weak<Connection>);

impl Cut {
    /// That of the connection on which a request has come.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self(Connection::of(request).map_or_else(Weak::new, Rc::downgrade))
    }

    /// Closes it at once, whatever was still to be sent; one that is closed already stays so.
    pub(crate) fn cut(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.close();
        }
    }
}

/// Tells the connection when a request on it begins and when its answer ends.
///
/// The answer says that the connection is closed where that follows: after a body that was not
/// read, and after a request for an upgrade, which the server takes for the last one although
/// no upgrade is offered.
pub(crate) async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut answering = Answering {
        connection: Connection::of(request.request()).cloned(),
        closing: false,
    };
    if let Some(connection) = &answering.connection {
        connection.begin(request.headers());
    }
    let upgrade = request.head().upgrade();
    let mut response = next.call(request).await?;
    let connection = answering.connection.as_ref();
    let unread = connection.is_some_and(|connection| !connection.complete.get());
    if upgrade || unread {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let head = response.response().head();
    answering.closing = head.connection_type() == ConnectionType::Close;
    Ok(response.map_body(|_, body| Tracked {
        body: body.boxed(),
        _answering: answering,
    }))
}

/// A request is being answered until this is dropped.
struct Answering {
    connection: Option<Rc<Connection>>,
    closing: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.end(self.closing);
        }
    }
}

/// The body of an answer, which the server drops once it has taken all of it.
struct Tracked {
    body: BoxBody,
    _answering: Answering,
}

impl MessageBody for Tracked {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
