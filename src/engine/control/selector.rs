//! Which connections a verb means.

use std::fmt;
use std::net::IpAddr;

use crate::config::nearest::nearest;
use crate::gateway::Gateway;

use super::super::registry::Record;
use super::protocol::Selector;

/// A selector, ready to be asked.
pub(super) struct Chosen<'a> {
    selector: &'a Selector,
    id: Option<u64>,
    route: Option<&'a str>,
}

impl Selector {
    /// Whether it leaves nobody out.
    pub(super) fn is_everybody(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// Says what of it cannot be meant.
    pub(super) fn ready(&self) -> Result<Chosen<'_>, String> {
        let id = self
            .id
            .as_deref()
            .map(|id| u64::from_str_radix(id, 16).map_err(|_| format!("{id:?} is no connection; ids are hexadecimal, as in the log")));
        Ok(Chosen { selector: self, id: id.transpose()?, route: self.route.as_deref().map(bare) })
    }
}

/// As the log of an operator's doings has it: `ip 203.0.113.0/24, route chat`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, ip, user, route, server } = self;
        let ip = ip.map(|ip| ip.to_string());
        let parts = [("id", id), ("ip", &ip), ("user", user), ("route", route), ("server", server)];
        let said: Vec<String> = parts.iter().filter_map(|(what, value)| Some(format!("{what} {}", value.as_deref()?))).collect();
        f.write_str(if said.is_empty() { "all" } else { "" })?;
        f.write_str(&said.join(", "))
    }
}

/// A route's name, whether or not its kind is written with it.
pub(super) fn bare(route: &str) -> &str {
    route.strip_prefix("route.").unwrap_or(route)
}

impl Chosen<'_> {
    pub(super) fn takes(&self, record: &Record) -> bool {
        let (client, selector) = (&record.client, self.selector);
        let is_within = |ip: IpAddr| selector.ip.is_none_or(|network| network.0.contains(&ip));
        self.id.is_none_or(|id| id == client.id)
            && self.route.is_none_or(|route| *client.route == *route)
            && is_within(client.peer.ip.to_canonical())
            && selector.user.as_deref().is_none_or(|user| client.user() == Some(user))
            && selector.server.as_deref().is_none_or(|server| record.server().is_some_and(|own| **own == *server))
    }

    /// What is wrong with a selector that nobody was found by, if something is: a route that is not there.
    pub(super) fn doubt(&self, gateway: &Gateway) -> Option<String> {
        no_route(self.route?, gateway, "nobody is on one")
    }
}

/// Why nothing was found of a route: it is not there, and neither is this.
pub(super) fn no_route(route: &str, gateway: &Gateway, neither: &str) -> Option<String> {
    if gateway.route_named(route).is_some() {
        return None;
    }
    let names = gateway.routes.iter().map(|route| &*route.name);
    let hint = nearest(route, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Some(format!("there is no route.{route}, and {neither}{hint}"))
}
