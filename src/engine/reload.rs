//! Puts another snapshot in force, on the connections that are open too.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::yield_now;

use crate::config::units::Percent;
use crate::endpoint::upstream::Upstream;
use crate::gateway::{Changes, Gateway, RouteChange};
use crate::observe::Observer;
use crate::observe::event::{Attempt, Event};
use crate::stage::pipeline::Findings;

use super::Shared;
use super::judge::{Judged, judge, judge_in_turn};
use super::recheck::is_refused;
use super::registry::{Record, Split};
use super::scrape;
use super::{Engine, StartError};

pub(super) use super::judge::Haste;

/// Connections that are judged before others get their turn.
const AT_A_TIME: usize = 256;

/// What an edit came to.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// Which tables it has changed.
    pub changes: Changes,
    /// What has become of each route.
    pub routes: Vec<RouteChange>,
    /// What it means for the connections that are open.
    pub impact: Impact,
    /// How long it took to put it in force: from the first socket to the last connection judged.
    pub took: Duration,
}

/// What a snapshot means for the connections that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Not concerned.
    pub kept: usize,
    /// Judged again, and allowed.
    pub adopted: usize,
    /// Closed, now or in their turn, by what closes them.
    pub closed: BTreeMap<Cause, usize>,
    /// Ended by an edit before, and still waiting for their turn.
    pub leaving: usize,
    /// Those that stay, by their routes.
    pub staying: BTreeMap<Arc<str>, Staying>,
}

/// The connections of a route that an edit leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staying {
    /// Not concerned.
    pub kept: usize,
    /// Judged again, and allowed.
    pub adopted: usize,
}

/// Why connections are closed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Their route.
    pub route: Arc<str>,
    /// The outcome's id.
    pub outcome: &'static str,
    /// The stage that decided, where one did.
    pub stage: Option<Arc<str>>,
    /// Its rule.
    pub rule: Option<Box<str>>,
}

/// The connections that a snapshot may mean something for.
struct Concerned {
    all: Vec<Arc<Record>>,
    /// The ids of all that wait for their turn to end.
    waiting: HashSet<u64>,
    /// Those of them that it means nothing for.
    others: Vec<Arc<Record>>,
}

/// Why an edit does not take effect. What was in force still is.
#[derive(Debug)]
pub enum NotReloaded {
    /// The host refuses something it needs.
    Start(StartError),
    /// It would close too many.
    Closes {
        /// What it would mean.
        impact: Impact,
        /// The share it may close.
        most: Percent,
    },
}

impl std::fmt::Display for NotReloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Closes { impact, most } => {
                let (closes, open) = (impact.closes(), impact.open());
                write!(f, "it would close {closes} of {open} connections, more than the {most} that `max_closed` allows")
            }
        }
    }
}

impl std::error::Error for NotReloaded {}

impl Impact {
    /// How many are closed.
    pub fn closes(&self) -> usize {
        self.closed.values().sum()
    }

    /// How many were open.
    pub fn open(&self) -> usize {
        self.kept + self.adopted + self.closes() + self.leaving
    }

    /// Counts connections of which no one is concerned.
    fn keep(&mut self, others: Vec<(Arc<str>, usize)>) {
        for (route, count) in others {
            self.kept += count;
            self.staying.entry(route).or_default().kept += count;
        }
    }

    /// One of those that no one is concerned of has been ended by an edit before.
    fn leaves_already(&mut self, route: &Arc<str>) {
        let Some(staying) = self.staying.get_mut(route).filter(|staying| staying.kept > 0) else { return };
        staying.kept -= 1;
        self.kept -= 1;
        self.leaving += 1;
    }

