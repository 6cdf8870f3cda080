//! Facts: typed events, and where they are written.
//!
//! The engine tells its [`Observer`] each fact, an [`Event`], at the moment it is true: it is counted in [`Metrics`], and `emit` gives it to
//! `tracing`. [`Logs`] is one subscriber of those events: it writes each as one line to every [`Sink`](sink::Sink) that takes it. A program
//! that embeds the gateway may use another subscriber, or both.
//!
//! ```text
//! Observer ─▶ count ─▶ Metrics
//!    └──────▶ emit ─▶ tracing ─▶ Logs ─┬─▶ Selection ─▶ format ─▶ writer's queue ─▶ its thread ─▶ file, console
//!                                      └─▶ …                      (the emitting thread ends here)
//! ```

mod about;
mod emit;
mod escape;
pub mod event;
pub mod feed;
mod format;
mod kept;
pub mod logs;
pub mod metrics;
mod observer;
pub mod rotate;
pub mod select;
pub mod sink;
mod writer;

pub use event::Event;
pub use kept::KeptEvent;
pub use logs::Logs;
pub use metrics::Metrics;
pub use observer::Observer;
