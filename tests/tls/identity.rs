//! What a certificate proves goes where a token's claims go: to backends, limits, lists, logs and lists of authentications.

use rcgen::{CertificateParams, DnType};
use serde_json::json;

use super::certificates::{Authority, Issued, client, connect, dns, refused, uri};
use super::support::{SECRET, ask, backend, request, token};
use super::{asking, fingerprint, listening, run};

/// A device of this number, by its URI and its host.
fn device(authority: &Authority, number: u32) -> Issued {
    authority.issue_as(|params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CommonName, format!("device {number}"));
        params.subject_alt_names = vec![uri(&format!("spiffe://example.com/{number}")), dns(&format!("d{number}.devices.example"))];
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_told_of_the_certificate_as_of_a_token() {
    let authority = Authority::new("ca");
    let (address, mut requests) = backend::echo().await;
    let more = format!(
        "[client_cert.devices]\n[headers.told]\nset = {{ \"X-Device\" = \"{{claim.uri}}\", \"X-Serial\" = \"{{claim.serial}}\" }}\n\
         [route.up]\npath = \"/up\"\npipeline = [\"client_cert.devices\", \"headers.told\"]\nendpoint = \"ws://{address}\"\n\
         forward_claims = {{ \"X-User\" = \"sub\", \"X-Certificate\" = \"fingerprint\", \"X-Subject\" = \"subject\" }}\n"
    );
    let mut gateway = run(&authority, &listening(&asking("require"), &more));
    let own = device(&authority, 7);
    let mut socket = connect(gateway.address("public"), &client(&authority, Some(&own)), "wss://localhost/up").await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    let headers = requests.recv().await.unwrap().headers().clone();
    let told = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(told("x-user"), "spiffe://example.com/7");
    assert_eq!(told("x-device"), "[\"spiffe://example.com/7\"]");
    assert_eq!(told("x-certificate"), fingerprint(&own));
    assert_eq!((told("x-subject").as_str(), told("x-forwarded-proto").as_str()), ("CN=device 7", "https"));
    assert!(!told("x-serial").is_empty());
    assert_eq!(gateway.event("open")["user"], "spiffe://example.com/7");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_says_what_of_a_certificate_names_its_user_and_which_are_let_in() {
    let authority = Authority::new("ca");
    let own = device(&authority, 7);
    let (digits, capitals) = (fingerprint(&own), fingerprint(&own).to_uppercase());
    let colons: Vec<String> = capitals.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    let rows = [
        ("user = \"subject.cn\"".to_owned(), Some("device 7")),
        ("user = \"san.dns\"".to_owned(), Some("d7.devices.example")),
        ("user = [\"san.email\", \"subject\"]".to_owned(), Some("CN=device 7")),
        ("allow = { dns = \"d7.devices.example\" }".to_owned(), Some("spiffe://example.com/7")),
        ("allow = { dns = \"*.Devices.example\" }".to_owned(), Some("spiffe://example.com/7")),
        ("allow = { dns = \"*.example\" }".to_owned(), None),
        ("allow = { uri = [\"spiffe://example.com/8\", \"spiffe://example.com/7\"] }".to_owned(), Some("spiffe://example.com/7")),
        ("allow = { uri = \"spiffe://example.com/\" }".to_owned(), None),
        ("allow = { email = \"a@example.com\", cn = \"device 7\" }".to_owned(), Some("spiffe://example.com/7")),
        (format!("allow = {{ fingerprint = \"{digits}\" }}"), Some("spiffe://example.com/7")),
        (format!("allow = {{ fingerprint = \"{}\" }}", colons.join(":")), Some("spiffe://example.com/7")),
        (format!("allow = {{ fingerprint = \"{}\" }}", digits.replace(&digits[..2], "00")), None),
    ];
    let mut gateway = run(&authority, &listening(&asking("require"), ""));
    let config = client(&authority, Some(&own));
    for (keys, user) in rows {
        let more =
            format!("[client_cert.devices]\n{keys}\n[route.a]\npath = \"/a\"\npipeline = [\"client_cert.devices\"]\nendpoint = \"echo\"\n");
        let came = gateway.reload(&listening(&asking("require"), &more));
        assert_eq!(came["event"], "reloaded", "{keys}: {came}");
        match user {
            Some(user) => {
                connect(gateway.address("public"), &config, "wss://localhost/a").await.unwrap();
                assert_eq!(gateway.event("open")["user"], user, "{keys}");
            }
            None => {
                assert_eq!(refused(gateway.address("public"), &config, "wss://localhost/a").await, 403, "{keys}");
                assert_eq!(gateway.event("refused")["outcome"], "certificate_denied", "{keys}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_token_will_do_instead_a_missing_certificate_asks_for_it_and_a_bad_one_does_not() {
    let authority = Authority::new("ca");
    let more = format!(
        "[client_cert.devices]\nallow = {{ cn = \"alice\" }}\n[jwt.users]\nalgorithms = \"HS256\"\nrequire = []\n\
         secret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
         [route.any]\npath = \"/any\"\npipeline = [[\"client_cert.devices\", \"jwt.users\"]]\nendpoint = \"echo\"\n"
    );
    let mut gateway = run(&authority, &listening(&asking("request"), &more));
    let bearer = format!("Bearer {}", token(&json!({ "sub": "bob" })));
    let (without, with) = (|| request("wss://localhost/any", &[]), || request("wss://localhost/any", &[("authorization", &bearer)]));
    let (alice, eve) = (authority.issue_to("alice"), authority.issue_to("eve"));
    let (nobody, alice, eve) = (client(&authority, None), client(&authority, Some(&alice)), client(&authority, Some(&eve)));
    let address = gateway.address("public");
    for (config, request, user) in [(&alice, without(), "alice"), (&alice, with(), "alice"), (&nobody, with(), "bob")] {
        connect(address, config, request).await.unwrap();
        assert_eq!(gateway.event("open")["user"], user);
    }
    for (config, request, outcome) in [(&nobody, without(), "certificate_missing"), (&eve, with(), "certificate_denied")] {
        assert_eq!(refused(address, config, request).await, 403);
        assert_eq!(gateway.event("refused")["outcome"], outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_revoked_by_its_user_or_by_its_fingerprint() {
    let authority = Authority::new("ca");
    let (alice, bob, carol) = (authority.issue_to("alice"), authority.issue_to("bob"), authority.issue_to("carol"));
    let revoked = format!("[revoked.list]\nsub = \"alice\"\nkid = \"{}\"\n", fingerprint(&bob));
    let more = format!(
        "{revoked}[client_cert.all]\n[route.a]\npath = \"/a\"\npipeline = [\"client_cert.all\", \"revoked.list\"]\nendpoint = \"echo\"\n"
    );
    let mut gateway = run(&authority, &listening(&asking("require"), &more));
    for (own, rule) in [(&alice, Some("sub[0] alice")), (&bob, Some("kid[0] ")), (&carol, None)] {
        let config = client(&authority, Some(own));
        let Some(rule) = rule else {
            connect(gateway.address("public"), &config, "wss://localhost/a").await.unwrap();
            continue;
        };
        assert_eq!(refused(gateway.address("public"), &config, "wss://localhost/a").await, 403);
        let event = gateway.event("refused");
        assert_eq!(event["outcome"], "revoked");
        assert!(event["rule"].as_str().unwrap().starts_with(rule), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_counts_by_the_user_of_a_certificate() {
    let authority = Authority::new("ca");
    let more = "[client_cert.all]\n[rate_limit.one]\nkey = \"user\"\nconcurrent = 1\n\
                [route.a]\npath = \"/a\"\npipeline = [\"client_cert.all\", \"rate_limit.one\"]\nendpoint = \"echo\"\n";
    let gateway = run(&authority, &listening(&asking("require"), more));
    let (alice, bob) = (client(&authority, Some(&authority.issue_to("alice"))), client(&authority, Some(&authority.issue_to("bob"))));
    let (address, url) = (gateway.address("public"), "wss://localhost/a");
    let _first = connect(address, &alice, url).await.unwrap();
    assert_eq!(refused(address, &alice, url).await, 429);
    connect(address, &bob, url).await.unwrap();
}
