//! What may stand in `allow`: an origin, every origin below a domain, the gateway's own, the opaque one.

use std::fmt;
use std::str::FromStr;

use crate::config::nearest::nearest;
use crate::config::units::written_as_string;
use crate::stage::Client;

use super::triple::Triple;

/// Origins that one entry of `allow` covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    written: Box<str>,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    SameOrigin,
    Null,
    Exact(Triple),
    /// Every host below this one's, with its scheme and port.
    Below(Triple),
}

const WORDS: [&str; 2] = ["same-origin", "null"];

impl Allowed {
    /// Whether this client's `Origin`, read as `origin`, is covered; nothing read is what a browser writes as `null`, or no origin.
    pub(super) fn covers(&self, sent: &str, origin: Option<&Triple>, client: &Client) -> bool {
        match (&self.pattern, origin) {
            (Pattern::Null, _) => sent == "null",
            (_, None) => false,
            (Pattern::SameOrigin, Some(origin)) => origin.is_served_by(client.host(), client.port, client.peer.tls.is_some()),
            (Pattern::Exact(allowed), Some(origin)) => allowed == origin,
            (Pattern::Below(allowed), Some(origin)) => {
                let label = origin.host.strip_suffix(&*allowed.host).and_then(|label| label.strip_suffix('.'));
                allowed.scheme == origin.scheme && allowed.port == origin.port && label.is_some_and(|label| !label.is_empty())
            }
        }
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = match text {
            "same-origin" => Pattern::SameOrigin,
            "null" => Pattern::Null,
            _ => origin(text)?,
        };
        Ok(Self { written: text.into(), pattern })
    }
}

fn origin(text: &str) -> Result<Pattern, String> {
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err(match (text, nearest(text, WORDS)) {
            ("*", _) => "\"*\" would let every page in; name origins, or leave the stage out".to_owned(),
            (_, Some(word)) => format!("{text:?} is not an origin; did you mean \"{word}\"?"),
            _ => format!("{text:?} is not an origin; it has a scheme, as \"https://example.com\""),
        });
    };
    if let "ws" | "wss" = scheme {
        let page = if scheme == "ws" { "http" } else { "https" };
        return Err(format!("{text:?} is not a page's origin; write \"{page}://{authority}\""));
    }
    if let Some((host, _)) = authority.split_once(['/', '?', '#']) {
        return Err(format!("{text:?} has more than a scheme, a host and a port; write \"{scheme}://{host}\""));
    }
    let (parse, parent): (fn(Triple) -> Pattern, _) = match authority.strip_prefix("*.") {
        Some(parent) => (Pattern::Below, parent),
        None => (Pattern::Exact, authority),
    };
    if parent.contains('*') {
        return Err(format!("in {text:?} the `*` is not the whole first label; write \"{scheme}://*.example.com\""));
    }
    let triple = Triple::parse(&format!("{scheme}://{parent}"));
    triple.map(parse).ok_or_else(|| format!("{text:?} is not an origin as browsers write it; write \"https://example.com:8443\""))
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

written_as_string!(
    Allowed,
    "AllowedOrigin",
    "an origin: \"https://example.com\", \"https://*.example.com\", \"same-origin\", \"null\"",
    r"^(same-origin|null|[A-Za-z][A-Za-z0-9+.-]*://(\*\.)?[A-Za-z0-9._:\[\]-]+)$"
);
