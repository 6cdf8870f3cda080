//! An explanation for people: what was asked, who judged it and how, and what came of it.

use std::fmt::Write;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::gateway::trial::{self, Bearing, Fate, Judged, Sent, Trial, Word};
use crate::stage::Refusal;

use super::Told;

/// How far what is said stands to the right of what it is about.
const LABEL: usize = 10;
/// Routes that are listed where others have lost, or none is there.
const MAX_ROUTES: usize = 10;
/// Characters that are shown of a message.
const MAX_TEXT: usize = 60;

pub(super) fn print(told: &Told<'_>) -> String {
    let mut page = Page::default();
    request(told, &mut page);
    route(told, &mut page);
    stages(told, &mut page);
    endpoint(told, &mut page);
    messages(told.trial, &mut page);
    outcome(told, &mut page);
    page.0
}

/// Lines, of which the first of each part has its label before it.
#[derive(Default)]
struct Page(String);

impl Page {
    fn part(&mut self, label: &str, line: &str) {
        // A string takes what is written.
        _ = writeln!(self.0, "{label:LABEL$}{line}");
    }

    fn line(&mut self, line: &str) {
        self.part("", line);
    }
}

fn request(told: &Told<'_>, page: &mut Page) {
    let (trial, ask) = (told.trial, told.ask);
    let as_asked = ask.target.split('?').next().unwrap_or_default();
    let normal = trial.asked.as_ref().map(|asked| asked.path.as_str()).filter(|path| *path != as_asked);
    let normal = normal.map(|path| format!(", read as {path}")).unwrap_or_default();
    page.part("request", &format!("{}://{}{}{normal}", if trial.is_tls { "wss" } else { "ws" }, trial.authority, shown(&ask.target)));
    page.line(&format!("from {}, to listener.{}", ask.ip.to_canonical(), trial.listener));
    if let Some(bearing) = &trial.bearing {
        page.line(&bears(bearing));
    }
}

/// A target without the values of its query: any of them may be a token.
pub(super) fn shown(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let names = query.split('&').map(|part| part.split_once('=').map_or_else(|| part.to_owned(), |(name, _)| format!("{name}=…")));
    format!("{path}?{}", names.collect::<Vec<_>>().join("&"))
}

fn bears(bearing: &Bearing) -> String {
    let place = match (&bearing.shown.header, &bearing.shown.query) {
        (Some((name, _)), _) => format!("in the header {name}"),
        (None, Some(parameter)) => format!("in the query, as {}", parameter.split('=').next().unwrap_or_default()),
        (None, None) => "as its first message".to_owned(),
    };
    match &bearing.stage {
        Some(stage) => format!("its token {place}, where {stage} looks first"),
        None => format!("its token {place}, where nothing on the way looks for one"),
    }
}

fn route(told: &Told<'_>, page: &mut Page) {
    let trial = told.trial;
    if trial.asked.is_none() {
        page.part("route", "none is looked for: the path has more than one reading");
        return;
    }
    if trial.is_renewal {
        page.part("route", &format!("none is looked for: listener.{} takes this path itself, for renewals by tickets", trial.listener));
        return;
    }
    let Some((first, others)) = trial.ways.split_first() else {
        page.part("route", &format!("none of listener.{} covers it", trial.listener));
        let here: Vec<_> = told.gateway.ways.iter().filter(|way| way.listener == trial.listener).collect();
        for way in here.iter().take(MAX_ROUTES) {
            page.line(&format!("not route.{}, host {}, path {}", way.route, way.host, way.path));
        }
        if let Some(more) = here.len().checked_sub(MAX_ROUTES).filter(|more| *more > 0) {
            page.line(&format!("nor {more} more"));
        }
        return;
    };
    let place = told.table(&format!("route.{}", first.route)).unwrap_or_default();
    page.part("route", &format!("route.{}, host {}, path {}  {place}", first.route, first.host, first.path));
    if trial.route.as_ref().is_some_and(|route| route.http.is_some()) {
        page.line("which passes ordinary requests on as well, by the same stages");
    }
    for other in others.iter().take(MAX_ROUTES) {
        page.line(&format!("before route.{}, host {}, path {}: {}", other.route, other.host, other.path, first.over(other).1));
    }
}

fn stages(told: &Told<'_>, page: &mut Page) {
    let stages = &told.trial.stages;
    let width = stages.iter().map(|step| indent(step).len() + step.stage.len()).max().unwrap_or_default();
    let mut label = "stages";
    let (mut within, mut group) = (None, None);
    for step in stages {
        if within != Some(&step.within) {
            page.part(std::mem::take(&mut label), &step.within);
            (within, group) = (Some(&step.within), None);
        }
        if step.group.is_some() && step.group != group {
            page.line("  any of");
        }
        group = step.group;
        let (word, why) = said(told, step);
        let name = format!("{}{}", indent(step), step.stage);
        page.line(&format!("{name:width$}  {word}"));
        if let Some(asks) = &step.asks {
            page.line(&format!("{:width$}  {asks}", ""));
        }
        if let Some(why) = why {
            page.line(&format!("{:width$}  {why}", ""));
        }
    }
    if stages.is_empty() {
        page.part("stages", "none");
    }
}