    /// Counts a connection, which may be `waiting` for its turn to end since an edit before.
    fn count(&mut self, record: &Record, judged: &Judged, waiting: bool) {
        match judged {
            Judged::Leaves(_, Haste::Soon | Haste::InTurn) if waiting => self.leaving += 1,
            Judged::Same => self.keep(vec![(record.client.route.clone(), 1)]),
            Judged::Adopts(_) => {
                self.adopted += 1;
                self.staying.entry(record.client.route.clone()).or_default().adopted += 1;
            }
            Judged::Leaves(refusal, _) => {
                let (stage, rule) = (refusal.stage.clone(), refusal.rule.clone());
                let cause = Cause { route: record.client.route.clone(), outcome: refusal.outcome.id, stage, rule };
                *self.closed.entry(cause).or_default() += 1;
            }
        }
    }
}

impl Engine {
    /// What this snapshot would mean for the connections that are open. Changes nothing.
    pub async fn survey(&self, gateway: &Gateway) -> Impact {
        let now = SystemTime::now();
        let (Concerned { all, waiting, .. }, mut impact) = self.concerned(&self.shared.gateway.load(), gateway);
        for some in all.chunks(AT_A_TIME) {
            for record in some.iter().filter(|record| !record.is_ending()) {
                let is_waiting = waiting.contains(&record.client.id);
                let judged = judging(is_waiting)(record, gateway, now, &mut Findings::default());
                impact.count(record, &judged, is_waiting);
            }
            yield_now().await;
        }
        impact
    }

    /// Puts another snapshot in force, compiled [after](Gateway::compile_after) the one that is: for connections to come at once, and
    /// for each that is open and concerned as soon as it has been judged again. `force` closes as many as it takes.
    ///
    /// Not cancel-safe: dropped half way, connections of the second half go by the old snapshot.
    ///
    /// # Errors
    /// Why it does not take effect; nothing has changed then.
    pub async fn reload(&mut self, gateway: Gateway, force: bool) -> Result<Reloaded, NotReloaded> {
        let begun = Instant::now();
        let before = self.shared.gateway.load_full();
        let bound = self.sockets.bind(&gateway, &self.team).map_err(NotReloaded::Start)?;
        if !force
            && gateway.reload.max_closed.is_some()
            && let Some(refused) = too_many(&gateway, &self.survey(&gateway).await)
        {
            return Err(refused);
        }
        let gateway = Arc::new(gateway);
        // New connections find it first: what is entered from here on goes by it, or is judged by it.
        self.shared.gateway.store(gateway.clone());
        gateway.take_effect();
        self.sockets.listen(bound, &self.scraper, &self.team);
        self.shared.observer.metrics().retain(&scrape::names(&gateway));
        let impact = self.judge_all(&before, &gateway).await;
        self.shared.ages.put_aside(&before, &gateway);
        let stays = |upstream: &Arc<Upstream>| gateway.upstreams.values().any(|other| Arc::ptr_eq(other, upstream));
        before.upstreams.values().filter(|upstream| !stays(upstream)).for_each(|upstream| upstream.close_idle());
        let (changes, routes) = (gateway.changes_since(&before), gateway.routes_since(&before));
        Ok(Reloaded { changes, routes, impact, took: begun.elapsed() })
    }

    async fn judge_all(&self, before: &Gateway, gateway: &Gateway) -> Impact {
        let rechecks = self.shared.rechecks.count();
        let (Concerned { all, waiting, others }, mut impact) = self.concerned(before, gateway);
        // How turns are spread may be all that has changed.
        let (mut soon, mut leaving) = (Vec::new(), if before.reload == gateway.reload { Vec::new() } else { others });
        for some in all.chunks(AT_A_TIME) {
            for record in some.iter().filter(|record| !record.is_ending()) {
                let is_waiting = waiting.contains(&record.client.id);
                let judged = settle_by(judging(is_waiting), record, gateway, Haste::AtOnce, &self.shared.observer);
                impact.count(record, &judged, is_waiting);
                match judged {
                    Judged::Same | Judged::Adopts(_) if is_waiting => self.shared.pacer.call_off(record),
                    Judged::Leaves(_, Haste::Soon) => soon.push(record.clone()),
                    Judged::Leaves(_, Haste::InTurn) => leaving.push(record.clone()),
                    _ => {}
                }
            }
            yield_now().await;
        }
        if self.shared.rechecks.count() != rechecks {
            // It may have met those who went by the old snapshot still, and were judged by the new before what it was about.
            leaving.extend(all.iter().filter(|record| is_refused(record)).cloned());
        }
        self.shared.pacer.add(soon, Haste::Soon, &gateway.reload);
        self.shared.pacer.add(leaving, Haste::InTurn, &gateway.reload);
        impact
    }

