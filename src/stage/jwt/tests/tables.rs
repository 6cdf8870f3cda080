//! Tables that cannot verify anything, or not safely.

use super::*;

/// A table that is refused, at this place and with these words.
fn faulty(table: &str, place: &str, expected: &str) {
    let (built, _) = build("users", table);
    let fault = built.err().unwrap_or_else(|| panic!("taken: {table}")).0.remove(0);
    let Place::Value(at) = &fault.place else { panic!("{fault:?}") };
    assert_eq!(at.to_string(), place, "{table}");
    assert!(fault.message.contains(expected), "{table}: {}", fault.message);
    assert!(!fault.message.contains(SECRET));
}

/// The table with `renew.message` of these keys.
fn renewed(keys: &str) -> String {
    format!("{SHARED}renew.message = {{ {keys} }}")
}

#[test]
fn a_short_secret_is_a_warning_and_says_how_to_make_a_better_one() {
    let (stage, warnings) = build("users", "algorithms = [\"HS256\", \"HS512\"]\nsecret = \"secret_key\"");
    assert!(stage.is_ok());
    assert_eq!(warnings.0[0].severity, Severity::Warning);
    assert_eq!(warnings.0[0].message, "this secret has 10 bytes, HS512 asks for 64 or more (RFC 7518 §3.2)");
    let (_, warnings) = build("users", "algorithms = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"");
    assert_eq!(warnings.0, []);
}

#[test]
fn a_first_message_nobody_reads_is_a_warning() {
    let (stage, warnings) = build("users", &format!("{SHARED}first_message = {{ max = \"1KiB\" }}"));
    assert!(stage.is_ok());
    assert_eq!(warnings.0[0].message, "no token is read from the first message");
}

#[test]
fn a_text_that_is_no_key_is_told_with_where_it_stands() {
    let literal = "to read it from a file, write { file = \"...\" }";
    for (key, place, hint) in [
        ("{ file = \"README.md\" }", "README.md: ", None),
        ("{ env = \"PATH\" }", "the variable PATH: ", None),
        ("\"README.md\"", "", Some(literal)),
    ] {
        let fault = build("users", &format!("algorithms = \"RS256\"\nkey = {key}")).0.err().unwrap().0.remove(0);
        let told = (fault.message.as_str(), fault.hint.as_deref());
        assert_eq!(told, (format!("{place}this is neither a key in PEM nor a JWK").as_str(), hint));
    }
}

#[test]
fn a_table_that_cannot_verify_is_a_fault_at_the_key_that_must_change() {
    let file = |name: &str| format!("{{ file = {name:?} }}");
    let rs256 = |key: &str| format!("algorithms = \"RS256\"\nkey = {key}");
    let literal = |json: Value| rs256(&format!("'{json}'"));
    let rsa: Value = serde_json::from_slice(&pem("rsa.jwk.json")).unwrap();
    let with = |key: &str, value: Value| {
        let mut jwk = rsa.clone();
        jwk[key] = value;
        literal(jwk)
    };
    for (table, place, expected) in [
        ("algorithms = []\nsecret = \"x\"".to_owned(), "jwt.users.algorithms", "no token could be verified"),
        ("algorithms = \"none\"".to_owned(), "jwt.users", "`none` is no signature"),
        ("algorithms = \"RS265\"".to_owned(), "jwt.users", "did you mean RS256?"),
        ("algorithms = \"RS256\"\nsecret = \"x\"".to_owned(), "jwt.users.secret", "`secret` goes with an HS algorithm"),
        (format!("{SHARED}key = {}", file("rsa.pub.pem")), "jwt.users.key", "`key` goes with an RS, PS, ES or EdDSA algorithm"),
        ("algorithms = [\"HS256\"]".to_owned(), "jwt.users.algorithms[0]", "no `secret` can verify HS256"),
        (
            format!("algorithms = [\"RS256\", \"ES256\"]\nkey = {}", file("rsa.pub.pem")),
            "jwt.users.algorithms[1]",
            "no `key` can verify ES256",
        ),
        ("algorithms = \"HS256\"\nsecret = [\"0123456789abcdef0123456789abcdef\", \"\"]".to_owned(), "jwt.users.secret[1]", "is empty"),
        (format!("algorithms = \"HS256\"\nsecret = {}", file("rsa.pub.pem")), "jwt.users.secret[0]", "not a shared secret"),
        ("algorithms = \"HS256\"\nsecret = { env = \"WSGATE_TEST_NEVER_SET\" }".to_owned(), "jwt.users.secret[0]", "is not set"),
        (rs256(&file("no-such-file")), "jwt.users.key[0]", "cannot read"),
        (rs256(&file("rsa.pem")), "jwt.users.key[0]", "this is a private key"),
        (rs256(&file("certificate.pem")), "jwt.users.key[0]", "this is a certificate"),
        (rs256(&file("rsa-1024.pub.pem")), "jwt.users.key[0]", "2048 to 8192 bits"),
        (rs256(&file("p521.pub.pem")), "jwt.users.key[0]", "cannot be used"),
        (rs256(&file("p256.pub.pem")), "jwt.users.key[0]", "this key verifies ES256, which is not in `algorithms`"),
        (rs256(&file("README.md")), "jwt.users.key[0]", "neither a key in PEM nor a JWK"),
        (rs256("[\"-----BEGIN PUBLIC KEY-----\"]"), "jwt.users.key[0]", "holds no RSA"),
        (with("alg", json!("RS512")), "jwt.users.key[0]", "this key verifies RS512"),
        (with("alg", json!("RSA-OAEP")), "jwt.users.key[0]", "this JWK names an algorithm its key cannot"),
        (with("use", json!("enc")), "jwt.users.key[0]", "not for verifying"),
        (with("key_ops", json!(["sign"])), "jwt.users.key[0]", "not for verifying"),
        (with("d", json!("AQAB")), "jwt.users.key[0]", "holds the private key"),
        (with("kty", json!("XYZ")), "jwt.users.key[0]", "this JWK is no key"),
        (literal(json!({ "kty": "oct", "k": "AQAB" })), "jwt.users.key[0]", "shared secret"),
        (literal(json!({ "keys": [rsa] })), "jwt.users.key[0]", "set of keys"),
        (rs256("\"{\""), "jwt.users.key[0]", "not JSON"),
        (format!("{SHARED}leeway = \"11m\""), "jwt.users.leeway", "10m at most"),
        (format!("{SHARED}sources = []"), "jwt.users.sources", "no token could be read"),
        (format!("{SHARED}sources = \"body\""), "jwt.users", "there are \"header\", \"header:NAME\""),
        (format!("{SHARED}sources = \"cookies:token\""), "jwt.users", "did you mean \"cookie:token\"?"),
        (format!("{SHARED}sources = \"query\""), "jwt.users", "write \"query:token\""),
        (format!("{SHARED}sources = \"cookie:a b\""), "jwt.users", "names no cookie"),
        (format!("{SHARED}sources = \"subprotocol:a,b\""), "jwt.users", "names no subprotocol"),
        (format!("{SHARED}sources = \"query:a&b\""), "jwt.users", "names no query"),
        (format!("{SHARED}sources = \"header:Authorization\""), "jwt.users", "write \"header\""),
        (format!("{SHARED}first_message = {{ max = \"1MiB\" }}"), "jwt.users.first_message.max", "64KiB at most"),
    ] {
        faulty(&table, place, expected);
    }
}

#[test]
fn a_renewal_that_could_not_be_told_or_found_is_a_fault() {
    for (table, place, expected) in [
        (format!("{SHARED}renew = {{}}"), "jwt.users.renew", "says no way"),
        (renewed("match = {}, field = \"token\""), "jwt.users.renew.message.match", "every message"),
        (renewed("match = { \"a..b\" = \"auth\" }, field = \"token\""), "jwt.users.renew.message.match", "names no field"),
        (renewed("match = { type = \"auth\" }, field = \"\""), "jwt.users.renew.message.field", "names no field"),
        (renewed("match = { type = \"auth\" }"), "jwt.users", "missing field `field`"),
        (renewed("match = { type = \"auth\" }, field = \"token\", reply = \"{id}\""), "jwt.users", "there is {seconds}"),
        (format!("{SHARED}warn = {{ before = \"30s\", message = '{{\"in\": {{seconds}}' }}"), "jwt.users", "filled in it is none"),
        (format!("{SHARED}warn = 30"), "jwt.users", "a time: \"30s\", or { before, message }"),
    ] {
        faulty(&table, place, expected);
    }
}
