//! `headers`: what a backend is told in the header of its request, and what of the client's it is not.

mod value;

use std::collections::BTreeMap;

use http::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, Faults, Place};
use crate::config::units::Many;

use super::build::Need;
use super::fields::{reads_as, take_out, unbind};
use super::header_name::header_name;
use super::{Build, Client, Configure, Judgement, Stage};

pub use value::Value;

/// `[headers.NAME]`: what a backend is told in the header of its request, and what of the client's it is not.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("anyOf" = [{ "required": ["set"] }, { "required": ["remove"] }]))]
pub struct Table {
    /// Headers to write, each with its value: a text with `{claim.NAME}`, `{client.ip}`, `{route}` and `{path.NAME}`, a named segment
    /// of the route. The client's own of these names never pass, also where a value is not known.
    pub set: BTreeMap<String, Value>,
    /// Headers of the client that do not go on.
    pub remove: Many<String>,
}

/// Edits the request that a backend will be sent.
#[derive(Debug)]
pub struct Headers {
    set: Box<[(HeaderName, Value)]>,
    remove: Box<[HeaderName]>,
}

impl Stage for Headers {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        let values: Vec<Option<HeaderValue>> = self.set.iter().map(|(_, value)| value.fill(client)).collect();
        if let Some(request) = &mut client.request {
            let headers = &mut request.headers;
            for name in self.remove.iter().chain(self.set.iter().map(|(name, _)| name)) {
                take_out(headers, name);
            }
            for ((name, _), value) in self.set.iter().zip(values) {
                headers.extend(value.map(|value| (name.clone(), value)));
            }
            unbind(headers, |element| self.set.iter().any(|(name, _)| element.eq_ignore_ascii_case(name.as_str().as_bytes())));
        }
        Judgement::Now(Ok(()))
    }
}

impl Configure for Headers {
    const KIND: &'static str = "headers";
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut faults = Faults::default();
        if table.set.is_empty() && table.remove.is_empty() {
            let fault = Fault::new(at.clone(), format!("{} neither sets nor removes anything", build.name()));
            faults.push(fault.hint("give it `set` or `remove`"));
        }
        let mut names = Names::default();
        let mut set = Vec::new();
        for (written, value) in table.set {
            let at = at.key("set").key(&written);
            if value.has_claim() {
                build.needs.push(Need::Identity(at.clone()));
            }
            build.needs.extend(value.segments().map(|segment| Need::Segment(at.clone(), segment.into())));
            set.extend(names.read(&written, Place::Key(at), &mut faults).map(|name| (name, value)));
        }
        let mut remove = Vec::new();
        for (index, written) in table.remove.iter().enumerate() {
            remove.extend(names.read(written, at.key("remove").index(index).into(), &mut faults));
        }
        if faults.refuse() { Err(faults) } else { Ok(Self { set: set.into(), remove: remove.into() }) }
    }
}

/// The names that have been read, each to be read once.
#[derive(Default)]
struct Names(Vec<(HeaderName, Place)>);

impl Names {
    fn read(&mut self, written: &str, at: Place, faults: &mut Faults) -> Option<HeaderName> {
        let name = header_name(written).map_err(|why| faults.push(Fault::said(at.clone(), &why))).ok()?;
        match self.0.iter().find(|(other, _)| reads_as(other.as_str(), name.as_str())) {
            Some((other, first)) => {
                let what = format!("{written} reads as {other}, which is set or removed already");
                faults.push(Fault { also: vec![(first.clone(), "here".to_owned())], ..Fault::new(at, what) });
                None
            }
            None => {
                self.0.push((name.clone(), at));
                Some(name)
            }
        }
    }
}

#[cfg(test)]
mod tests;
