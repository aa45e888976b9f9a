//! The console in a real browser.

mod delivery;
mod hostile;
mod live;
mod pages;
mod window;
mod workflows;
