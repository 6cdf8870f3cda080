//! The tables of the frame: what each key of `[listener.*]`, `[route.*]` and the others holds, and its default.
//!
//! The doc comments are the reference: they are printed into the schema.

mod gateway;
mod http;
mod listener;
mod log;
mod metrics;
mod pipeline;
mod proxies;
mod route;
mod server;
mod sticky;
mod test;
mod tls;
mod upstream;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::{Faults, KeyPath};

pub use gateway::{Drain, GatewayTable, Reload};
pub use http::{Http, HttpTable};
pub use listener::{HeadSize, ListenerTable};
pub use log::{Console, LogFormat, LogLevel, LogTable, Only, Period, Rotate};
pub use metrics::{MetricsTable, PagePath};
pub use pipeline::PipelineTable;
pub use proxies::{ClientHeader, ProxyProtocol, SendProxy, TrustedProxies};
pub use route::{ClaimHeader, Compression, MaxMessage, OnReload, Route, RouteDefaults, RouteTable, SetBy, Subprotocol};
pub use server::Server;
pub use sticky::Sticky;
pub use test::{Connect, Expect, Ip, Rule, TestTable};
pub use tls::{CertificateFiles, ClientAuth, ListenerTls, TlsVersion, UpstreamTls};
pub use upstream::{Balance, HostHeader, Prefix, UpstreamTable};

/// A table of the file: its keys, and what must hold between them.
pub(super) trait Table: DeserializeOwned + Serialize + JsonSchema {
    /// Tells what is wrong with a table at this path whose keys are each right by themselves.
    fn check(&self, at: &KeyPath, faults: &mut Faults);
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::super::units::{Interval, Size, Switch};
    use super::super::{Config, Document, FRAME};
    use super::*;

    fn whole() -> Config {
        let kinds = ["authenticated", "echo", "errors", "firewall", "jwt"];
        Config::read(&Document::parse("whole.toml", include_str!("../../../tests/whole.toml"), "."), &kinds).0.unwrap()
    }

    #[test]
    fn every_key_is_described() {
        let mut keys = 0;
        for schema in FRAME.iter().map(|kind| (kind.schema)()) {
            let inner = schema.get("$defs").and_then(|defs| defs.as_object()).into_iter().flat_map(|defs| defs.values());
            for object in inner.chain([schema.as_value()]) {
                let properties = object.get("properties").and_then(|properties| properties.as_object());
                for (key, property) in properties.into_iter().flatten() {
                    keys += 1;
                    assert!(property.get("description").is_some(), "{key} of {object}");
                }
            }
        }
        assert!(keys > 40, "{keys} keys");
    }

    #[test]
    fn a_table_reads_back_as_it_is_written() {
        fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(table: &T) {
            let written = toml::to_string(table).unwrap();
            assert_eq!(toml::from_str::<T>(&written).as_ref(), Ok(table), "{written}");
        }
        let config = whole();
        same(&config.gateway);
        config.listeners.values().for_each(same);
        config.routes.values().for_each(same);
        config.upstreams.values().for_each(same);
        config.pipelines.values().for_each(same);
        config.logs.values().for_each(same);
        config.metrics.values().for_each(same);
        config.tests.values().for_each(same);
    }

    #[test]
    fn a_route_has_the_safe_defaults() {
        let table = toml::from_str("endpoint = \"authenticated\"").unwrap();
        let defaults = RouteDefaults::default();
        let route = Route::resolve("chat", &table, &defaults);
        assert_eq!(route.ping, Switch::On(Interval::seconds(25)));
        assert_eq!(route.pong, Interval::seconds(10));
        assert_eq!((route.idle, route.lifetime), (Switch::Off, Switch::Off));
        assert_eq!(route.close_timeout, Interval::seconds(5));
        assert_eq!(route.max_client_message, Switch::On(Size::bytes(1 << 20)));
        assert_eq!(route.max_upstream_message, Switch::On(Size::bytes(16 << 20)));
        assert_eq!(route.compression, Compression::Pass);
    }

    fn said(value: impl Serialize) -> serde_json::Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn the_schema_tells_a_route_s_defaults_as_they_are() {
        let (table, defaults) = (toml::from_str("endpoint = \"echo\"").unwrap(), RouteDefaults::default());
        let route = Route::resolve("chat", &table, &defaults);
        let schema = schemars::schema_for!(RouteTable);
        let default = |path: &str| schema.pointer(path).and_then(|key| key.get("default")).cloned();
        for (path, value) in [
            ("/properties/ping", said(route.ping)),
            ("/properties/pong", said(route.pong)),
            ("/properties/idle", said(route.idle)),
            ("/properties/lifetime", said(route.lifetime)),
            ("/properties/close_timeout", said(route.close_timeout)),
            ("/properties/compression", said(route.compression)),
            ("/properties/on_reload", said(route.on_reload)),
            ("/$defs/MaxMessage/properties/client", said(route.max_client_message)),
            ("/$defs/MaxMessage/properties/upstream", said(route.max_upstream_message)),
        ] {
            assert_eq!(default(path), Some(value), "{path}");
        }
    }

    #[test]
    fn a_route_s_own_key_beats_the_gateway_s_and_both_beat_the_default() {
        let config = whole();
        let chat = config.routes().find(|route| route.name == "chat").unwrap();
        let echo = config.routes().find(|route| route.name == "echo").unwrap();
        assert_eq!((chat.idle, echo.idle), (Switch::Off, Switch::On(Interval::seconds(600))));
        // The two limits of `max_message` are inherited each by itself.
        assert_eq!((chat.max_client_message, chat.max_upstream_message), (Switch::On(Size::bytes(256 << 10)), Switch::Off));
        assert_eq!((chat.set_by("idle"), echo.set_by("idle"), echo.set_by("ping")), (SetBy::Route, SetBy::Gateway, SetBy::Default));
        assert_eq!(chat.at("idle").to_string(), "route.chat.idle");
        assert_eq!(echo.at("idle").to_string(), "gateway.route.idle");
        assert_eq!(echo.at("ping").to_string(), "route.echo.ping");
    }

    #[test]
    fn the_frame_has_the_safe_defaults() {
        let listener: ListenerTable = toml::from_str("address = \"127.0.0.1:0\"").unwrap();
        assert_eq!(listener.handshake_timeout, Interval::seconds(10));
        assert_eq!((listener.max_head.get(), listener.max_headers.get()), (16 << 10, 64));
        let upstream: UpstreamTable = toml::from_str("servers = \"ws://127.0.0.1:9001\"").unwrap();
        assert_eq!((upstream.connect_timeout, upstream.handshake_timeout), (Interval::seconds(3), Interval::seconds(5)));
        assert_eq!(upstream.tries.get(), 2);
        assert_eq!(upstream, UpstreamTable::of("ws://127.0.0.1:9001".parse().unwrap()));
        assert_eq!(GatewayTable::default().drain.over, Interval::seconds(30));
    }
}
