//! `health`: tells supervisors and load balancers over plain HTTP whether the gateway lives, and whether to send it clients.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::reference::PartRef;
use crate::config::units::Many;
use crate::stage::Refusal;
use crate::stage::refusal::{METHOD_NOT_ALLOWED, NO_ROUTE};

use super::upstream::Upstream;

/// The last segment of a path that asks whether the process lives.
pub const LIVE: &str = "livez";
/// The last segment of a path that asks whether clients may be sent here.
pub const READY: &str = "readyz";

/// `[health.NAME]`: answers probes over plain HTTP: a path that ends in `/livez` with 200 while the process lives, one that ends in
/// `/readyz` with 200 while clients may be sent here, and 503 with the reason from the moment a stop is asked for, or while there is no
/// room for another connection. The stages of its route judge a probe
/// as they do every request.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// Upstreams without which the gateway is not ready, as `"upstream.chat"`: each needs a server that neither rests nor drains.
    pub upstreams: Many<PartRef>,
}

/// Answers probes.
pub struct Health {
    upstreams: Vec<(Box<str>, Arc<Upstream>)>,
}

impl Health {
    /// Ready while each of these has a server for a new connection; they are called by these names.
    pub fn new(upstreams: Vec<(Box<str>, Arc<Upstream>)>) -> Self {
        Self { upstreams }
    }

    /// The answer to a probe that every stage has passed; `unready` is why clients are not to be sent here, where the engine knows.
    ///
    /// # Errors
    /// `no_route` where the path is none of a probe, `method_not_allowed` where it is not asked with GET or HEAD.
    pub fn answer(&self, method: &Method, path: &str, unready: Option<&str>) -> Result<Response<Bytes>, Box<Refusal>> {
        let readiness = match path.rsplit('/').next() {
            Some(LIVE) => Ok("ok".to_owned()),
            Some(READY) => self.readiness(unready),
            _ => return Err(Box::new(Refusal::new(NO_ROUTE).rule("a path that ends neither in /livez nor in /readyz"))),
        };
        if *method != Method::GET && *method != Method::HEAD {
            return Err(Box::new(Refusal::new(METHOD_NOT_ALLOWED)));
        }
        Ok(match readiness {
            Ok(line) => response(StatusCode::OK, line),
            Err(line) => response(StatusCode::SERVICE_UNAVAILABLE, line),
        })
    }

    /// Whether clients may be sent here, in a line; the error says why not.
    fn readiness(&self, unready: Option<&str>) -> Result<String, String> {
        if let Some(why) = unready {
            return Err(why.to_owned());
        }
        let now = Instant::now();
        let lacking = self.upstreams.iter().filter(|(_, upstream)| !upstream.is_ready(now));
        let lacking: Vec<String> = lacking.map(|(name, _)| format!("{name} has no server")).collect();
        if lacking.is_empty() { Ok("ready".to_owned()) } else { Err(lacking.join(", ")) }
    }
}

fn response(status: StatusCode, mut line: String) -> Response<Bytes> {
    line.push('\n');
    let mut response = Response::new(Bytes::from(line));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::upstream::Settings;

    fn upstream(servers: &[(&str, bool)]) -> Arc<Upstream> {
        let server = |(url, drains): &(&str, bool)| {
            let server: crate::endpoint::upstream::Server = url.parse().unwrap();
            if *drains { server.draining() } else { server }
        };
        Arc::new(Upstream::new(Settings::new(servers.iter().map(server).collect()), Arc::default()))
    }

    fn told(health: &Health, method: &Method, path: &str, unready: Option<&str>) -> (u16, String) {
        match health.answer(method, path, unready) {
            Ok(response) => {
                assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
                (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
            }
            Err(refusal) => (refusal.outcome.status.unwrap(), refusal.outcome.id.to_owned()),
        }
    }

    #[test]
    fn a_probe_is_told_by_the_end_of_its_path() {
        let health = Health::new(Vec::new());
        for (path, answer) in [
            ("/livez", (200, "ok\n")),
            ("/readyz", (200, "ready\n")),
            ("/health/deep/readyz", (200, "ready\n")),
            ("/", (404, "no_route")),
            ("/readyz/", (404, "no_route")),
            ("/xreadyz", (404, "no_route")),
        ] {
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(told(&health, &method, path, None), (answer.0, answer.1.to_owned()), "{path}");
            }
        }
        assert_eq!(told(&health, &Method::POST, "/livez", None), (405, "method_not_allowed".to_owned()));
        assert_eq!(told(&health, &Method::POST, "/other", None), (404, "no_route".to_owned()));
    }

    #[test]
    fn a_gateway_that_stops_or_lacks_a_server_lives_and_is_not_ready() {
        let good = upstream(&[("ws://a:1", true), ("ws://a:2", false)]);
        let (drained, empty) = (upstream(&[("ws://a:1", true)]), upstream(&[]));
        let names = |upstreams: &[(&str, &Arc<Upstream>)]| {
            Health::new(upstreams.iter().map(|(name, upstream)| ((*name).into(), (*upstream).clone())).collect())
        };
        let rows = [
            (names(&[("upstream.a", &good)]), None, (200, "ready\n")),
            (names(&[("upstream.a", &good)]), Some("draining"), (503, "draining\n")),
            (names(&[("upstream.a", &good), ("upstream.b", &drained)]), None, (503, "upstream.b has no server\n")),
            (
                names(&[("upstream.b", &drained), ("upstream.c", &empty)]),
                None,
                (503, "upstream.b has no server, upstream.c has no server\n"),
            ),
        ];
        for (health, unready, (status, line)) in rows {
            assert_eq!(told(&health, &Method::GET, "/readyz", unready), (status, line.to_owned()));
            assert_eq!(told(&health, &Method::GET, "/livez", unready), (200, "ok\n".to_owned()));
        }
    }
}
