//! Bytes: WebSocket over a stream, and the HTTP beside it. Knows no config.
//!
//! Before the 101: [`proxy_protocol`], [`tls`], [`head`], [`upgrade`], [`handshake`], [`answers`], [`extensions`]. After it: [`frame`] reads,
//! [`deflate`] inflates, [`relay`] and [`terminal`] move, [`session`] is what both are to the engine.
//! Instead of it: [`http`]. Beside all of it: [`h2`], whose streams are connections to the rest. Towards servers: [`dial`]; towards
//! services that are asked something: [`asking`].

mod ahead;
pub mod answers;
pub mod asking;
mod backlog;
pub mod budget;
mod carry;
pub mod close;
mod closing;
pub mod deflate;
pub mod dial;
pub mod extensions;
pub mod fields;
pub mod first_message;
mod flaw;
mod flow;
pub mod frame;
pub mod h2;
pub mod handshake;
pub mod head;
pub mod hops;
pub mod http;
mod judge;
pub mod leg;
pub mod linger;
mod mark;
pub mod memory;
pub mod message;
mod outbox;
mod own;
pub mod proxy_protocol;
mod pump;
mod reading;
pub mod relay;
mod scan;
mod scratch;
pub mod session;
pub mod socket;
pub mod stream;
mod strict;
pub mod terminal;
pub mod tick;
pub mod tls;
pub mod upgrade;
pub mod violation;
