//! `[route.NAME]` and `[gateway.route]`: which requests, through which stages, to what, and within which limits.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Http, HttpTable, Table};
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::reference::{EndpointRef, Name, StageRef};
use crate::config::units::{Interval, Many, Size, Switch, written_as_string};

/// Writes the keys that a route and the defaults for all routes have in common into both.
macro_rules! routes {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)*) => {
        /// `[route.NAME]`: which requests, through which stages, to what, and within which limits.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct RouteTable {
            /// The paths: one or a list. `"/chat"` is itself alone, `"/chat/*"` also everything below. Left out, every path.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(extend("minItems" = 1))]
            pub path: Option<Many<String>>,
            /// What answers: an upstream, another endpoint, or the URL of one backend.
            pub endpoint: EndpointRef,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $key: Option<$type>,)*
        }

        /// `[gateway.route]`: defaults for every route that does not set the key itself.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct RouteDefaults {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$type>,)*
        }

        impl RouteTable {
            /// Who sets this key of the route, among itself, `[gateway.route]` and the built-in defaults.
            fn set_by(&self, defaults: &RouteDefaults, key: &str) -> SetBy {
                match key {
                    "path" if self.path.is_some() => SetBy::Route,
                    "endpoint" => SetBy::Route,
                    $(stringify!($key) if self.$key.is_some() => SetBy::Route,
                      stringify!($key) if defaults.$key.is_some() => SetBy::Gateway,)*
                    _ => SetBy::Default,
                }
            }
        }
    };
}

routes! {
    /// The listeners, by name: one or a list. Left out, the only one there is.
    #[schemars(extend("minItems" = 1))]
    listener: Many<Name>,
    /// The hosts: one or a list, each exact or as `"*.example.com"`. Left out, any host.
    #[schemars(extend("minItems" = 1))]
    host: Many<String>,
    /// The subprotocols (RFC 6455 §1.9) that are passed on, the others being taken out of the offer. Left out, all.
    subprotocols: Vec<Subprotocol>,
    /// The stages that judge a connection, in the order they run.
    pipeline: Vec<StageRef>,
    /// The largest messages, counted as they are on the wire: one that is passed on compressed counts compressed.
    max_message: MaxMessage,
    /// Whether ordinary HTTP requests pass to the endpoint, an upstream: `true`, or within limits `{ requests, max_body }`. Others are told to upgrade.
    #[schemars(extend("default" = false))]
    http: Http,
    /// How long a leg may be quiet before it is pinged.
    #[schemars(extend("default" = "25s"))]
    ping: Switch<Interval>,
    /// How long a peer may take to answer a ping.
    #[schemars(extend("default" = "10s"))]
    pong: Interval,
    /// How long a connection may go without a message before it is closed with `idle`; an answer to an ordinary request, without a byte.
    #[schemars(extend("default" = "off"))]
    idle: Switch<Interval>,
    /// How old a connection may grow before it is closed with `lifetime`.
    #[schemars(extend("default" = "off"))]
    lifetime: Switch<Interval>,
    /// How long a peer may take to answer a Close frame.
    #[schemars(extend("default" = "5s"))]
    close_timeout: Interval,
    /// How many bytes of messages that the gateway itself sends may wait for a peer: answers, replies, notices. While as many do, nothing is read that would add to them.
    #[schemars(extend("default" = "256KiB"))]
    send_queue: Size,
    /// What becomes of permessage-deflate (RFC 7692).
    #[schemars(extend("default" = "pass"))]
    compression: Compression,
    /// Headers for the backend, each with the verified claim it carries: `{ X-User = "sub" }`. The client's own of that name are taken out.
    forward_claims: BTreeMap<ClaimHeader, String>,
    /// What becomes of a route's open connections when an edit changes what they were let in by.
    #[schemars(extend("default" = "recheck"))]
    on_reload: OnReload,
}

/// `max_message`: the largest messages, by who sends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaxMessage {
    /// From the client; a larger one ends the connection with `message_too_large`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1MiB"))]
    pub client: Option<Switch<Size>>,
    /// From the backend; a larger one ends the connection with `upstream_message_too_large`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "16MiB"))]
    pub upstream: Option<Switch<Size>>,
}

