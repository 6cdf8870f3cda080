//! Tokens as clients bring them, and as live connections keep them.

use super::*;

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
        assert_eq!(client.identity.is_some(), expected.is_empty());
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
        (Message::Text(format!(" {token}\n")), ""),
        (Message::Text("hello".into()), "token_invalid: malformed token"),
        (Message::Text(String::new()), "token_invalid: malformed token"),
        (Message::Binary(token.clone().into()), "token_invalid: the first message is binary"),
    ] {
        let mut client = sample::client(&[]);
        client.first_message = Some(message);
        let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
        assert_eq!(said(verdict), expected);
    }

    let mut client = sample::client(&[("authorization", "Bearer bad")]);
    client.first_message = Some(Message::Text(token));
    let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
    assert_eq!(said(verdict), "token_invalid: malformed token");
}

#[tokio::test]
async fn a_pipeline_authenticates_by_a_first_message_and_only_reports_in_report_mode() {
    let stage: Arc<dyn Stage> = Arc::new(shared("sources = \"first_message\""));
    let pipeline = |mode| Pipeline::new(vec![Entry::Stage(Step { name: "jwt.users".into(), mode, stage: stage.clone() })]);
    let mut client = sample::client(&[]);
    let mut findings = Findings::default();
    let enforced = pipeline(Mode::Enforce);
    let Progress::FirstMessage(_, resume) = enforced.handshake(Resume::default(), &mut client, &mut findings).await.unwrap() else {
        panic!("it was to ask")
    };
    client.first_message = Some(Message::Text(sign(&json!({ "exp": from_now(60), "sub": "alice" }))));
    assert_eq!(enforced.handshake(resume, &mut client, &mut findings).await.unwrap(), Progress::Done);
    assert_eq!(client.identity.unwrap().user.as_deref(), Some("alice"));

    let mut stranger = sample::client(&[]);
    assert_eq!(pipeline(Mode::Report).handshake(Resume::default(), &mut stranger, &mut findings).await.unwrap(), Progress::Done);
    assert_eq!(findings.take().0[0].outcome, TOKEN_MISSING);
    assert!(stranger.identity.is_none());
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
    let refused = keyed.mint("alice", Duration::from_secs(60), Claims::new(), SystemTime::now()).unwrap_err();
    assert!(refused.contains("jwt.users has no `secret`"), "{refused}");
}

#[test]
fn the_first_secret_signs_and_all_verify() {
    let first = "first-secret-first-secret-first-secret";
    let both = jwt(&format!("algorithms = \"HS256\"\nsecret = [{first:?}, {SECRET:?}]"));
    assert_eq!(judged(&both, &sign(&json!({ "exp": from_now(60) }))), "");
    let minted = both.mint("alice", Duration::from_secs(60), Claims::new(), SystemTime::now()).unwrap();
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
        client.identity = Some(Box::new(stage.identify(&token, SystemTime::now()).unwrap()));
        assert_eq!(said(stage.review(&client, SystemTime::now())), "", "{algorithm:?}");
    }
}
