//! Text to shape: reads `gateway.toml` and reports its faults. Knows TOML; no stage, no socket.

pub mod fault;
pub mod secret;
pub mod units;