    /// The connections that a snapshot may mean something for, and what it means for the others.
    fn concerned(&self, before: &Gateway, gateway: &Gateway) -> (Concerned, Impact) {
        let routes_as = gateway.routes_as(before);
        let stays = |listener: &str, route: &str| {
            let is_same = |name: &str| match (before.listeners.get(name), gateway.listeners.get(name)) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                _ => false,
            };
            let routes = (before.route_named(route), gateway.route_named(route));
            routes_as && is_same(listener) && matches!(routes, (Some(old), Some(new)) if Arc::ptr_eq(old, new))
        };
        let (mut all, mut impact) = (Vec::new(), Impact::default());
        for thread in &self.workers {
            let Split { wanted, others } = thread.worker.registry.split(|listener, route| !stays(listener, route));
            all.extend(wanted);
            impact.keep(others);
        }
        let others = self.shared.pacer.waiting();
        let waiting = others.iter().map(|record| record.client.id).collect();
        let others: Vec<_> = others.into_iter().filter(|record| stays(&record.client.peer.listener, &record.client.route)).collect();
        others.iter().for_each(|record| impact.leaves_already(&record.client.route));
        (Concerned { all, waiting, others }, impact)
    }
}

/// Why a snapshot that means this does not take effect unless it is forced, where it does not.
pub(super) fn too_many(gateway: &Gateway, impact: &Impact) -> Option<NotReloaded> {
    let most = gateway.reload.max_closed.filter(|most| most.is_exceeded_by(impact.closes(), impact.open()))?;
    Some(NotReloaded::Closes { impact: impact.clone(), most })
}

/// Judges a connection whose turn has come, by what is in force then and still is when it has been judged.
pub(super) fn settle_as_it_stands(record: &Record, shared: &Shared) {
    loop {
        let gateway = shared.gateway.load_full();
        settle_by(judge_in_turn, record, &gateway, Haste::InTurn, &shared.observer);
        if Arc::ptr_eq(&gateway, &shared.gateway.load()) {
            return;
        }
    }
}

/// How a connection is judged.
type Judging = fn(&Record, &Gateway, SystemTime, &mut Findings) -> Judged;

/// How one is judged that may be `waiting` for its turn to end: what has ended it need not be an edit, so that an edit which means
/// nothing for it does not let it stay.
fn judging(is_waiting: bool) -> Judging {
    if is_waiting { judge_in_turn } else { judge }
}

/// Judges a connection by this snapshot and lets the verdict hold: it adopts, or ends where it must at once.
pub(super) fn settle(record: &Record, gateway: &Gateway, observer: &Observer) -> Judged {
    settle_by(judge, record, gateway, Haste::AtOnce, observer)
}

/// The same by one way to judge; it ends where it must as soon as `haste` says.
fn settle_by(judging: Judging, record: &Record, gateway: &Gateway, haste: Haste, observer: &Observer) -> Judged {
    let mut findings = Findings::default();
    let now = SystemTime::now();
    let judged = judging(record, gateway, now, &mut findings);
    for refusal in &findings.take().0 {
        observer.report(&Event::WouldRefuse { attempt: Attempt::from(&*record.client), refusal });
    }
    match &judged {
        Judged::Same => {}
        Judged::Adopts(policy) => record.adopt(policy.clone(), now),
        Judged::Leaves(refusal, due) if *due == Haste::AtOnce || haste == Haste::InTurn => record.leave(refusal.clone()),
        Judged::Leaves(..) => {}
    }
    judged
}
