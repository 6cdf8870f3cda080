//! The values of headers: texts with placeholders for what is known of a client.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use serde_json::Value as Json;

use crate::config::nearest::nearest;
use crate::config::units::written_as_string;
use crate::stage::Client;

/// A header's value: a text with `{claim.NAME}`, `{client.ip}`, `{route}` and `{path.NAME}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    written: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// A verified claim, by its name or the dotted path to it.
    Claim(Box<str>),
    ClientIp,
    Route,
    /// A named segment of the host or path.
    Segment(Box<str>),
}

const PLACEHOLDERS: [&str; 4] = ["claim.NAME", "client.ip", "route", "path.NAME"];

impl Value {
    /// The value for this client; none where something of it is not known, or no header could hold it.
    pub(super) fn fill(&self, client: &Client) -> Option<HeaderValue> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Claim(name) => filled.push_str(&text(client.claim(name)?)?),
                Part::ClientIp => filled.push_str(&client.peer.ip.to_string()),
                Part::Route => filled.push_str(&client.route),
                Part::Segment(name) => {
                    let (_, value) = client.params.iter().find(|(segment, _)| **segment == **name)?;
                    filled.push_str(value);
                }
            }
        }
        HeaderValue::from_str(&filled).ok()
    }

    /// Whether it says who the client is.
    pub(super) fn has_claim(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Claim(_)))
    }

    /// The segments it reads.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Segment(name) => Some(&**name),
            _ => None,
        })
    }
}

/// A claim as text: strings as they are, everything else as JSON; null is no claim.
fn text(claim: Json) -> Option<String> {
    match claim {
        Json::Null => None,
        Json::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('{') {
            let (word, behind) = after.split_once('}').ok_or_else(|| format!("a `{{` of {written:?} is never closed; {}", braces()))?;
            parts.push(plain(before)?);
            parts.push(placeholder(word)?);
            rest = behind;
        }
        parts.push(plain(rest)?);
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self { written: written.into(), parts: parts.into() })
    }
}

fn plain(text: &str) -> Result<Part, String> {
    if text.contains('}') {
        return Err(format!("there is a `}}` without its `{{` in {text:?}; {}", braces()));
    }
    match HeaderValue::from_str(text) {
        Ok(_) => Ok(Part::Text(text.into())),
        Err(_) => Err(format!("no header can hold {text:?}; write it without control characters")),
    }
}

fn placeholder(word: &str) -> Result<Part, String> {
    match word.split_once('.') {
        Some(("claim", name)) if !name.is_empty() => return Ok(Part::Claim(name.into())),
        Some(("path", name)) if !name.is_empty() => return Ok(Part::Segment(name.into())),
        _ => {}
    }
    match word {
        "client.ip" => Ok(Part::ClientIp),
        "route" => Ok(Part::Route),
        _ => Err(format!("`{{{word}}}` is nothing that can be filled in; {}", meant(word))),
    }
}

/// The placeholder a word was meant to be: by the whole of it, or by what stands before its dot.
fn meant(word: &str) -> String {
    let by_head = word.split_once('.').and_then(|(head, name)| Some((nearest(head, ["claim", "path", "client"])?, name)));
    match (nearest(word, ["client.ip", "route"]), by_head) {
        (Some(whole), _) => format!("did you mean {{{whole}}}?"),
        (None, Some(("client", _))) => "did you mean {client.ip}?".to_owned(),
        (None, Some((head, name))) if !name.is_empty() => format!("did you mean {{{head}.{name}}}?"),
        _ => braces(),
    }
}

fn braces() -> String {
    let [claim, ip, route, path] = PLACEHOLDERS.map(|name| format!("{{{name}}}"));
    format!("there are {claim}, {ip}, {route} and {path}")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

written_as_string!(Value, "HeaderText", "a text with {claim.NAME}, {client.ip}, {route} and {path.NAME}");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_could_not_be_filled_in_is_a_fault_with_what_was_meant() {
        for (written, said) in [
            ("{claims.sub}", "did you mean {claim.sub}?"),
            ("{clam.a.b}", "did you mean {claim.a.b}?"),
            ("{client.pi}", "did you mean {client.ip}?"),
            ("{client.port}", "did you mean {client.ip}?"),
            ("{rout}", "did you mean {route}?"),
            ("{pth.tenant}", "did you mean {path.tenant}?"),
            ("{user}", "there are {claim.NAME}, {client.ip}, {route} and {path.NAME}"),
            ("{claim.}", "there are {claim.NAME}"),
            ("{}", "there are {claim.NAME}"),
            ("{claim.sub", "is never closed"),
            ("sub}", "without its `{`"),
            ("a\nb", "no header can hold"),
        ] {
            let fault = written.parse::<Value>().unwrap_err();
            assert!(fault.contains(said), "{written}: {fault}");
        }
    }
}
