//! Pipelines run over stages that do as they are told.

use std::time::Duration;

use super::*;
use crate::stage::refusal::{Clause, FORBIDDEN, IP_DENIED, Party, RATE_LIMITED, TOKEN_INVALID, TOKEN_MISSING};
use crate::stage::sample;
use crate::stage::traffic::{FrameHead, FrameInspector, Message, Opcode, Pace, Side};

mod told;

use told::{FIRST, Say, Stages, identity};

const HEAD: FrameHead =
    FrameHead { opcode: Opcode::Text, is_final: true, is_compressed: false, starts_message: true, length: 5, message_length: 5 };

/// `stage: outcome` of a refusal.
fn said(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.stage.as_deref().unwrap_or("?"), refusal.outcome.id)
}

fn found(findings: &mut Findings) -> Vec<String> {
    let (refusals, lost) = findings.take();
    assert!(lost == 0 && refusals.iter().all(|refusal| refusal.report));
    refusals.iter().map(said).collect()
}

/// How a handshake ends, and what was found.
async fn handshake(pipeline: &Pipeline, client: &mut Client) -> (String, Vec<String>) {
    let mut findings = Findings::default();
    let end = match pipeline.handshake(Resume::default(), client, &mut findings).await {
        Ok(progress) => format!("{progress:?}"),
        Err(refusal) => said(&refusal),
    };
    (end, found(&mut findings))
}

#[tokio::test]
async fn stages_are_asked_in_order_and_the_first_refusal_that_holds_decides() {
    let stages = Stages::default();
    let pipeline = Pipeline::new(vec![
        stages.one("a", Say::PassLater),
        stages.reported("b", Say::Refuse(IP_DENIED)),
        stages.one("c", Say::Report(FORBIDDEN)),
        stages.one("d", Say::Refuse(RATE_LIMITED)),
        stages.one("e", Say::Refuse(FORBIDDEN)),
    ]);
    let both = vec!["b: ip_denied".to_owned(), "c: forbidden".to_owned()];
    let mut client = sample::client(&[]);

    assert_eq!(handshake(&pipeline, &mut client).await, ("d: rate_limited".to_owned(), both.clone()));
    assert_eq!(stages.asked(), ["a", "b", "c", "d"]);
    assert!(client.identity("a").is_some());

    let mut findings = Findings::default();
    assert_eq!(said(&pipeline.connect(&client.peer, &mut findings).unwrap_err()), "d: rate_limited");
    assert_eq!((found(&mut findings), stages.asked()), (both.clone(), vec!["a", "b", "c", "d"]));
    assert_eq!(said(&pipeline.review(&client, SystemTime::now(), &mut findings).unwrap_err()), "d: rate_limited");
    assert_eq!(found(&mut findings), both);
}

#[tokio::test]
async fn any_of_takes_the_first_credential_that_is_there_and_no_bad_one_is_rescued() {
    let missing = Say::Refuse(TOKEN_MISSING);
    let bad = Say::Refuse(TOKEN_INVALID);
    for (group, end) in [
        (vec![missing, Say::Pass], "Done"),
        (vec![Say::Pass, bad], "Done"),
        (vec![missing, bad, Say::Pass], "1: token_invalid"),
        (vec![bad, Say::Pass], "0: token_invalid"),
        (vec![missing, missing], "0: token_missing"),
        (vec![], "?: token_missing"),
    ] {
        let stages = Stages::default();
        let steps: Vec<_> = group.iter().zip(["0", "1", "2"]).map(|(say, name)| stages.step(name, Mode::Enforce, *say)).collect();
        let pipeline = Pipeline::new(vec![Entry::AnyOf(steps)]);
        let mut client = sample::client(&[]);
        assert_eq!(handshake(&pipeline, &mut client).await, (end.to_owned(), vec![]));
        let reviewed = pipeline.review(&client, SystemTime::now(), &mut Findings::default());
        assert_eq!(reviewed.map_or_else(|refusal| said(&refusal), |()| "Done".to_owned()), end);
    }
}

