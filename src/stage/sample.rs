//! A client to test stages with: those here, and those of a program of one's own.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use super::{AskedFor, Asks, Client, Peer};

/// A peer at this address, just accepted on a listener named `public`.
///
/// # Panics
/// Where it is no address.
pub fn peer(ip: &str) -> Peer {
    let ip: IpAddr = ip.parse().expect("a test knows how an address is written");
    let local = SocketAddr::from(([127, 0, 0, 1], 8765));
    Peer {
        address: SocketAddr::new(ip, 50_000),
        ip: ip.to_canonical(),
        local,
        listener: "public".into(),
        accepted: SystemTime::now(),
        tls: None,
        http2: false,
    }
}

/// A client at 192.0.2.7 that asks route `chat` for `/chat` of `localhost`, with these headers.
///
/// # Panics
/// Where they are no headers.
pub fn client(headers: &[(&str, &str)]) -> Client {
    let mut request = http::Request::get("/chat");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (request, ()) = request.body(()).expect("a test knows how a header is written").into_parts();
    Client {
        id: 1,
        peer: peer("192.0.2.7"),
        route: "chat".into(),
        asked: AskedFor::new("localhost", "/chat", None),
        port: None,
        asks: Asks::default(),
        method: http::Method::GET,
        subprotocol: None,
        params: Box::default(),
        identities: Default::default(),
        counters: Default::default(),
        holdings: Default::default(),
        request: Some(Box::new(request)),
        first_message: None,
    }
}
