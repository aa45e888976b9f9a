//! Closes connections on which a next request has begun and does not go on.
//!
//! The server gives up a first request whose head does not come, and a
//! connection on which nothing comes. Between them is a gap: a few bytes of a
//! second request stop one timer and start no other, so that such a connection
//! would be held for ever. What is seen here is when the last answer was given;
//! longer after it than both timers together there is nothing to wait for.
//!
//! No timer ends an answer that has no end, so whoever makes one is given a way
//! to end its connection.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::net::{Shutdown, TcpStream as Socket};
use std::os::fd::AsFd as _;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;

/// How often the connections of a thread are looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

thread_local! {
    /// The connections of this thread; `None` until it has one.
    static OPEN: RefCell<Option<Vec<Weak<Connection>>>> = const { RefCell::new(None) };
}

/// A connection, kept among the server's data of it.
struct Connection {
    /// A second handle, since the server does not share its own.
    socket: Socket,
    busy: Cell<bool>,
    since: Cell<Instant>,
}

/// A request is being answered until this is dropped.
pub(crate) struct Busy(Option<Rc<Connection>>);

/// Notes a new connection. With a `patience` it is closed when its last answer is
/// longer ago than that.
pub(crate) fn watch(stream: &dyn Any, data: &mut Extensions, patience: Option<Duration>) {
    let stream = stream.downcast_ref::<TcpStream>();
    // Without a second handle the connection is served all the same.
    let Some(Ok(handle)) = stream.map(|stream| stream.as_fd().try_clone_to_owned()) else {
        return;
    };
    let connection = Rc::new(Connection {
        socket: Socket::from(handle),
        busy: Cell::new(false),
        since: Cell::new(Instant::now()),
    });
    let entry = Rc::downgrade(&connection);
    data.insert(connection);
    let Some(patience) = patience else {
        return;
    };
    OPEN.with_borrow_mut(|open| {
        if open.is_none() {
            // It ends with the runtime of this thread, as its connections do.
            actix_web::rt::spawn(look_after(patience));
        }
        open.get_or_insert_default().push(entry);
    });
}

/// A request has come on a connection.
pub(crate) fn busy(request: &HttpRequest) -> Busy {
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.busy.set(true);
    }
    Busy(connection)
}

/// Ends a connection while it is being answered.
pub(crate) struct Cut(Weak<Connection>);

impl Cut {
    /// That of the connection on which a request has come.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Rc<Connection>>();
        Self(connection.map_or_else(Weak::new, Rc::downgrade))
    }

    /// Closes it at once, whatever was still to be sent; one that is closed
    /// already stays so.
    pub(crate) fn cut(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.close();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.busy.set(false);
            connection.since.set(Instant::now());
        }
    }
}

async fn look_after(patience: Duration) {
    loop {
        tokio::time::sleep(LOOKED_AT_EVERY).await;
        OPEN.with_borrow_mut(|open| {
            let open = open.get_or_insert_default();
            open.retain(|connection| {
                let connection = connection.upgrade();
                if let Some(connection) = &connection {
                    connection.close_if_forgotten(patience);
                }
                connection.is_some()
            });
        });
    }
}

impl Connection {
    fn close_if_forgotten(&self, patience: Duration) {
        if !self.busy.get() && self.since.get().elapsed() > patience {
            self.close();
        }
    }

    fn close(&self) {
        // It may be closed already; then there is nothing to do.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
