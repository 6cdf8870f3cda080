//! A listener's `trusted_proxies` and `proxy_protocol`: what they come to, and what their operator is warned of.

use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::config::Mode;
use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::reference::PartRef;
use crate::config::table::{ListenerTable, TrustedProxies as Table};
use crate::endpoint::Endpoint;
use crate::stage::build::Build;
use crate::stage::firewall::files;
use crate::stage::pipeline::{Pipeline, Step};
use crate::stage::refusal::IP_DENIED;
use crate::stage::sample;

use super::compile::Compiler;
use super::listener::Listener;
use super::proxies::{Networks, TrustedProxies};

/// Networks of at most so many addresses are asked about address by address; of a larger one nobody knows where the balancers are.
const MOST_ASKED: usize = 256;

impl Compiler<'_> {
    /// Whom the listener at `at` believes, and who has to begin with a PROXY header.
    pub(super) fn proxies(&mut self, shape: &ListenerTable, at: &KeyPath) -> (Option<TrustedProxies>, Option<Networks>) {
        let trusted = shape.trusted_proxies.as_ref().map(|table| {
            let networks = self.trusted_networks(table, at);
            self.warn_of_everybody(&networks, &at.key("trusted_proxies"), "may send any address in the header");
            TrustedProxies::new(networks, table.header.name().clone())
        });
        let announcing = shape.proxy_protocol.as_ref().map(|table| {
            let networks: Vec<IpNet> = table.from.iter().map(|cidr| cidr.0).collect();
            let networks = Networks::new(&networks);
            self.warn_of_everybody(&networks, &at.key("proxy_protocol").key("from"), "may begin with any address");
            networks
        });
        (trusted, announcing)
    }

    fn trusted_networks(&mut self, table: &Table, at: &KeyPath) -> Networks {
        let mut build = Build::new(at.clone(), &self.parts.config.folder, self.cells).in_world(self.world);
        let mut faults = Faults::default();
        let mut networks: Vec<IpNet> = table.cidrs.iter().map(|cidr| cidr.0).collect();
        for (index, file) in table.files.iter().enumerate() {
            let at = at.key("trusted_proxies").key("files").index(index);
            networks.extend(files::read(file, &at, &mut build, &mut faults).iter().map(|(_, cidr)| cidr.0));
        }
        self.parts.files.extend(build.files);
        self.parts.faults.extend(faults);
        Networks::new(&networks)
    }

    fn warn_of_everybody(&mut self, networks: &Networks, at: &KeyPath, may: &str) {
        for everybody in networks.iter().filter(|network| network.prefix_len() == 0) {
            let fault =
                Fault::warning(at.clone(), format!("{everybody} is everybody: whoever reaches the listener {may}, and is believed"));
            self.fault(fault.hint("list the addresses of your balancers alone"));
        }
    }

    /// A balancer's probes are its own: they are judged by its own address, and one that is refused sends nobody here any more.
    pub(super) fn check_balancers(&mut self, route: &str, listeners: &[Arc<Listener>], pipeline: &Pipeline, endpoint: Option<&Endpoint>) {
        if !endpoint.is_some_and(Endpoint::is_health) {
            return;
        }
        for listener in listeners {
            let trusted = listener.trusted_proxies.as_ref().map(|proxies| ("trusted_proxies", proxies.networks()));
            let announcing = listener.proxy_protocol.as_ref().map(|networks| ("proxy_protocol", networks));
            for (key, network) in trusted.into_iter().chain(announcing).flat_map(|(key, found)| found.iter().map(move |net| (key, net))) {
                let steps = listener.pipeline.steps().chain(pipeline.steps());
                let Some(denier) = steps.filter(|step| step.mode == Mode::Enforce).find(|step| denies(step, network)) else { continue };
                let Ok(part) = denier.name.parse::<PartRef>() else { continue };
                let at = KeyPath::table(&part.kind, part.name.as_deref().unwrap_or_default());
                let at_listener = KeyPath::table("listener", &listener.name).key(key);
                let balancers =
                    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() };
                let message = format!(
                    "{part} denies {balancers}, where proxies of listener.{} are: their own probes of route.{route} are refused",
                    listener.name
                );
                let fault = Fault::warning(at, message).hint("allow them, or answer probes on a listener of their own");
                self.fault(fault.also(at_listener, format!("listener.{}", listener.name)));
            }
        }
    }
}

/// Whether a stage denies every address of a network, for all it can say of an address alone.
fn denies(step: &Step, network: IpNet) -> bool {
    let mut client = sample::client(&[]);
    let now = SystemTime::now();
    let mut addresses = network.subnets(network.max_prefix_len()).into_iter().flatten();
    let are_denied = addresses.by_ref().take(MOST_ASKED).all(|address| {
        client.peer.ip = address.addr();
        step.stage.review(&client, now).is_err_and(|refusal| refusal.outcome.id == IP_DENIED.id && !refusal.report)
    });
    are_denied && addresses.next().is_none()
}
