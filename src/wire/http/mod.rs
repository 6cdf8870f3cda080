//! Ordinary HTTP/1.1 over a stream: bodies, in the way of one hop, between two sockets.
//!
//! [`framing`] tells how a body is delimited, [`decoder`] takes it out of what was read, [`source`] reads, [`sink`] writes it framed anew,
//! [`pass`] does both. What is read is never passed on as it is framed: the next hop sees one framing, which is ours, so that no two
//! readers can differ in where a message ends (RFC 9112 §11.2).

pub mod answer;
pub mod decoder;
pub mod framing;
pub mod pass;
pub mod sink;
pub mod source;