#[tokio::test]
async fn any_of_refuses_nobody_that_its_reported_alternative_alone_would() {
    for (first, second, end, findings) in [
        (Say::Refuse(TOKEN_MISSING), Say::Refuse(TOKEN_MISSING), "Done", vec!["0: token_missing"]),
        (Say::Refuse(TOKEN_MISSING), Say::Refuse(TOKEN_INVALID), "Done", vec!["1: token_invalid", "0: token_missing"]),
        (Say::Refuse(TOKEN_INVALID), Say::Pass, "0: token_invalid", vec![]),
    ] {
        let stages = Stages::default();
        let steps = vec![stages.step("0", Mode::Enforce, first), stages.step("1", Mode::Report, second)];
        let pipeline = Pipeline::new(vec![Entry::AnyOf(steps)]);
        let findings: Vec<String> = findings.into_iter().map(str::to_owned).collect();
        assert_eq!(handshake(&pipeline, &mut sample::client(&[])).await, (end.to_owned(), findings));
    }
}

#[test]
fn the_alternative_that_has_proven_an_identity_answers_for_its_group_at_a_review() {
    let (bad, missing) = (Say::Refuse(TOKEN_INVALID), Say::Refuse(TOKEN_MISSING));
    for (first, second, mode, end, findings) in [
        (bad, Say::Pass, Mode::Enforce, "", vec![]),
        (Say::Pass, bad, Mode::Enforce, "b: token_invalid", vec![]),
        (Say::Pass, missing, Mode::Enforce, "b: token_missing", vec![]),
        (bad, bad, Mode::Report, "", vec!["b: token_invalid"]),
        (bad, Say::Report(FORBIDDEN), Mode::Enforce, "", vec!["b: forbidden"]),
    ] {
        let stages = Stages::default();
        let group = vec![stages.step("a", Mode::Enforce, first), stages.step("b", mode, second)];
        let mut client = sample::client(&[]);
        client.prove(identity("b"));
        let mut found_here = Findings::default();
        let reviewed = Pipeline::new(vec![Entry::AnyOf(group)]).review(&client, SystemTime::now(), &mut found_here);
        assert_eq!(reviewed.map_or_else(|refusal| said(&refusal), |()| String::new()), end);
        assert_eq!((found(&mut found_here), stages.asked()), (findings.into_iter().map(str::to_owned).collect(), vec!["b"]));
    }
}

#[tokio::test]
async fn a_first_message_resumes_at_the_stage_that_asked_for_it() {
    for (message, end) in [("yes", "Done"), ("no", "b: token_invalid"), ("again", "b: internal")] {
        let stages = Stages::default();
        let pipeline = Pipeline::new(vec![stages.one("a", Say::Pass), stages.one("b", Say::FirstMessage), stages.one("c", Say::Pass)]);
        let mut client = sample::client(&[]);
        let mut findings = Findings::default();
        let progress = pipeline.handshake(Resume::default(), &mut client, &mut findings).await.unwrap();
        let Progress::FirstMessage(FIRST, resume) = progress else { panic!("{progress:?}") };
        assert_eq!(stages.asked(), ["a", "b"]);

        client.first_message = Some(Box::new(message.into()));
        let resumed = pipeline.handshake(resume, &mut client, &mut findings).await;
        assert_eq!(resumed.map_or_else(|refusal| said(&refusal), |progress| format!("{progress:?}")), end);
        assert_eq!(stages.asked().first(), Some(&"b"));
    }
}

#[tokio::test]
async fn any_of_waits_for_a_first_message_only_when_no_other_credential_is_there() {
    let stages = Stages::default();
    let group = |other| {
        Pipeline::new(vec![Entry::AnyOf(vec![stages.step("m", Mode::Enforce, Say::FirstMessage), stages.step("h", Mode::Enforce, other)])])
    };
    let mut client = sample::client(&[]);
    assert_eq!(handshake(&group(Say::Pass), &mut client).await.0, "Done");
    assert_eq!(handshake(&group(Say::Refuse(TOKEN_INVALID)), &mut client).await.0, "h: token_invalid");
    let waiting = group(Say::Refuse(TOKEN_MISSING));
    assert!(handshake(&waiting, &mut client).await.0.starts_with("FirstMessage"));
    client.first_message = Some(Box::new("yes".into()));
    assert_eq!(handshake(&waiting, &mut client).await.0, "Done");
}