/// What becomes of permessage-deflate (RFC 7692).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Passed end to end, each message compressed by itself, so that any of them can be looked into. Where the gateway itself answers, taken the same way.
    #[default]
    Pass,
    /// Passed end to end, or taken, as the peers agree, context takeover included: smaller messages, and no stage may look into them.
    Takeover,
    /// Not offered to backends and not accepted from clients.
    Off,
}

/// What becomes of a route's open connections when an edit changes what they were let in by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReload {
    /// They are judged again: those still allowed go on under the new rules, the others are closed.
    #[default]
    Recheck,
    /// They go on under the rules they were let in by, until they end.
    Keep,
    /// They are closed with `draining`, spread over `spread`, so that their clients come back under the new rules.
    Drain,
    /// They are closed with `route_changed` as fast as `rate` allows.
    Close,
}

/// The name of a header field that may carry a claim (RFC 9110 §5.1), in lower case: none that belongs to the handshake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimHeader(String);

/// The headers of a request that are the gateway's own to write; so are all that begin with `sec-websocket-`.
const OURS: [&str; 7] = ["host", "connection", "upgrade", "content-length", "transfer-encoding", "te", "trailer"];

impl ClaimHeader {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = http::HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is not the name of a header"))?;
        if OURS.contains(&name.as_str()) || name.as_str().starts_with("sec-websocket-") {
            return Err(format!("the header {text} belongs to the handshake; choose a name of its own, as X-User"));
        }
        Ok(Self(name.as_str().to_owned()))
    }
}

impl fmt::Display for ClaimHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_string!(ClaimHeader, "ClaimHeader", "the name of a header", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$");

/// The name of a subprotocol: a token (RFC 6455 §4.1), compared as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subprotocol(String);

impl Subprotocol {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subprotocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match text {
            "" => Err("a subprotocol has a name; write \"chat.v1\"".to_owned()),
            _ if text.bytes().all(is_token) => Ok(Self(text.to_owned())),
            _ if text.contains([',', ' ']) => Err(format!("{text:?} is not one subprotocol; write each in quotes of its own")),
            _ => Err(format!("{text:?} is not a subprotocol; its name is letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2)")),
        }
    }
}

impl fmt::Display for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_string!(Subprotocol, "Subprotocol", "a subprotocol: \"chat.v1\"", r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$");

/// Who set a key of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// The route's own table.
    Route,
    /// `[gateway.route]`.
    Gateway,
    /// Nobody: it is the built-in default.
    Default,
}

/// A route with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Route<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its listeners by name; empty for the only one there is.
    pub listener: &'a [Name],
    /// Its hosts; empty for any.
    pub host: &'a [String],
    /// Its paths; empty for every path.
    pub path: &'a [String],
    /// The subprotocols passed on; none for all of them.
    pub subprotocols: Option<&'a [Subprotocol]>,
    /// Its stages.
    pub pipeline: &'a [StageRef],
    /// What answers.
    pub endpoint: &'a EndpointRef,
    /// The largest message from the client; 1 MiB unless set.
    pub max_client_message: Switch<Size>,
    /// The largest message from the backend; 16 MiB unless set.
    pub max_upstream_message: Switch<Size>,
    /// The limits of ordinary requests, where they pass.
    pub http: Option<&'a HttpTable>,
    /// How long a leg may be quiet before it is pinged; 25 s unless set.
    pub ping: Switch<Interval>,
    /// How long a peer may take to answer a ping; 10 s unless set.
    pub pong: Interval,
    /// How long a connection may go without a message; off unless set.
    pub idle: Switch<Interval>,
    /// How old a connection may grow; off unless set.
    pub lifetime: Switch<Interval>,
    /// How long a peer may take to answer a Close frame; 5 s unless set.
    pub close_timeout: Interval,
    /// How many bytes of the gateway's own messages may wait for a peer; 256 KiB unless set.
    pub send_queue: Size,
    /// What becomes of permessage-deflate.
    pub compression: Compression,
    /// Headers for the backend and their claims.
    pub forward_claims: Option<&'a BTreeMap<ClaimHeader, String>>,
    /// What becomes of its connections when an edit changes it; judged again unless set.
    pub on_reload: OnReload,
    table: &'a RouteTable,
    defaults: &'a RouteDefaults,
}