fn indent(step: &Judged) -> &'static str {
    if step.group.is_some() { "    " } else { "  " }
}

/// What a stage said, and why.
fn said(told: &Told<'_>, step: &Judged) -> (String, Option<String>) {
    let word = match &step.word {
        Word::Unasked => "not reached",
        Word::Address => "lets the address pass",
        Word::Passed => "passes",
        Word::Missing => "finds no credential",
        Word::Waits => "waits for a first message",
        Word::Refused(refusal) if refusal.report => "would refuse it, and only reports",
        Word::Refused(_) => "refuses it",
    };
    match (&step.word, &step.user) {
        (Word::Refused(refusal), _) => (format!("{word}: {}", refusal.outcome.id), by(told, refusal)),
        (Word::Passed, Some(user)) => (format!("{word}, it is {user}"), None),
        _ => (word.to_owned(), None),
    }
}

/// The rule and its place.
fn by(told: &Told<'_>, refusal: &Refusal) -> Option<String> {
    match (&refusal.rule, told.place(refusal)) {
        (Some(rule), Some(place)) if !rule.contains(&place) => Some(format!("{rule}  {place}")),
        (Some(rule), _) => Some(rule.to_string()),
        (None, Some(place)) => Some(place),
        (None, None) => None,
    }
}

fn endpoint(told: &Told<'_>, page: &mut Page) {
    let trial = told.trial;
    let Some(route) = &trial.route else { return };
    let is_reached = trial.refused.is_none() || trial.messages.iter().any(|sent| sent.fate != Fate::Read);
    let answers = &route.answers;
    page.part(
        "endpoint",
        &match (&route.endpoint, is_reached) {
            (_, false) => format!("{answers}, not reached"),
            (Endpoint::Own(_), true) => format!("{answers}, the gateway itself"),
            (Endpoint::Health(_), true) => format!("{answers}, the gateway itself over HTTP"),
            (Endpoint::Upstream(upstream), true) => {
                let servers: Vec<String> = upstream.candidates().map(ToString::to_string).collect();
                format!("{answers}, not dialled: {}", servers.join(", "))
            }
        },
    );
    for heard in &trial.greeting {
        page.line(&format!("the client reads {heard:?}"));
    }
}

fn messages(trial: &Trial, page: &mut Page) {
    let mut label = "messages";
    for sent in &trial.messages {
        page.part(std::mem::take(&mut label), &format!("{:?} {}", shortened(&sent.text), fate(sent)));
        for (stage, word) in &sent.words {
            page.line(&format!("  {stage} {word}"));
        }
        for heard in &sent.heard {
            page.line(&format!("  the client reads {:?}", shortened(heard)));
        }
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_TEXT {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(MAX_TEXT).collect();
    format!("{beginning}… ({} bytes)", text.len())
}

fn fate(sent: &Sent) -> String {
    match sent.fate {
        Fate::Passed(Duration::ZERO) => "passes".to_owned(),
        Fate::Passed(_) => "passes later".to_owned(),
        Fate::LeftOut => "is left out".to_owned(),
        Fate::Refused => "is refused".to_owned(),
        Fate::Read => "is read as the first message".to_owned(),
    }
}

fn outcome(told: &Told<'_>, page: &mut Page) {
    if let Some(answer) = &told.trial.answered {
        page.part("outcome", "answered");
        return read(answer, page);
    }
    let Some(refused) = &told.trial.refused else {
        let is_dialled = told.trial.route.as_ref().is_some_and(|route| matches!(route.endpoint, Endpoint::Upstream(_)));
        page.part("outcome", if is_dialled { "open, if a server takes it" } else { "open" });
        return;
    };
    let refusal = &refused.refusal;
    let stage = refusal.stage.as_ref().map(|stage| format!(" by {stage}")).unwrap_or_default();
    page.part("outcome", &format!("{}{stage}: {}", refusal.outcome.id, refusal.outcome.summary));
    // What a stage has said of the request stands beside it.
    let is_said = told.trial.stages.iter().any(|step| matches!(&step.word, Word::Refused(refusal) if !refusal.report));
    if let Some(by) = by(told, refusal).filter(|_| !is_said) {
        page.line(&by);
    }
    read(&refused.told, page);
}

/// What the client reads.
fn read(told: &trial::Told, page: &mut Page) {
    match told {
        trial::Told::Http { status, body } => {
            page.line(&format!("the client is answered {status}, and reads"));
            for line in body.lines() {
                page.line(&format!("  {line}"));
            }
        }
        trial::Told::Close { code, reason, notice } => {
            if let Some(notice) = notice {
                page.line(&format!("the client reads {notice:?}"));
            }
            page.line(&format!("the client is closed with {code} {reason:?}"));
        }
        trial::Told::Nothing => page.line("the client is told nothing"),
    }
}
