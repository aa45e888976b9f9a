//! Signing in and out, and what every request of a session must have.

pub(crate) mod cookie;
pub(crate) mod middleware;
mod origin;
pub(crate) mod sign_in;
pub(crate) mod viewer;
