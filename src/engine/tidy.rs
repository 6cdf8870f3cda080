//! Gives stages and upstreams their time to tidy up, away from all traffic.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::endpoint::Endpoint;
use crate::gateway::Gateway;

use super::Shared;

/// How often stages tidy up.
const EVERY: Duration = Duration::from_secs(5);

/// Has every stage in force tidy up, again and again. On a thread of its own each time, as it may take a while.
pub(super) async fn tidy(shared: Arc<Shared>) {
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let gateway = shared.gateway.load_full();
        // One that panics has printed why, and tidies no more this time.
        _ = tokio::task::spawn_blocking(move || tidy_all(&gateway)).await;
    }
}

fn tidy_all(gateway: &Gateway) {
    for route in &gateway.routes {
        if let Endpoint::Upstream(upstream) = &route.endpoint {
            upstream.tidy();
        }
        if let Some(requests) = route.http.as_ref().and_then(|http| http.requests.as_ref()) {
            requests.tidy();
        }
    }
    gateway.stages().iter().for_each(|stage| stage.tidy());
}
