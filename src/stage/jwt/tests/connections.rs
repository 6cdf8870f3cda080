//! Tokens as clients bring them, and as live connections keep them.

use serde_json::Map;

use super::*;
use crate::stage::FirstMessage;
use crate::stage::refusal::TOKEN_MISSING;

#[test]
fn the_bearer_token_is_taken_out_of_the_one_authorization_header() {
    let token = sign(&json!({ "exp": from_now(60) }));
    let (bearer, lower, basic) = (format!("Bearer {token}"), format!("bearer  {token} "), "Basic eDp5");
    for (headers, expected, left) in [
        (vec![("authorization", &*bearer)], "", 0),
        (vec![("authorization", &*lower)], "", 0),
        (vec![], "token_missing: ", 0),
        (vec![("authorization", basic)], "token_missing: ", 1),
        (vec![("authorization", &*bearer), ("authorization", basic)], "token_invalid: more than one Authorization header", 0),
        (vec![("authorization", "Bearer")], "token_invalid: malformed token", 0),
        (vec![("authorization", "Bearer é")], "token_invalid: malformed token", 0),
    ] {
        let mut client = sample::client(&headers);
        let Judgement::Now(verdict) = shared("").handshake(&mut client) else { panic!("it was to answer at once") };
        assert_eq!(said(verdict), expected, "{headers:?}");
        assert_eq!(client.request.as_ref().unwrap().headers.get_all("authorization").iter().count(), left, "{headers:?}");
        assert_eq!(client.identity("jwt.users").is_some(), expected.is_empty());
    }
}

#[test]
fn a_first_message_is_asked_for_only_where_no_header_decides() {
    let stage = shared("sources = [\"header\", \"first_message\"]\nfirst_message = { timeout = \"3s\", max = \"8KiB\" }");
    let mut client = sample::client(&[]);
    let Judgement::FirstMessage(asked) = stage.handshake(&mut client) else { panic!("it was to ask") };
    assert_eq!(asked, FirstMessage { timeout: Duration::from_secs(3), max: 8192 });

    let token = sign(&json!({ "exp": from_now(60), "sub": "alice" }));
    for (message, expected) in [
        (format!(" {token}\n").into(), ""),
        ("hello".into(), "token_invalid: malformed token"),
        ("".into(), "token_invalid: malformed token"),
        (Message::Binary(token.clone().into_bytes().into()), "token_invalid: the first message is binary"),
    ] {
        let mut client = sample::client(&[]);
        client.first_message = Some(Box::new(message));
        let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
        assert_eq!(said(verdict), expected);
    }

    let mut client = sample::client(&[("authorization", "Bearer bad")]);
    client.first_message = Some(Box::new(token.into()));
    let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
    assert_eq!(said(verdict), "token_invalid: malformed token");
}

#[tokio::test]
async fn a_pipeline_authenticates_by_a_first_message_and_only_reports_in_report_mode() {
    let stage: Arc<dyn Stage> = Arc::new(shared("sources = \"first_message\""));
    let pipeline = |mode| Pipeline::new(vec![Entry::Stage(Named { name: "jwt.users".into(), mode, stage: stage.clone() }.into())]);
    let mut client = sample::client(&[]);
    let mut findings = Findings::default();
    let enforced = pipeline(Mode::Enforce);
    let Progress::FirstMessage(_, resume) = enforced.handshake(Resume::default(), &mut client, &mut findings).await.unwrap() else {
        panic!("it was to ask")
    };
    client.first_message = Some(Box::new(sign(&json!({ "exp": from_now(60), "sub": "alice" })).into()));
    assert_eq!(enforced.handshake(resume, &mut client, &mut findings).await.unwrap(), Progress::Done);
    assert_eq!(client.user(), Some("alice"));

    let mut stranger = sample::client(&[]);
    assert_eq!(pipeline(Mode::Report).handshake(Resume::default(), &mut stranger, &mut findings).await.unwrap(), Progress::Done);
    assert_eq!(findings.take().0[0].outcome, TOKEN_MISSING);
    assert!(stranger.identities.is_empty());
}

