//! What answers behind a route: an endpoint of our own, a proxied upstream, or plain HTTP for probes.

pub mod authenticated;
pub mod echo;
pub mod health;
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
    /// The gateway itself, over plain HTTP: whatever asks upgrades to nothing.
    Health(Arc<health::Health>),
}

impl Endpoint {
    /// Whether it answers plain HTTP, and nobody stays.
    pub fn is_health(&self) -> bool {
        matches!(self, Self::Health(_))
    }

    /// Where its value lies, which tells it from every other.
    pub fn address(&self) -> *const () {
        match self {
            Self::Own(own) => Arc::as_ptr(own).cast(),
            Self::Upstream(upstream) => Arc::as_ptr(upstream).cast(),
            Self::Health(health) => Arc::as_ptr(health).cast(),
        }
    }
}

/// Two endpoints are equal when they are the same value, not only alike.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.address(), other.address())
    }
}

/// An endpoint of our own: makes what answers one connection.
pub trait Answer: Send + Sync + 'static {
    /// What answers a connection that opens now.
    fn responder(&self) -> Box<dyn Responder>;
}
