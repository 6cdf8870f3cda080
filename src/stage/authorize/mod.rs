//! `authorize`: what a client has to be, or to have, for what it asks for.

mod table;
mod want;
mod words;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use serde_json::{Map, Value};

use crate::config::fault::{Fault, Faults};

use super::build::Need;
use super::certificate::Allow;
use super::client::claim;
use super::refusal::{FORBIDDEN, Refusal, SCOPE_INSUFFICIENT, Verdict};
use super::{Asks, Build, Client, Configure, Judgement, Stage};

pub use table::{HostOf, Method, PathOf, Table, When};
pub use want::{Text, Want};
use words::one_of;

/// Claims that hold scopes: the first that is there does. A text of words (RFC 9068 §2.2.3), or a list, as others write it.
const SCOPES: [&str; 3] = ["scope", "scp", "scopes"];

/// Judges by who a client was found to be: at the handshake, and again whenever the config has changed.
#[derive(Debug)]
pub struct Authorize {
    when: Option<When>,
    require: Vec<(Box<str>, Box<[Want]>)>,
    scopes: Box<[Box<str>]>,
    certificate: Option<Allow>,
}

/// The claims of all identities, the last first.
struct Claims(Vec<Map<String, Value>>);

impl Claims {
    fn of(client: &Client) -> Self {
        Self(client.identities.iter().rev().filter_map(|identity| serde_json::from_str(&identity.claims).ok()).collect())
    }

    /// A claim that is there, and is not null.
    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|claims| claim(claims, name)).filter(|value| !value.is_null())
    }

    /// The scopes of the last identity that has any.
    fn scopes(&self) -> Vec<&str> {
        let found = self.0.iter().find_map(|claims| SCOPES.iter().find_map(|name| claims.get(*name)));
        match found {
            Some(Value::String(words)) => words.split(' ').filter(|word| !word.is_empty()).collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl When {
    fn covers(&self, client: &Client) -> bool {
        let among = |list: &[Method], method: &str| list.iter().any(|one| *one.0 == *method);
        (self.path.is_empty() || self.path.iter().any(|one| one.pattern.covers(client.path())))
            && (self.host.is_empty() || self.host.iter().any(|one| one.pattern.covers(client.host())))
            && (self.method.is_empty() || among(&self.method, client.method.as_str()))
            && (self.subprotocol.is_empty() || self.subprotocol.iter().any(|one| speaks(client, one.as_str())))
    }
}

/// Whether a client offers a subprotocol, or once it is answered, whether it speaks it.
fn speaks(client: &Client, name: &str) -> bool {
    let Some(request) = &client.request else { return client.subprotocol.as_deref() == Some(name) };
    let lines = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).any(|offered| offered.trim_ascii() == name.as_bytes())
}

impl Authorize {
    fn judge(&self, client: &Client) -> Verdict {
        // Browsers ask so without credentials, and do no more than what they are answered allows.
        if client.asks == Asks::Leave || self.when.as_ref().is_some_and(|when| !when.covers(client)) {
            return Ok(());
        }
        if let Some(allow) = &self.certificate
            && !client.certificate().is_some_and(|certificate| allow.covers(certificate))
        {
            let shown = client.certificate().map_or("it has shown none".to_owned(), |shown| format!("{} is not in it", shown.subject));
            return Err(Box::new(Refusal::new(FORBIDDEN).rule(shown).at("certificate")));
        }
        if self.require.is_empty() && self.scopes.is_empty() {
            return Ok(());
        }
        let claims = Claims::of(client);
        for (name, wanted) in &self.require {
            let why = match claims.find(name) {
                None => "is missing",
                Some(value) if wanted.iter().any(|want| want.is_met(value, client)) => continue,
                Some(_) => "is something else",
            };
            let rule = format!("{name} has to be {}, and {why}", one_of(wanted, "or"));
            return Err(Box::new(Refusal::new(FORBIDDEN).rule(rule).at("require")));
        }
        let has = claims.scopes();
        match self.scopes.iter().find(|scope| !has.contains(&&***scope)) {
            Some(scope) => Err(Box::new(Refusal::new(SCOPE_INSUFFICIENT).rule(format!("the scope {scope} is missing")).at("scopes"))),
            None => Ok(()),
        }
    }
}

impl Stage for Authorize {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        Judgement::Now(self.judge(client))
    }

    fn review(&self, client: &Client, _now: std::time::SystemTime) -> Verdict {
        self.judge(client)
    }

    fn says(&self) -> Option<String> {
        Some(self.words())
    }
}

impl Configure for Authorize {
    const KIND: &'static str = "authorize";
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut faults = Faults::default();
        if table.require.is_empty() && table.scopes.is_empty() && table.certificate.is_none() {
            let fault = Fault::new(at.clone(), format!("{} asks for nothing, so it would let everybody pass", build.name()));
            faults.push(fault.hint("give it `require`, `scopes` or `certificate`"));
        }
        if table.when.as_ref().is_some_and(When::is_empty) {
            let fault = Fault::new(at.key("when"), "`when` describes no request");
            faults.push(
                fault.hint("give it `path`, `host`, `method` or `subprotocol`, or leave it out: the rule goes for every request then"),
            );
        }
        if table.certificate.as_ref().is_some_and(Allow::is_empty) {
            faults.push(Fault::new(at.key("certificate"), "`certificate` names none, so nobody would be let in"));
        }
        for (name, wanted) in &table.require {
            let at = at.key("require").key(name);
            if name.is_empty() {
                faults.push(Fault::new(at.clone(), "an empty name is no claim"));
            }
            if wanted.is_empty() {
                faults.push(Fault::new(at.clone(), format!("the list of what {name} may be is empty, so nobody would be let in")));
            }
            let segments = wanted.iter().flat_map(Want::segments);
            build.needs.extend(segments.map(|segment| Need::Segment(at.clone(), segment.into())));
        }
        for (index, scope) in table.scopes.iter().enumerate().filter(|(_, scope)| scope.is_empty() || scope.contains(' ')) {
            let fault = Fault::new(at.key("scopes").index(index), format!("{scope:?} is not one scope"));
            faults.push(fault.hint("write each in quotes of its own"));
        }
        let first =
            [("require", table.require.is_empty()), ("scopes", table.scopes.is_empty())].into_iter().find(|(_, is_empty)| !is_empty);
        build.needs.extend(first.map(|(key, _)| Need::Identity(at.key(key))));
        if table.certificate.is_some() && table.when.is_none() {
            build.needs.push(Need::Certificate(at.key("certificate")));
        }
        if faults.refuse() {
            return Err(faults);
        }
        Ok(Self {
            when: table.when,
            require: table.require.into_iter().map(|(name, wanted)| (name.into(), wanted.0.into())).collect(),
            scopes: table.scopes.0.into_iter().map(Into::into).collect(),
            certificate: table.certificate,
        })
    }
}

impl When {
    fn is_empty(&self) -> bool {
        self.path.is_empty() && self.host.is_empty() && self.method.is_empty() && self.subprotocol.is_empty()
    }
}

#[cfg(test)]
mod tests;
