//! Gives stages their time to tidy up, away from all traffic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::gateway::Gateway;
use crate::stage::Stage;

use super::Shared;

/// How often stages tidy up.
const EVERY: Duration = Duration::from_secs(5);

/// Has every stage in force tidy up, again and again. On a thread of its own each time, as it may take a while.
pub(super) async fn tidy(shared: Arc<Shared>) {
    let mut clock = tokio::time::interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let stages = stages(&shared.gateway.load());
        // One that panics has printed why, and tidies no more this time.
        _ = tokio::task::spawn_blocking(move || stages.iter().for_each(|stage| stage.tidy())).await;
    }
}

/// Each stage in force, once, however many routes it serves.
fn stages(gateway: &Gateway) -> Vec<Arc<dyn Stage>> {
    let listeners = gateway.listeners.values().map(|listener| &listener.pipeline);
    let pipelines = listeners.chain(gateway.routes.iter().map(|route| &route.pipeline));
    let by_name: BTreeMap<_, _> = pipelines.flat_map(|pipeline| pipeline.steps()).map(|step| (&*step.name, &step.stage)).collect();
    by_name.into_values().cloned().collect()
}
