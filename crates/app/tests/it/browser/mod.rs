//! The console in a real browser.

mod pages;
mod window;
mod workflows;
