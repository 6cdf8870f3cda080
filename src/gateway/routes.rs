//! Routes of the snapshot: what each is made of, and that its parts go together.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::fault::{Fault, KeyPath, Place};
use crate::config::table::{Compression, Route as RouteShape, Sticky};
use crate::config::units::{Interval, Size, Switch};
use crate::endpoint::Endpoint;
use crate::stage::pipeline::Pipeline;
use crate::wire::extensions;
use crate::wire::session::MaxMessage;

use super::compile::Compiler;
use super::listener::Listener;
use super::route::{Route, Times};
use super::table::choice::Way;
use super::table::{HostPattern, PathPattern, Table};

/// Which route has taken a host and path of a listener, by listener.
pub(super) type Taken = HashMap<Arc<str>, Table<usize>>;

/// The requests a route takes, each pattern with its place.
struct Patterns {
    hosts: Vec<HostPattern>,
    paths: Vec<(KeyPath, PathPattern)>,
}

impl Patterns {
    /// What a route of these takes of a listener.
    fn ways(&self, listener: &Arc<str>, route: &str) -> Vec<Way> {
        let way = |host: &HostPattern, path: &PathPattern| {
            let (listener, host, path) = (listener.clone(), host.clone(), path.clone());
            Way { listener, host, path, route: route.into() }
        };
        self.hosts.iter().flat_map(|host| self.paths.iter().map(move |(_, path)| way(host, path))).collect()
    }

    /// The names that segments of any of them have.
    fn segments(&self) -> Vec<Arc<str>> {
        let labels = self.hosts.iter().filter_map(HostPattern::label);
        labels.chain(self.paths.iter().flat_map(|(_, path)| path.names())).cloned().collect()
    }
}