impl<'a> Route<'a> {
    /// The route `name` as its table, `[gateway.route]` and the built-in defaults make it, in that order of precedence.
    pub(crate) fn resolve(name: &'a str, table: &'a RouteTable, defaults: &'a RouteDefaults) -> Self {
        let max = |side: fn(&MaxMessage) -> Option<Switch<Size>>| {
            table.max_message.as_ref().and_then(side).or_else(|| defaults.max_message.as_ref().and_then(side))
        };
        Self {
            name,
            listener: table.listener.as_ref().or(defaults.listener.as_ref()).map_or(&[], |listeners| &listeners.0),
            host: table.host.as_ref().or(defaults.host.as_ref()).map_or(&[], |hosts| &hosts.0),
            path: table.path.as_ref().map_or(&[], |paths| &paths.0),
            subprotocols: table.subprotocols.as_ref().or(defaults.subprotocols.as_ref()).map(Vec::as_slice),
            pipeline: table.pipeline.as_ref().or(defaults.pipeline.as_ref()).map_or(&[], Vec::as_slice),
            endpoint: &table.endpoint,
            max_client_message: max(|max| max.client).unwrap_or(Switch::On(Size::bytes(1 << 20))),
            max_upstream_message: max(|max| max.upstream).unwrap_or(Switch::On(Size::bytes(16 << 20))),
            http: table.http.as_ref().or(defaults.http.as_ref()).and_then(Http::on),
            ping: table.ping.or(defaults.ping).unwrap_or(Switch::On(Interval::seconds(25))),
            pong: table.pong.or(defaults.pong).unwrap_or(Interval::seconds(10)),
            idle: table.idle.or(defaults.idle).unwrap_or(Switch::Off),
            lifetime: table.lifetime.or(defaults.lifetime).unwrap_or(Switch::Off),
            close_timeout: table.close_timeout.or(defaults.close_timeout).unwrap_or(Interval::seconds(5)),
            send_queue: table.send_queue.or(defaults.send_queue).unwrap_or(Size::bytes(256 << 10)),
            compression: table.compression.or(defaults.compression).unwrap_or_default(),
            forward_claims: table.forward_claims.as_ref().or(defaults.forward_claims.as_ref()),
            on_reload: table.on_reload.or(defaults.on_reload).unwrap_or_default(),
            table,
            defaults,
        }
    }

    /// Who set this key.
    pub fn set_by(&self, key: &str) -> SetBy {
        self.table.set_by(self.defaults, key)
    }

    /// Where this key was set; where nobody did, its place would be in the route's own table.
    pub fn at(&self, key: &str) -> KeyPath {
        match self.set_by(key) {
            SetBy::Gateway => KeyPath::table("gateway", "route").key(key),
            SetBy::Route | SetBy::Default => KeyPath::table("route", self.name).key(key),
        }
    }
}

impl RouteDefaults {
    /// Whether it sets nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A list that is there and empty would mean none, where leaving it out means any.
fn not_empty<T>(list: Option<&[T]>, key: &str, at: &KeyPath, faults: &mut Faults) {
    if list.is_some_and(<[T]>::is_empty) {
        faults.push(Fault::new(at.key(key), format!("`{key}` is an empty list")).hint(format!("leave `{key}` out, or name one")));
    }
}

impl Table for RouteDefaults {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        not_empty(self.listener.as_deref(), "listener", at, faults);
        not_empty(self.host.as_deref(), "host", at, faults);
    }
}

impl Table for RouteTable {
    fn check(&self, at: &KeyPath, faults: &mut Faults) {
        not_empty(self.listener.as_deref(), "listener", at, faults);
        not_empty(self.host.as_deref(), "host", at, faults);
        not_empty(self.path.as_deref(), "path", at, faults);
    }
}
