//! The tests of a file, tried: what differs from what is expected is a fault of the file.

use std::path::Path;

use crate::config::document::Document;
use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::config::table::TestTable;
use crate::config::{Config, World};
use crate::gateway::tls::shown_by_client;
use crate::gateway::{Catalog, Gateway};
use crate::stage::cells::Cells;
use crate::stage::certificate::Certificate;

use super::Trial;
use super::asked::{Ask, Unclear};

/// Tries every test of a document that compiles, each with a gateway of its own, so that none finds a limit spent by another. Says
/// how many hold, and what the others came to; where the world has no answers, that they could not be tried.
pub async fn prove(document: &Document, catalog: &Catalog, world: &(dyn World + Sync)) -> (usize, Faults) {
    let (mut held, mut faults) = (0, Faults::default());
    let tests = Config::read_in(document, &catalog.kinds(), world).0.unwrap_or_default().tests;
    for (name, test) in &tests {
        let (gateway, found) = Gateway::compile_in(document, catalog, &Cells::default(), world);
        match gateway {
            Some(gateway) => match tried(&gateway, name, test, world).await {
                Ok(()) => held += 1,
                Err(fault) => faults.push(fault),
            },
            None if found.counts().0 > 0 => break,
            None => faults.push(Fault::unknown(Place::Key(KeyPath::table("test", name)), format!("what test.{name} comes to"))),
        }
    }
    (held, faults)
}

async fn tried(gateway: &Gateway, name: &str, test: &TestTable, world: &(dyn World + Sync)) -> Result<(), Fault> {
    let at = KeyPath::table("test", name);
    let mut ask = Ask::from(test);
    if let Some(file) = &test.connect.certificate {
        ask.certificate = Some(certificate(file, &at.key("connect").key("certificate"), gateway, world)?);
    }
    let trial = Trial::of(gateway, &ask).await.map_err(|unclear| match &unclear {
        Unclear::Several(_) => {
            let fault = Fault::new(at.key("connect"), format!("test.{name} does not say to which listener: {unclear}"));
            fault.hint("add `listener`")
        }
        Unclear::Unknown(_) => Fault::new(at.key("connect").key("listener"), unclear.to_string()),
    })?;
    if let (Some(route), Some(bearing)) = (&trial.route, &trial.bearing)
        && bearing.stage.is_none()
    {
        let connect = at.key("connect");
        return Err(match &test.connect.stage {
            Some(stage) => Fault::new(connect.key("stage"), format!("{stage} reads no tokens on the way to route.{}", route.name)),
            None => Fault::new(connect.key("claims"), format!("nothing on the way to route.{} reads tokens", route.name))
                .hint("leave `claims` out, or name a jwt stage in its pipeline"),
        });
    }
    differs(&trial, name, test, &at.key("expect")).map_or(Ok(()), Err)
}

fn certificate(file: &Path, at: &KeyPath, gateway: &Gateway, world: &dyn World) -> Result<Certificate, Fault> {
    let path = gateway.folder.join(file);
    match world.file(&path) {
        Some(Ok(bytes)) => shown_by_client(&bytes, file, at),
        Some(Err(error)) => Err(Fault::new(at.clone(), format!("cannot read {}: {error}", path.display()))),
        None => Err(Fault::unknown(at.clone(), format!("the file {}", path.display()))),
    }
}

/// The first thing that is not as expected.
fn differs(trial: &Trial, name: &str, test: &TestTable, at: &KeyPath) -> Option<Fault> {
    let expect = &test.expect;
    let (key, expected, came) = if let Some(outcome) = &expect.outcome
        && *outcome != trial.outcome()
    {
        ("outcome", outcome.clone(), came(trial))
    } else if let Some(route) = &expect.route
        && trial.route.as_ref().is_none_or(|taken| *taken.name != *route.as_str())
    {
        let taken = trial.route.as_ref().map_or_else(|| "no route".to_owned(), |route| format!("route.{}", route.name));
        ("route", format!("route.{route}"), format!("goes to {taken}"))
    } else if let Some(rule) = &expect.rule
        && trial.rule().is_none_or(|decided| !decided.starts_with(rule.path()))
    {
        ("rule", format!("a refusal by {rule}"), came(trial))
    } else {
        return None;
    };
    let fault = Fault::new(at.key(key), format!("test.{name} expects {expected}, and {came}"));
    let fault = fault.hint(format!("`wsgate explain --test {name}` tells it step by step"));
    Some(match trial.rule().filter(|rule| !rule.kind_and_name().1.is_empty()) {
        Some(rule) => fault.also(rule, "this refuses it"),
        None => fault,
    })
}

/// What came of it, as the end of a sentence.
fn came(trial: &Trial) -> String {
    let route = trial.route.as_ref().map(|route| format!(" by route.{}", route.name)).unwrap_or_default();
    let Some(refused) = &trial.refused else {
        return if trial.answered.is_some() { format!("is answered{route}") } else { format!("is let in{route}") };
    };
    let refusal = &refused.refusal;
    let by = match (&refusal.stage, &refusal.rule) {
        (Some(stage), Some(rule)) => format!(" by {stage}: {rule}"),
        (Some(stage), None) => format!(" by {stage}"),
        (None, Some(rule)) => format!(": {rule}"),
        (None, None) => String::new(),
    };
    format!("comes to {}{by}", refusal.outcome.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::world::Machine;

    #[test]
    fn whoever_proves_a_file_may_do_so_on_any_thread() {
        fn is_send(_: &impl Send) {}
        let document = Document::parse("gateway.toml", "", ".");
        is_send(&prove(&document, &Catalog::default(), &Machine));
    }
}
