//! Facts: typed events, and where they are written.
//!
//! The engine makes an [`Event`] of each fact at the moment it is true; `emit` gives it to `tracing`. [`Logs`]
//! is one subscriber of those events: it writes each as one line to every [`Sink`](sink::Sink) that takes it. A program that embeds the
//! gateway may use another subscriber, or both.
//!
//! ```text
//! Event ─▶ emit ─▶ tracing ─▶ Logs ─┬─▶ Selection ─▶ format ─▶ writer's queue ─▶ its thread ─▶ file, console
//!                                   └─▶ …                      (the emitting thread ends here)
//! ```

mod emit;
mod escape;
pub mod event;
pub mod feed;
mod format;
pub mod logs;
pub mod rotate;
pub mod select;
pub mod sink;
mod writer;

pub use event::Event;
pub use logs::Logs;