#[test]
fn a_live_connection_is_judged_again_by_what_is_kept_of_its_token() {
    let exp = from_now(3600);
    let client = authenticated(&shared(""), &json!({ "exp": exp, "iss": "https://id", "sub": "alice" }));
    let now = SystemTime::now();
    let expiry = UNIX_EPOCH + Duration::from_secs(u64::try_from(exp).unwrap());
    let rotated = |secrets: &str| jwt(&format!("algorithms = \"HS256\"\nsecret = {secrets}"));
    for (stage, at, expected) in [
        (shared(""), now, ""),
        (shared(""), expiry - Duration::from_secs(1), ""),
        (shared(""), expiry, "token_expired: "),
        (shared("issuer = \"https://id\""), now, ""),
        (shared("issuer = \"https://other\""), now, "token_invalid: iss is none of `issuer`"),
        (shared("audience = \"chat\""), now, "token_invalid: aud is missing"),
        (shared("require = [\"exp\", \"tenant\"]"), now, "token_invalid: tenant is missing"),
        (rotated(&format!("[\"a-newer-secret-a-newer-secret-a-newer-secret\", {SECRET:?}]")), now, ""),
        (rotated("\"a-newer-secret-a-newer-secret-a-newer-secret\""), now, "token_invalid: its key is no longer configured"),
        (jwt(&format!("algorithms = \"HS512\"\nsecret = {SECRET:?}")), now, "token_invalid: its algorithm is no longer configured"),
    ] {
        assert_eq!(said(stage.review(&client, at)), expected);
    }
}

#[test]
fn who_was_never_authenticated_or_by_another_key_has_no_token_here() {
    let client = authenticated(&shared(""), &json!({ "exp": from_now(60) }));
    let renamed = build("people", SHARED).0.unwrap();
    let other = build("people", "algorithms = \"HS256\"\nsecret = \"another-secret-another-secret-another-secret\"").0.unwrap();
    let now = SystemTime::now();
    assert_eq!(said(renamed.review(&client, now)), "");
    assert_eq!(said(other.review(&client, now)), "token_missing: authenticated otherwise");
    assert_eq!(said(renamed.review(&sample::client(&[]), now)), "token_missing: never authenticated");
}

/// The stage of this name for tokens with this audience; all such stages share one secret.
fn audience(name: &str, audience: &str) -> Jwt {
    build(name, &format!("{SHARED}audience = {audience:?}")).0.unwrap()
}

/// A token of this user for this audience.
fn meant_for(audience: &str, user: &str, exp: i64) -> String {
    sign(&json!({ "aud": audience, "sub": user, "exp": exp }))
}

#[test]
fn a_review_of_alternatives_agrees_with_the_handshake_and_renames_close_nobody() {
    let exp = from_now(3600);
    let (now, expiry) = (SystemTime::now(), UNIX_EPOCH + Duration::from_secs(u64::try_from(exp).unwrap()));
    let mut client = sample::client(&[]);
    client.prove(audience("b", "browser").identify(&meant_for("browser", "alice", exp), now).unwrap());
    for (group, at, expected) in [
        ([("a", "api"), ("b", "browser")], now, "".to_owned()),
        ([("a", "api"), ("b", "browser")], expiry, "jwt.b token_expired".to_owned()),
        ([("a", "browser"), ("b", "api")], now, "jwt.b token_invalid".to_owned()),
        ([("a", "api"), ("c", "browser")], now, "".to_owned()),
        ([("a", "api"), ("c", "browser")], expiry, "jwt.c token_expired".to_owned()),
        ([("a", "api"), ("c", "other")], now, "jwt.a token_missing".to_owned()),
    ] {
        let steps = group.map(|(name, aud)| {
            let stage: Arc<dyn Stage> = Arc::new(audience(name, aud));
            Step::from(Named { name: format!("jwt.{name}").into(), mode: Mode::Enforce, stage })
        });
        let reviewed = Pipeline::new(vec![Entry::AnyOf(steps.into())]).review(&client, at, &mut Findings::default());
        let said = reviewed.map_or_else(|refusal| format!("{} {}", refusal.stage.unwrap(), refusal.outcome.id), |()| String::new());
        assert_eq!(said, expected, "{group:?}");
    }
}

#[test]
fn each_stage_that_authenticates_judges_its_own_identity_and_the_last_names_the_user() {
    let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap());
    let (soon, later) = (from_now(60), from_now(120));
    for (device_ends, user_ends) in [(soon, later), (later, soon)] {
        let (device, user) = (audience("device", "fleet"), audience("user", "chat"));
        let mut client = sample::client(&[("authorization", &format!("Bearer {}", meant_for("fleet", "d7", device_ends)))]);
        assert!(matches!(device.handshake(&mut client), Judgement::Now(Ok(()))));
        client.prove(user.identify(&meant_for("chat", "alice", user_ends), SystemTime::now()).unwrap());

        assert_eq!((client.user(), client.claim("aud")), (Some("alice"), Some(json!("chat"))));
        assert_eq!((client.expires(None), client.expires(Some(at(soon)))), (Some(at(soon)), Some(at(later))));
        for (stage, own, ends) in [(&device, "jwt.device", device_ends), (&user, "jwt.user", user_ends)] {
            assert_eq!(client.identity(own).unwrap().expires, Some(at(ends)));
            let expected = if ends == soon { "token_expired: " } else { "" };
            assert_eq!(said(stage.review(&client, at(soon))), expected, "{own}");
        }
        let renamed = audience("gadget", "fleet");
        assert_eq!(said(renamed.review(&client, at(soon))), said(device.review(&client, at(soon))));
    }
}

