//! Facts: typed events, and where they are written.
