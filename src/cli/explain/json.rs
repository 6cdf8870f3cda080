//! An explanation for programs: one JSON object, with the same in it.

use crate::endpoint::Endpoint;
use crate::gateway::table::choice::Way;
use crate::gateway::trial::{self, Fate, Judged, Sent, Word};
use crate::stage::Refusal;
use serde_json::{Value, json};

use super::Told;

pub(super) fn print(told: &Told<'_>) -> String {
    let trial = told.trial;
    let explained = json!({
        "request": request(told),
        "route": trial.ways.first().map(|way| json!({
            "name": &*way.route,
            "place": told.table(&format!("route.{}", way.route)),
            "host": way.host.to_string(),
            "path": way.path.to_string(),
            "before": trial.ways.iter().skip(1).map(|other| before(way, other)).collect::<Vec<_>>(),
        })),
        "stages": trial.stages.iter().map(|step| stage(told, step)).collect::<Vec<_>>(),
        "endpoint": trial.route.as_ref().map(|route| json!({
            "name": &*route.answers,
            "servers": match &route.endpoint {
                Endpoint::Own(_) | Endpoint::Health(_) => Value::Null,
                Endpoint::Upstream(upstream) => upstream.candidates().map(ToString::to_string).collect(),
            },
        })),
        "greeting": trial.greeting,
        "messages": trial.messages.iter().map(message).collect::<Vec<_>>(),
        "outcome": outcome(told),
    });
    format!("{explained:#}\n")
}

fn request(told: &Told<'_>) -> Value {
    let (trial, ask) = (told.trial, told.ask);
    json!({
        "listener": &*trial.listener,
        "ip": ask.ip.to_canonical(),
        "host": trial.authority,
        "target": super::text::shown(&ask.target),
        "path": trial.asked.as_ref().map(|asked| &asked.path),
        "token_for": trial.bearing.as_ref().and_then(|bearing| bearing.stage.as_deref()),
    })
}

fn before(way: &Way, other: &Way) -> Value {
    json!({
        "name": &*other.route,
        "host": other.host.to_string(),
        "path": other.path.to_string(),
        "because": way.over(other).1,
    })
}

fn stage(told: &Told<'_>, step: &Judged) -> Value {
    let (verdict, refusal) = match &step.word {
        Word::Unasked => ("not_reached", None),
        Word::Address => ("address", None),
        Word::Passed => ("pass", None),
        Word::Missing => ("missing", None),
        Word::Waits => ("first_message", None),
        Word::Refused(refusal) if refusal.report => ("would_refuse", Some(refusal)),
        Word::Refused(refusal) => ("refuse", Some(refusal)),
    };
    json!({
        "within": &*step.within,
        "any_of": step.group,
        "stage": &*step.stage,
        "asks": step.asks,
        "verdict": verdict,
        "user": step.user,
        "refusal": refusal.map(|refusal| decided(told, refusal)),
    })
}

/// What decided, and where it stands.
fn decided(told: &Told<'_>, refusal: &Refusal) -> Value {
    json!({ "id": refusal.outcome.id, "stage": refusal.stage.as_deref(), "rule": refusal.rule, "place": told.place(refusal) })
}

fn message(sent: &Sent) -> Value {
    let (verdict, held) = match sent.fate {
        Fate::Passed(held) => ("pass", Some(held.as_secs_f64()).filter(|held| *held > 0.0)),
        Fate::LeftOut => ("left_out", None),
        Fate::Refused => ("refuse", None),
        Fate::Read => ("first_message", None),
    };
    let said: Vec<Value> = sent.words.iter().map(|(stage, word)| json!({ "stage": &**stage, "said": word })).collect();
    json!({ "text": sent.text, "verdict": verdict, "held_seconds": held, "said": said, "heard": sent.heard })
}

fn outcome(told: &Told<'_>) -> Value {
    let trial = told.trial;
    let (mut outcome, read) = match (&trial.refused, &trial.answered) {
        (Some(refused), _) => (decided(told, &refused.refusal), &refused.told),
        (None, Some(answer)) => (json!({ "id": trial.outcome() }), answer),
        (None, None) => return json!({ "id": trial.outcome() }),
    };
    let (status, code, text, notice) = match read {
        trial::Told::Http { status, body } => (Some(status), None, Some(body), None),
        trial::Told::Close { code, reason, notice } => (None, Some(code), Some(reason), notice.as_ref()),
        trial::Told::Nothing => (None, None, None, None),
    };
    if let Value::Object(outcome) = &mut outcome {
        outcome.extend([
            ("status".to_owned(), json!(status)),
            ("code".to_owned(), json!(code)),
            ("told".to_owned(), json!(text)),
            ("notice".to_owned(), json!(notice)),
        ]);
    }
    outcome
}