#[test]
fn a_minted_token_is_accepted_by_the_stage_that_signed_it() {
    let stage = shared("issuer = \"https://id\"\naudience = \"chat\"\nuser = [\"user_id\", \"sub\"]\nrequire = [\"exp\", \"role\"]");
    let claims = json!({ "role": "admin" }).as_object().unwrap().clone();
    let token = stage.mint("alice", Duration::from_secs(60), claims, SystemTime::now()).unwrap();
    let identity = stage.identify(&token, SystemTime::now()).unwrap();
    let kept: Value = serde_json::from_str(&identity.claims).unwrap();
    assert_eq!(identity.user.as_deref(), Some("alice"));
    assert_eq!(
        (&kept["sub"], &kept["role"], kept["exp"].as_i64()),
        (&json!("alice"), &json!("admin"), kept["iat"].as_i64().map(|iat| iat + 60))
    );

    let keyed = jwt("algorithms = \"RS256\"\nkey = { file = \"rsa.pub.pem\" }");
    let refused = keyed.mint("alice", Duration::from_secs(60), Map::new(), SystemTime::now()).unwrap_err();
    assert!(refused.contains("jwt.users has no `secret`"), "{refused}");
}

#[test]
fn the_first_secret_signs_and_all_verify() {
    let first = "first-secret-first-secret-first-secret";
    let both = jwt(&format!("algorithms = \"HS256\"\nsecret = [{first:?}, {SECRET:?}]"));
    assert_eq!(judged(&both, &sign(&json!({ "exp": from_now(60) }))), "");
    let minted = both.mint("alice", Duration::from_secs(60), Map::new(), SystemTime::now()).unwrap();
    assert_eq!(judged(&jwt(&format!("algorithms = \"HS256\"\nsecret = {first:?}")), &minted), "");
    assert_eq!(judged(&shared(""), &minted), "token_invalid: bad signature");
}

#[test]
fn a_key_that_is_listed_once_for_each_algorithm_keeps_the_connections_of_both() {
    let jwk: Value = serde_json::from_slice(&pem("rsa.jwk.json")).unwrap();
    let mut other = jwk.clone();
    other["alg"] = json!("PS256");
    let stage = jwt(&format!("algorithms = [\"RS256\", \"PS256\"]\nkey = ['{jwk}', '{other}']"));
    let key = EncodingKey::from_rsa_pem(&pem("rsa.pem")).unwrap();
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        let token = encode(&Header::new(algorithm), &json!({ "exp": from_now(60) }), &key).unwrap();
        let mut client = sample::client(&[]);
        client.prove(stage.identify(&token, SystemTime::now()).unwrap());
        assert_eq!(said(stage.review(&client, SystemTime::now())), "", "{algorithm:?}");
    }
}

#[test]
fn what_a_trial_supposes_is_judged_in_all_but_its_signature_and_only_for_the_token_it_stands_for() {
    let stage = jwt("algorithms = \"ES256\"\nkey = { file = \"p256.pub.pem\" }\nissuer = \"us\"");
    for (token, claims, expected) in [
        ("supposed", json!({ "iss": "us", "sub": "alice", "exp": from_now(60) }), ""),
        ("supposed", json!({ "iss": "them", "exp": from_now(60) }), "token_invalid: iss is none of `issuer`"),
        ("supposed", json!({ "iss": "us" }), "token_invalid: exp is missing"),
        ("supposed", json!({ "iss": "us", "exp": from_now(-60) }), "token_expired: exp is past"),
        ("another", json!({ "iss": "us", "exp": from_now(60) }), "token_invalid: malformed token"),
    ] {
        let mut client = sample::client(&[("authorization", &format!("Bearer {token}"))]);
        let claims = claims.as_object().unwrap().clone();
        client.request.as_mut().unwrap().extensions.insert(Supposed { token: "supposed".into(), claims });
        let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
        assert_eq!(said(verdict), expected);
        assert_eq!(client.user(), Some("alice").filter(|_| expected.is_empty()));
    }
}
