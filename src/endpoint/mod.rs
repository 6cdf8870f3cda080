//! What answers behind a route: an endpoint of our own, or a proxied upstream.

pub mod authenticated;
pub mod echo;
pub mod upstream;

use std::sync::Arc;

use crate::wire::terminal::Responder;

/// What answers behind a route.
#[derive(Clone)]
pub enum Endpoint {
    /// The gateway itself.
    Own(Arc<dyn Answer>),
    /// A server of this upstream.
    Upstream(Arc<upstream::Upstream>),
}

/// Two endpoints are equal when they are the same value, not only alike.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own(one), Self::Own(other)) => Arc::ptr_eq(one, other),
            (Self::Upstream(one), Self::Upstream(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// An endpoint of our own: makes what answers one connection.
pub trait Answer: Send + Sync + 'static {
    /// What answers a connection that opens now.
    fn responder(&self) -> Box<dyn Responder>;
}
