//! Bytes: WebSocket over a stream. Knows no config.
