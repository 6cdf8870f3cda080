//! What is asked in a trial, and the head of the request that asks it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::table::TestTable;
use crate::gateway::Gateway;
use crate::gateway::listener::Listener;
use crate::gateway::request::Target;
use crate::stage::certificate::Certificate;
use crate::stage::supposed::Shown;

/// A request, and what the client sends once it is open.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The listener, by name; none for the one that has a route for it.
    pub listener: Option<String>,
    /// The `Host`; none for the listener's address.
    pub host: Option<String>,
    /// The path, with its query.
    pub target: String,
    /// The client's address; where it is one of a trusted proxy, that one's, and the client's stands in its header.
    pub ip: IpAddr,
    /// Further headers; one of the handshake's own names takes that one's place, and without a value only takes it out.
    pub headers: Vec<(String, String)>,
    /// What proves who the client is.
    pub credential: Option<Credential>,
    /// The certificate it shows in its TLS handshake where it is asked for one.
    pub certificate: Option<Certificate>,
    /// The stage the credential is for, as the file names it; none for the first that reads any.
    pub stage: Option<String>,
    /// Text messages, in order; the first of them where a stage waits for one and the credential is elsewhere.
    pub messages: Vec<String>,
}

/// What proves who a client is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token.
    Token(String),
    /// Claims, as if a token had proven them. An `exp` that is left out is in an hour.
    Claims(Map<String, Value>),
}

/// Why it cannot be told to which listener a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// There is none of this name.
    Unknown(String),
    /// All of these have a route for it.
    Several(Vec<Arc<str>>),
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no [listener.{name}]"),
            Self::Several(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("listener.{name}")).collect();
                write!(f, "each of {} has a route for it", names.join(", "))
            }
        }
    }
}

/// The handshake's own lines. The key is the one of RFC 6455 §1.3: what it is does not matter.
const HANDSHAKE: [(&str, &str); 4] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

impl Default for Ask {
    fn default() -> Self {
        Self {
            listener: None,
            host: None,
            target: "/".to_owned(),
            ip: Ipv4Addr::LOCALHOST.into(),
            headers: Vec::new(),
            credential: None,
            certificate: None,
            stage: None,
            messages: Vec::new(),
        }
    }
}

impl From<&TestTable> for Ask {
    fn from(test: &TestTable) -> Self {
        let connect = &test.connect;
        let origin = connect.origin.iter().map(|origin| ("Origin".to_owned(), origin.clone()));
        let headers = connect.headers.iter().flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())));
        Self {
            listener: connect.listener.as_ref().map(ToString::to_string),
            host: connect.host.clone(),
            target: connect.path.clone(),
            ip: connect.ip.0,
            headers: origin.chain(headers).collect(),
            credential: connect.claims.clone().map(Credential::Claims),
            certificate: None,
            stage: connect.stage.as_ref().map(ToString::to_string),
            messages: test.message.to_vec(),
        }
    }
}

impl Ask {
    /// The listener it goes to: the one that is named, the only one, or the one that has a route for it; the first where none has.
    pub(super) fn listener(&self, gateway: &Gateway) -> Result<Arc<Listener>, Unclear> {
        if let Some(name) = &self.listener {
            return gateway.listeners.get(name.as_str()).cloned().ok_or_else(|| Unclear::Unknown(name.clone()));
        }
        let has_route = |listener: &&Arc<Listener>| {
            let asked = self.target(listener).ok();
            asked.is_some_and(|asked| gateway.route(&listener.name, &asked.host, &asked.path).is_some())
        };
        let able: Vec<&Arc<Listener>> = gateway.listeners.values().filter(has_route).collect();
        match *able {
            [one] => Ok(one.clone()),
            [] => gateway.listeners.values().next().cloned().ok_or_else(|| Unclear::Unknown("NAME".to_owned())),
            _ => Err(Unclear::Several(able.iter().map(|listener| listener.name.clone()).collect())),
        }
    }

    /// What it asks of this listener; with the reason, where that is ambiguous.
    pub(super) fn target(&self, listener: &Listener) -> Result<Target, (Target, &'static str)> {
        let path = self.target.split('?').next().unwrap_or_default();
        Target::read(&self.authority(listener), path)
    }

    /// The `Host` it is made with: by default what a client on this machine would write.
    pub(super) fn authority(&self, listener: &Listener) -> String {
        let local = || match address(listener) {
            address if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
            address => address.to_string(),
        };
        self.host.clone().unwrap_or_else(local)
    }

    /// The head of the request, with what shows its credential.
    pub(super) fn head(&self, listener: &Listener, shown: &Shown) -> Vec<u8> {
        let mut target = self.target.clone();
        if let Some(parameter) = &shown.query {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(parameter);
        }
        let is_given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let own = HANDSHAKE.iter().filter(|(name, _)| !is_given(name)).map(|(name, value)| (*name, *value));
        let shown = shown.header.iter().map(|(name, value)| (&**name, value.as_str()));
        let is_own = |name: &str| HANDSHAKE.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let given = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = given.filter(|(name, value)| !value.is_empty() || !is_own(name));
        let mut head = format!("GET {target} HTTP/1.1\r\n");
        if !is_given("host") {
            head.push_str(&format!("Host: {}\r\n", self.authority(listener)));
        }
        for (name, value) in own.chain(shown).chain(given) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        (head + "\r\n").into_bytes()
    }
}

/// The address of a listener that a client of a trial reaches it at.
pub(super) fn address(listener: &Listener) -> SocketAddr {
    listener.addresses.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}
