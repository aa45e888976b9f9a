//! The built program, as people and integrators meet it: real HTTP, the command
//! line, restarts and signals, on both engines.

mod cli;
mod life;
mod support;
