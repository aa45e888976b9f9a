//! The state of one connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};

use crate::connections::{ConnectionGuard, Connections};
use crate::request_body::has_body;

/// Bytes that are read beyond a request that is being answered: enough to notice that the client
/// has disconnected, too few to queue requests.
const READ_AHEAD: usize = 1_024;

/// Limits on what one client may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a request's head.
    pub(crate) head: usize,
    /// Bytes of a body.
    pub(crate) body: usize,
    /// How long a connection is kept without a request.
    pub(crate) idle: Duration,
    /// How long the head of a request may take to arrive, counted from its first byte.
    pub(crate) receiving: Duration,
    /// How long an answer may wait for a client that does not read it.
    pub(crate) sending: Duration,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of the next request has arrived.
    Idle,
    /// Some bytes of the next request's head have arrived.
    Head,
    /// A request is being answered.
    Request,
    /// The last answer was sent; the server drops what still arrives.
    Closing,
}

/// Returns the bytes that a body of at most `max` bytes takes on the wire.
fn body_bytes(head: &HeaderMap, max: usize) -> usize {
    if head.contains_key(header::TRANSFER_ENCODING) {
        // Each chunk also carries its length.
        return max.saturating_mul(2);
    }
    let length = head.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.trim().parse().ok());
    length.unwrap_or(0).min(max)
}

/// The state of one connection, shared by its stream, its requests and the registry, all of which
/// are on one thread.
pub(crate) struct Connection {
    pub(super) limits: Limits,
    pub(super) phase: Cell<Phase>,
    /// When the phase began.
    pub(super) since: Cell<Instant>,
    /// Bytes that may still be read in this phase.
    pub(super) allowance: Cell<usize>,
    /// Whether reading has stopped because the allowance is used up or answers wait.
    pub(super) gated: Cell<bool>,
    /// Since when the client has not read the bytes sent to it.
    pub(super) blocked: Cell<Option<Instant>>,
    /// Whether the body of the request was read to its end.
    pub(super) complete: Cell<bool>,
    /// Whether a request on it had valid credentials.
    pub(super) authenticated: Cell<bool>,
    /// The task that serves it.
    task: RefCell<Option<Waker>>,
    /// `None` once it is closed.
    guard: RefCell<Option<ConnectionGuard>>,
}

impl Connection {
    pub(super) fn new(limits: Limits, connections: &Arc<Connections>) -> Self {
        Self {
            limits,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(Instant::now()),
            allowance: Cell::new(limits.head),
            gated: Cell::new(false),
            blocked: Cell::new(None),
            complete: Cell::new(false),
            authenticated: Cell::new(false),
            task: RefCell::new(None),
            guard: RefCell::new(Some(connections.add())),
        }
    }

    /// Returns the connection of a request; `None` for a request that a test made without one.
    pub(super) fn of(request: &HttpRequest) -> Option<&Rc<Self>> {
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

    pub(super) fn begin(&self, head: &HeaderMap) {
        let body = body_bytes(head, self.limits.body);
        self.complete.set(!has_body(head));
        self.enter(Phase::Request, body.saturating_add(READ_AHEAD));
    }

    /// Allows the body of the request `max` bytes instead of the limit of the listener.
    pub(super) fn allow_body(&self, head: &HeaderMap, max: usize) {
        let more = body_bytes(head, max).saturating_sub(body_bytes(head, self.limits.body));
        self.allowance
            .set(self.allowance.get().saturating_add(more));
        if more > 0 && self.gated.take() {
            self.wake();
        }
    }

    pub(super) fn end(&self, closing: bool) {
        if closing {
            self.enter(Phase::Closing, usize::MAX);
        } else {
            self.enter(Phase::Idle, self.limits.head);
        }
    }

    /// Closes the connection without sending the rest of an answer. It is no longer counted; the
    /// server drops it when it polls it next.
    pub(super) fn close(&self) {
        if self.guard.take().is_some() {
            self.wake();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.guard.borrow().is_none()
    }

    fn wake(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }

    /// Stores the waker of the task that serves the connection.
    pub(super) fn store_waker(&self, context: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if task
            .as_ref()
            .is_none_or(|task| !task.will_wake(context.waker()))
        {
            *task = Some(context.waker().clone());
        }
    }

    /// Notes that the body of the request was read to its end, and stops reading ahead.
    pub(super) fn body_complete(&self) {
        self.complete.set(true);
        self.allowance.set(self.allowance.get().min(READ_AHEAD));
    }
}
