//! Delivers events to webhook subscribers.
//!
//! A [`DeliveryWorker`] leases subscriptions and runs one [`Dispatcher`] for each. A dispatcher
//! follows the log from the subscription's position and sends its events: those of one message
//! in order, those of different messages in parallel. Completed deliveries are stored in batches
//! together with the position. If a worker dies, the next one sends the events after the position
//! again, with the same ids.
//!
//! # States of a dispatcher
//!
//! ```text
//!                  claim                  5 messages failed, none succeeded
//!     (released) ────────▶ breaker closed ─────────────────▶ breaker open ◀──┐
//!         ▲                  │    ▲                             │            │ probe
//!         │                  │    │ one event delivered         │ about once │ failed
//!         │                  │    └────────────────────────── probing ◀──────┘ a minute
//!         │                  │                                  │
//!         │ process stops or │ worker over quota                │ failing for 24 hours
//!         └──────────────────┘                                  ▼
//!           HTTP 410: subscription ends                 subscription paused
//!           retention passed the position: subscription paused
//! ```
//!
//! A failing endpoint is probed with one event at a time. Its other events stay in the log; the
//! dispatcher reads ahead only far enough to have one to probe with. A lease that was lost, or not
//! renewed in time, ends the dispatcher in every state.
//!
//! # The life of an event
//!
//! ```text
//!     in the log ─▶ in memory ─▶ in flight ─┬─ 2xx ─────▶ delivered
//!                       │          ▲        ├─ failed ──▶ retrying, in the store ─┐
//!                       │          └────────│─────────────────── backoff ─────────┘
//!                       │ an earlier event  └─ failed for 3 days ─▶ dead letter
//!                       │ of the message failed
//!                       └─▶ waiting, in the store ─▶ in flight when the earlier one has ended
//! ```
//!
//! # Parts
//!
//! | part | decides |
//! |---|---|
//! | `DispatcherState` | what to do now, and when to wake up, from the parts below |
//! | `PerMessageQueue` | which delivery is next, which position may be stored |
//! | `EndpointBreaker` | whether the endpoint fails as a whole, when it is probed |
//! | `RetryPolicy` | when a failed delivery is retried, when it is given up |
//! | `Endpoint` | what an attempt's outcome means for its delivery and both of these |
//! | `ProgressTracker` | what is written to the store, and when |
//! | `LeaseHolder` | until when the subscription is held; every write under the lease |
//! | `LogFollower` | which part of the log is read next |
//! | `SubscriptionShare`, `ThrottleTokens` | how much of the process's limits it may use |

mod attempt;
mod context;
mod dispatcher;
mod endpoint;
mod endpoint_breaker;
mod leases;
mod limits;
mod log_follower;
mod message_queue;
mod monotonic;
mod progress;
pub(crate) mod retry_policy;
pub(crate) mod secrets;
mod state;
mod stop_alerts;
pub mod throttle;
mod worker;

pub use context::{DeliveryDependencies, DeliverySettings};
pub use dispatcher::Dispatcher;
pub use worker::DeliveryWorker;
