//! A client for the tests of stages.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use super::{Client, Peer};

/// A peer at this address, just accepted on a listener named `public`.
pub(crate) fn peer(ip: &str) -> Peer {
    let ip: IpAddr = ip.parse().unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], 8765));
    Peer { address: SocketAddr::new(ip, 50_000), ip: ip.to_canonical(), local, listener: "public".into(), accepted: SystemTime::now() }
}

/// A client whose request bears these headers.
pub(crate) fn client(headers: &[(&str, &str)]) -> Client {
    let mut request = http::Request::get("/chat");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Client {
        id: 1,
        peer: peer("192.0.2.7"),
        route: "chat".into(),
        host: "localhost".into(),
        port: None,
        path: "/chat".into(),
        origin: None,
        params: Box::default(),
        identities: Box::default(),
        counters: Default::default(),
        holdings: Default::default(),
        request: Some(Box::new(request.body(()).unwrap().into_parts().0)),
        first_message: None,
    }
}
