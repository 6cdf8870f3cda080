//! HTTP/2 from clients (RFC 9113), and WebSocket over it (RFC 8441).
//!
//! [`connection`] gives the streams of a connection, [`stream`] is what one is to everybody else, [`request`] makes of its head what HTTP/1.1
//! would have said, [`body`] carries ordinary requests. The frames themselves are the `h2` crate's.

pub mod body;
pub mod connection;
mod input;
mod meter;
mod metered;
pub mod request;
mod served;
pub mod stream;

/// What a client that knows beforehand that HTTP/2 is spoken begins with (RFC 9113 §3.4), as far as it reads as a request head.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// Its name in ALPN.
pub const ALPN: &[u8] = b"h2";

/// How many streams one connection may have open at a time.
pub const STREAMS: u32 = 100;
/// What a stream may send ahead of being read, in bytes.
const WINDOW: u32 = 64 * 1024;
/// The same of all streams together: a connection's window that held less would let streams that nobody reads block those that are read.
const ALL_WINDOWS: u32 = WINDOW * STREAMS;
/// So many frames of DATA are read before they are taken off the `h2` crate's hands,
const TURN: u32 = 4096;
/// which may hold as many as the last read brings beside them. It counts what a frame lacks to 256 bytes.
const UNTAKEN: usize = 4 * TURN as usize * 256;
/// What a stream may hold that waits to be sent, in bytes.
const SENDING: usize = 64 * 1024;
