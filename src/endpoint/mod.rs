//! What answers behind a route.
