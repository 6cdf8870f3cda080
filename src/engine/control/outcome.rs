//! What an edit comes to, in the form that `plan`, `reload` and `rollback` share.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::gateway::{Changes, Fate, RouteChange};

use super::super::keeper::Plan;
use super::super::{Cause, Engine, Impact, Reloaded, Staying};
use super::facts::{Closed, Outcome, RouteOutcome};

impl Outcome {
    /// What a plan says.
    pub(super) fn planned(plan: Plan) -> Self {
        let Plan { changes, routes, impact, too_many, warnings } = plan;
        Self { refused: too_many, warnings, ..Self::of(changes, &routes, &impact) }
    }

    /// What is in force now, with this generation.
    pub(super) fn done(reloaded: Reloaded, generation: u64) -> Self {
        let Reloaded { changes, routes, impact, .. } = reloaded;
        Self { generation: Some(generation), ..Self::of(changes, &routes, &impact) }
    }

    /// What comes of a text that says what is in force.
    pub(super) async fn unchanged(engine: &Engine) -> Self {
        let gateway = engine.gateway();
        let impact = engine.survey(&gateway).await;
        Self::of(gateway.changes_since(&gateway), &gateway.routes_since(&gateway), &impact)
    }

    fn of(changes: Changes, routes: &[RouteChange], impact: &Impact) -> Self {
        Self {
            changes: !changes.is_empty(),
            generation: None,
            rolled_back_to: None,
            added: changes.added,
            changed: changes.changed,
            removed: changes.removed,
            same: changes.kept,
            kept: impact.kept,
            judged_again: impact.adopted,
            closed: impact.closes(),
            leaving: impact.leaving,
            routes: by_route(routes, impact),
            refused: None,
            warnings: Vec::new(),
        }
    }
}

/// Every route, those that were gone before and still have connections among them.
fn by_route(changes: &[RouteChange], impact: &Impact) -> Vec<RouteOutcome> {
    let mut routes: BTreeMap<Arc<str>, RouteOutcome> = BTreeMap::new();
    for RouteChange { name, fate, because } in changes {
        let fate = match fate {
            Fate::Unchanged => "unchanged",
            Fate::Changed => "changed",
            Fate::Added => "added",
            Fate::Removed => "removed",
        };
        routes.insert(name.clone(), route(name, fate, because.clone()));
    }
    let mut entry = |name: &Arc<str>, add: &dyn Fn(&mut RouteOutcome)| {
        add(routes.entry(name.clone()).or_insert_with(|| route(name, "removed", Vec::new())));
    };
    for (name, Staying { kept, adopted }) in &impact.staying {
        entry(name, &|route| (route.kept, route.judged_again) = (*kept, *adopted));
    }
    for (cause, connections) in &impact.closed {
        let Cause { route, outcome, stage, rule } = cause;
        let (stage, rule) = (stage.as_deref().map(str::to_owned), rule.as_deref().map(str::to_owned));
        let closed = Closed { connections: *connections, outcome: (*outcome).to_owned(), stage, rule };
        entry(route, &|route| route.closed.push(closed.clone()));
    }
    let mut routes: Vec<RouteOutcome> = routes.into_values().collect();
    for route in &mut routes {
        route.closed.sort_by_key(|closed| Reverse(closed.connections));
    }
    routes
}

fn route(name: &str, fate: &str, because: Vec<String>) -> RouteOutcome {
    RouteOutcome { route: name.to_owned(), fate: fate.to_owned(), because, kept: 0, judged_again: 0, closed: Vec::new() }
}