impl Compiler<'_> {
    /// Every route, or nothing where it has faults, and which of them takes what of each listener.
    pub(super) fn routes(&mut self) -> (Vec<Option<Arc<Route>>>, Taken) {
        let config = self.parts.config;
        let mut routes = Vec::new();
        let mut tables = Taken::new();
        let mut is_certain = config.is_whole("route") && config.is_whole("gateway");
        let shapes: Vec<RouteShape<'_>> = config.routes().collect();
        for (index, shape) in shapes.iter().enumerate() {
            let listeners = self.listeners_of(shape);
            is_certain &= listeners.len() >= shape.listener.len().max(1);
            let patterns = self.patterns(shape);
            let segments = patterns.segments();
            for listener in &listeners {
                let table = tables.entry(listener.name.clone()).or_default();
                self.enter(table, index, &patterns, &shapes);
                self.ways.extend(patterns.ways(&listener.name, shape.name));
            }
            let route = self.route(shape, &listeners, &segments);
            routes.push(route.map(|route| self.parts.before.route(route)));
        }
        if is_certain {
            for name in self.listeners.keys().filter(|name| !tables.contains_key(*name)).cloned().collect::<Vec<_>>() {
                let place = Place::Key(KeyPath::table("listener", &name));
                self.fault(Fault::warning(place, format!("listener.{name} has no route: every request gets 404")));
            }
        }
        (routes, tables)
    }

    fn listeners_of(&mut self, shape: &RouteShape<'_>) -> Vec<Arc<Listener>> {
        let config = self.parts.config;
        if shape.listener.is_empty() {
            let names: Vec<&str> = config.names("listener").collect();
            if names.len() > 1 && config.is_whole("gateway") {
                let fault = Fault::new(
                    Place::Key(KeyPath::table("route", shape.name)),
                    format!("route.{} does not say on which listener", shape.name),
                );
                self.fault(fault.hint(format!("there is more than one; write listener = \"{}\"", names.join("\" or \""))));
                return Vec::new();
            }
            return self.listeners.values().cloned().collect();
        }
        let mut found = Vec::new();
        for (index, name) in shape.listener.iter().enumerate() {
            match self.listeners.get(name.as_str()) {
                Some(listener) => found.push(listener.clone()),
                None => self.unknown(&shape.at("listener").index(index), "listener", name),
            }
        }
        found
    }

    fn route(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], segments: &[Arc<str>]) -> Option<Route> {
        let pipeline = Pipeline::new(self.parts.entries(&shape.at("pipeline"), shape.pipeline, &[]));
        let endpoint = self.parts.endpoint(&shape.at("endpoint"), shape.endpoint);
        self.check_identity(shape, listeners, &pipeline);
        self.check_needs(shape, listeners, &pipeline, segments);
        self.check_takeover(shape, listeners, &pipeline);
        self.check_defaults(shape, listeners, &pipeline);
        self.check_probes(shape, endpoint.as_ref());
        self.check_http(shape, endpoint.as_ref(), &pipeline);
        self.check_balancers(shape.name, listeners, &pipeline, endpoint.as_ref());
        let http = self.http(shape).filter(|_| matches!(endpoint, Some(Endpoint::Upstream(_))));
        let size = |size: Switch<Size>| size.on().map_or(u64::MAX, Size::get);
        Some(Route {
            name: shape.name.into(),
            pipeline,
            endpoint: endpoint?,
            answers: shape.endpoint.to_string().into(),
            subprotocols: shape.subprotocols.map(|names| names.iter().map(ToString::to_string).collect()),
            max_message: MaxMessage { client: size(shape.max_client_message), upstream: size(shape.max_upstream_message) },
            http,
            send_queue: usize::try_from(shape.send_queue.get()).unwrap_or(usize::MAX),
            times: Times {
                ping: shape.ping.on().map(Interval::get),
                pong: shape.pong.get(),
                idle: shape.idle.on().map(Interval::get),
                lifetime: shape.lifetime.on().map(Interval::get),
                close: shape.close_timeout.get(),
            },
            compression: match shape.compression {
                Compression::Pass => extensions::Compression::Pass,
                Compression::Takeover => extensions::Compression::Takeover,
                Compression::Off => extensions::Compression::Off,
            },
            forward_claims: shape
                .forward_claims
                .into_iter()
                .flatten()
                .filter_map(|(header, claim)| Some((header.as_str().parse().ok()?, claim.clone())))
                .collect(),
            on_reload: shape.on_reload,
        })
    }

    /// What speaks of an identity needs a stage that gives one, on every way to the route.
    fn check_identity(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], pipeline: &Pipeline) {
        let config = self.parts.config;
        if self.parts.authenticates(pipeline) || self.parts.has_unreadable(shape.pipeline) || !config.is_whole("gateway") {
            return;
        }
        let is_open = |listener: &&Arc<Listener>| {
            let list = config.listeners.get(&*listener.name).map_or(&[][..], |table| &table.pipeline);
            !self.parts.authenticates(&listener.pipeline) && !self.parts.has_unreadable(list)
        };
        let Some(listener) = listeners.iter().find(is_open) else { return };
        let (at, what) = if self.parts.needs_identity(shape.endpoint) {
            (shape.at("endpoint"), format!("{} is for clients that have proven who they are", shape.endpoint))
        } else if shape.forward_claims.is_some_and(|claims| !claims.is_empty()) {
            (shape.at("forward_claims"), "claims are forwarded of clients that have proven who they are".to_owned())
        } else if let Some((at, Sticky::User)) = self.parts.sticky(shape.endpoint) {
            (at, format!("{} keeps users with their servers", shape.endpoint))
        } else {
            return;
        };
        let sticks = at.kind_and_name().0 == "upstream";
        let fault = Fault::new(at, format!("{what}, and nothing on the way from listener.{} asks for proof", listener.name));
        let fault = if sticks { fault.also(shape.at("endpoint"), format!("route.{}", shape.name)) } else { fault };
        let reports = self.parts.only_reports(pipeline).or_else(|| self.parts.only_reports(&listener.pipeline));
        self.fault(match (reports, self.parts.authentications().first()) {
            (Some(stage), _) => fault.hint(format!("{stage} is in report mode, so it lets everybody pass: take its `mode` out")),
            (None, Some(way)) => fault.hint(format!("add \"{way}\" to the route's pipeline")),
            (None, None) => fault.hint("write a table [jwt.NAME], and add \"jwt.NAME\" to the route's pipeline"),
        });
    }

    /// A secret's `default` is for trials on one's own machine.
    fn check_defaults(&mut self, shape: &RouteShape<'_>, listeners: &[Arc<Listener>], pipeline: &Pipeline) {
        for listener in listeners {
            let Some(open) = listener.addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) else { continue };
            let mut defaulted = self.parts.defaulted(pipeline);
            defaulted.extend(self.parts.defaulted(&listener.pipeline));
            for at in defaulted {
                let fault =
                    Fault::new(at, format!("a secret with a default guards route.{}, which others can reach at {open}", shape.name));
                let fault = fault.hint("leave `default` out, and set the variable");
                self.fault(fault.also(KeyPath::table("listener", &listener.name).key("address"), "not loopback"));
            }
        }
    }

    /// The hosts and paths of a route; those that are wrong are told and left out.
    fn patterns(&mut self, shape: &RouteShape<'_>) -> Patterns {
        let hosts = self.parsed(&shape.at("host"), shape.host, "*", HostPattern::parse);
        let paths = self.parsed(&shape.at("path"), shape.path, "/*", PathPattern::parse);
        for (at, path) in &paths {
            for (_, host) in &hosts {
                if let Some(name) = twice(host, path) {
                    self.fault(Fault::new(at.clone(), format!("two segments are named {name:?}")));
                }
            }
        }
        Patterns { hosts: hosts.into_iter().map(|(_, host)| host).collect(), paths }
    }

    fn parsed<P>(&mut self, at: &KeyPath, written: &[String], any: &str, parse: fn(&str) -> Result<P, String>) -> Vec<(KeyPath, P)> {
        if written.is_empty() {
            return parse(any).map(|pattern| (at.clone(), pattern)).into_iter().collect();
        }
        let mut patterns = Vec::new();
        for (index, text) in written.iter().enumerate() {
            match parse(text) {
                Ok(pattern) => patterns.push((at.index(index), pattern)),
                Err(why) => self.fault(Fault::said(at.index(index), &why)),
            }
        }
        patterns
    }

    /// Enters a route's requests into a listener's table, and tells whose they are already.
    fn enter(&mut self, table: &mut Table<usize>, index: usize, patterns: &Patterns, shapes: &[RouteShape<'_>]) {
        for (at, path) in &patterns.paths {
            for host in &patterns.hosts {
                let Err(&other) = table.insert(host, path, index) else { continue };
                let (Some(other), Some(own)) = (shapes.get(other), shapes.get(index)) else { continue };
                self.fault(match other.name == own.name {
                    true => Fault::new(at.clone(), "the route takes the same requests twice"),
                    false => {
                        let fault = Fault::new(at.clone(), format!("route.{} and route.{} take the same requests", other.name, own.name));
                        fault.also(other.at("path"), format!("route.{}", other.name))
                    }
                });
            }
        }
    }
}

/// A name two segments of one route have.
fn twice(host: &HostPattern, path: &PathPattern) -> Option<Arc<str>> {
    let names: Vec<&Arc<str>> = host.label().into_iter().chain(path.names()).collect();
    names
        .iter()
        .enumerate()
        .find(|(index, name)| names.iter().take(*index).any(|earlier| earlier == *name))
        .map(|(_, name)| (*name).clone())
}
