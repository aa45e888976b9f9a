//! Troubles, the settings of their rules, and operator events.

mod evaluation;
mod events;
mod read;
mod settings;
mod store;