#[tokio::test]
async fn a_reported_stage_changes_nothing_of_the_request_and_keeps_nobody_waiting() {
    let stages = Stages::default();
    let pipeline = Pipeline::new(vec![stages.reported("taker", Say::Take), stages.reported("waiter", Say::FirstMessage)]);
    let mut client = sample::client(&[("authorization", "Bearer x")]);
    assert_eq!(handshake(&pipeline, &mut client).await, ("Done".to_owned(), vec!["waiter: token_missing".to_owned()]));
    assert!(client.request.unwrap().headers.contains_key("authorization"));

    let mut client = sample::client(&[("authorization", "Bearer x")]);
    assert_eq!(handshake(&Pipeline::new(vec![stages.one("taker", Say::Take)]), &mut client).await.0, "Done");
    assert!(!client.request.unwrap().headers.contains_key("authorization"));
}

#[test]
fn an_inspector_reports_once_and_enforces_every_time() {
    let stages = Stages::default();
    let pipeline = Pipeline::new(vec![
        stages.one("enforced", Say::Refuse(RATE_LIMITED)),
        stages.reported("reported", Say::Refuse(RATE_LIMITED)),
        stages.one("rule", Say::Report(RATE_LIMITED)),
        stages.one("none", Say::Pass),
    ]);
    let mut inspectors = pipeline.inspect(&sample::client(&[]), &mut Vec::new());
    let mut judged = || -> Vec<_> {
        let verdicts = inspectors.iter_mut().map(|inspector| inspector.begin(Side::Client, &HEAD));
        verdicts.map(|verdict| verdict.err().map(|refusal| (refusal.stage.unwrap().to_string(), refusal.report))).collect()
    };
    let said = |name: &str, report| Some((name.to_owned(), report));
    assert_eq!(judged(), [said("enforced", false), said("reported", true), said("rule", true)]);
    assert_eq!(judged(), [said("enforced", false), None, None]);
}

#[test]
fn an_inspector_stays_with_the_stage_that_made_it() {
    let stages = Stages::default();
    let (kept, gone) = (stages.one("kept", Say::Report(RATE_LIMITED)), stages.one("gone", Say::Refuse(RATE_LIMITED)));
    let client = sample::client(&[]);
    let mut inspectors = Pipeline::new(vec![gone, kept.clone()]).inspect(&client, &mut Vec::new());
    assert!(inspectors[1].begin(Side::Client, &HEAD).is_err(), "it reports for the first time");
    let mut inspectors = Pipeline::new(vec![kept, stages.one("new", Say::Report(RATE_LIMITED))]).inspect(&client, &mut inspectors);
    let verdicts: Vec<_> = inspectors.iter_mut().map(|inspector| inspector.begin(Side::Client, &HEAD).is_ok()).collect();
    assert_eq!(verdicts, [true, false], "only the new one has not reported yet");
}

#[test]
fn an_inspector_reports_each_of_its_rules_once() {
    struct Rules(usize);
    impl FrameInspector for Rules {
        fn begin(&mut self, _: Side, _: &FrameHead) -> Result<Pace, Box<Refusal>> {
            self.0 += 1;
            let clause = Clause { key: "rules", index: Some(self.0 % 2), line: None };
            Err(Box::new(Refusal { clause: Some(clause), ..Refusal::new(FORBIDDEN) }))
        }
    }
    let step = Stages::default().step("x", Mode::Report, Say::Pass);
    let mut inspector = Inspector::frames(step, Box::new(Rules(0)));
    let reported = [(); 5].map(|()| inspector.begin(Side::Client, &HEAD).is_err());
    assert_eq!(reported, [true, true, false, false, false]);
}

