//! Forwarding: passes requests on that are not reports, like incoming messages.
//!
//! A channel may have a forward URL. A request of such a channel with something else than reports
//! is stored, sealed, before it is answered ([`ForwardingOutbox`]). A [`ForwardingWorker`] of any
//! process claims it, sends its exact bytes to the URL, and removes it. Each request is sent at
//! least once, and their order is not kept. What was not forwarded within three days is removed
//! by retention ([`ForwardingExpiry`]).
//!
//! | part | decides |
//! |---|---|
//! | `OutboxWriter` | which requests are stored in one transaction |
//! | `ChannelPauses` | of which channels requests are claimed: a failing URL is probed with one request at a time |
//! | `Attempt` | what is sent, and what an outcome means |

mod attempt;
mod channel_pauses;
mod expiry;
mod figures;
mod outbox;
mod outbox_writer;
mod worker;

pub use expiry::ForwardingExpiry;
pub use figures::{ForwardingFigures, WaitingByChannel};
pub(crate) use outbox::store;
pub use outbox::{ForwardError, ForwardingArrivals, ForwardingOutbox};
pub use worker::{ForwardingDependencies, ForwardingSettings, ForwardingWorker};
