//! Limits what one client may hold: how much is read before its request is complete, and how long
//! it may be idle, slow to send or slow to read.
//!
//! actix limits none of this: it reads up to 128 KiB of an unfinished head, keeps reading requests
//! while earlier ones are being answered and while their answers cannot be written, and has no
//! timeout for the head of a second request or for a client that does not read. [`GuardedStream`]
//! wraps the socket, and [`registry`] closes connections that take too long or whose place others
//! need.

mod connection;
mod registry;
mod stream;

use std::error::Error;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::web::Bytes;

pub(crate) use connection::Limits;
pub(crate) use registry::register;
pub(crate) use stream::GuardedStream;

use connection::Connection;

/// Notes that a request on this connection had valid credentials: it is evicted only after
/// connections without.
pub(crate) fn mark_authenticated(request: &HttpRequest) {
    if let Some(connection) = Connection::of(request) {
        connection.authenticated.set(true);
    }
}

/// Allows the body of the request `max` bytes, if that is more than the listener allows.
pub(crate) fn allow_body(request: &HttpRequest, max: usize) {
    if let Some(connection) = Connection::of(request) {
        connection.allow_body(request.headers(), max);
    }
}

/// Returns whether a request on this connection had valid credentials.
pub(crate) fn is_authenticated(request: &HttpRequest) -> bool {
    Connection::of(request).is_some_and(|connection| connection.authenticated.get())
}

/// Notes that the body of the request was read to its end, and stops reading ahead.
pub(crate) fn body_complete(request: &HttpRequest) {
    if let Some(connection) = Connection::of(request) {
        connection.body_complete();
    }
}

/// Closes a connection while a request on it is being answered.
pub(crate) struct ConnectionCloser(Weak<Connection>);

impl ConnectionCloser {
    /// Returns the closer of a request's connection.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self(Connection::of(request).map_or_else(Weak::new, Rc::downgrade))
    }

    /// Closes the connection without sending the rest of the answer; has no effect on a closed one.
    pub(crate) fn close(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.close();
        }
    }
}

/// Updates the state of the connection when a request begins and when its answer ends.
///
/// Adds `Connection: close` to answers after which the server closes the connection: those to a
/// request whose body was not read, and to a request for an upgrade, which the server takes for the
/// last one although it offers no upgrade.
pub(crate) async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut answering = AnswerInProgress {
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
    Ok(response.map_body(|_, body| TrackedBody {
        body: body.boxed(),
        _answering: answering,
    }))
}

/// A request is being answered until this is dropped.
struct AnswerInProgress {
    connection: Option<Rc<Connection>>,
    closing: bool,
}

impl Drop for AnswerInProgress {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.end(self.closing);
        }
    }
}

/// The body of an answer, which the server drops once it has read it all.
struct TrackedBody {
    body: BoxBody,
    _answering: AnswerInProgress,
}

impl MessageBody for TrackedBody {
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