#[test]
fn the_routes_word_on_a_refusal_beats_the_listeners_and_report_mode_has_none() {
    let stages = Stages::default();
    let listener = Pipeline::new(vec![stages.one("listener", Say::Pass)]);
    let route = Pipeline::new(vec![stages.one("route", Say::Pass), stages.reported("reported", Say::Pass)]);
    let mut refusal = Refusal::new(IP_DENIED);
    tell(&listener, None, None, &mut refusal);
    assert_eq!(refusal.reason, "listener");
    tell(&listener, Some(&route), None, &mut refusal);
    assert_eq!(refusal.reason, "route");
}

#[test]
fn the_next_change_is_the_soonest_and_every_stage_hears_of_the_end() {
    let stages = Stages::default();
    let refuse = Say::Refuse(FORBIDDEN);
    let group = Entry::AnyOf(vec![stages.step("b", Mode::Enforce, refuse), stages.step("c", Mode::Report, Say::Pass)]);
    let pipeline = Pipeline::new(vec![stages.one("aaa", refuse), group]);
    let now = SystemTime::now();
    assert_eq!(pipeline.next_change(now), Some(now + Duration::from_secs(1)));
    assert_eq!(Pipeline::default().next_change(now), None);
    let ending = Ending { by: Party::Client, outcome: FORBIDDEN, code: 1000, reason: "".into(), stage: None, rule: None, clause: None };
    pipeline.close(&sample::client(&[]), &ending);
    assert_eq!(stages.asked(), ["aaa", "b", "c"]);
}

#[test]
fn findings_are_bounded_and_count_what_they_lose() {
    let stages = Stages::default();
    let pipeline = Pipeline::new((0..MAX_FINDINGS + 3).map(|_| stages.reported("x", Say::Refuse(FORBIDDEN))).collect());
    let mut findings = Findings::default();
    assert!(pipeline.connect(&sample::peer("192.0.2.1"), &mut findings).is_ok());
    let (kept, lost) = findings.take();
    assert_eq!((kept.len(), lost), (MAX_FINDINGS, 3));
    assert_eq!(findings.take().1, 0);
}

#[test]
fn a_handshake_may_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let (pipeline, mut client, mut findings) = (Pipeline::default(), sample::client(&[]), Findings::default());
    is_send(pipeline.handshake(Resume::default(), &mut client, &mut findings));
}

#[tokio::test]
async fn a_trail_has_every_answer_in_order_and_is_kept_only_where_it_is_asked_for() {
    let stages = Stages::default();
    let missing = stages.step("c", Mode::Enforce, Say::Refuse(TOKEN_MISSING));
    let first = stages.step("d", Mode::Enforce, Say::FirstMessage);
    let pipeline = Pipeline::new(vec![
        stages.one("a", Say::Pass),
        stages.reported("b", Say::Refuse(IP_DENIED)),
        Entry::AnyOf(vec![missing, first]),
        stages.one("e", Say::Refuse(FORBIDDEN)),
        stages.one("f", Say::Pass),
    ]);
    let told = |findings: &mut Findings| {
        let trail = findings.take_trail().into_iter().map(|asked| match asked.answer {
            Said::Passed => format!("{} passed", asked.stage),
            Said::FirstMessage => format!("{} waits", asked.stage),
            Said::Refused(refusal) => format!("{} {}{}", asked.stage, if refusal.report { "reports " } else { "" }, refusal.outcome.id),
        });
        trail.collect::<Vec<_>>()
    };
    let (mut client, mut findings) = (sample::client(&[]), Findings::with_trail());
    let Ok(Progress::FirstMessage(_, resume)) = pipeline.handshake(Resume::default(), &mut client, &mut findings).await else {
        panic!("it was to ask for a first message");
    };
    assert_eq!(told(&mut findings), ["a passed", "b reports ip_denied", "c token_missing", "d waits"]);
    client.first_message = Some(Box::new(Message::Text("yes".into())));
    assert!(pipeline.handshake(resume, &mut client, &mut findings).await.is_err());
    assert_eq!(told(&mut findings), ["c token_missing", "d passed", "e forbidden"]);
    let mut live = Findings::default();
    assert!(pipeline.connect(&client.peer, &mut live).is_err() && live.take_trail().is_empty());
}
