//! Text to shape: reads `gateway.toml` and reports its faults. Knows TOML; no stage, no socket.
//!
//! ```text
//! text ─▶ Document (tree with places) ─▶ structure ─▶ values ─▶ reader ─▶ Config (typed tables)
//!              └── syntax faults            └── traps   └── ${}, secrets  └── wrong, unknown, missing
//! ```

pub mod document;
pub mod dom;
mod environment;
mod expanded;
mod failure;
pub mod fault;
mod folder;
mod frame;
mod mask;
mod mentions;
pub mod nearest;
mod part;
mod reader;
pub mod reference;
mod render;
mod report;
pub mod secret;
mod shape;
mod source;
mod structure;
mod syntax;
pub mod table;
pub mod units;
mod values;
pub mod world;
mod written;

pub use document::Document;
pub(crate) use expanded::expanded;
pub use frame::{FRAME, FrameKind, Tables};
pub(crate) use mask::bare;
pub use mentions::Mentions;
pub use part::{Mode, Part};
pub use render::render;
pub use report::{Also, Point, Spot, Told, report, unknown};
pub use shape::Config;
pub use structure::FRAME_KINDS;
pub use world::World;
