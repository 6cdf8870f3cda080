//! Rates of messages, at a time that the tests tell.

use super::*;

const TYPING: &str = r#"{"type":"typing"}"#;
const CURSOR: &str = r#"{"type":"cursor"}"#;
const OTHER: &str = r#"{"type":"message"}"#;

fn client(id: u64, ip: &str, tenant: &str) -> Client {
    let mut client = sample::client(&[("x-tenant", tenant)]);
    (client.id, client.peer) = (id, sample::peer(ip));
    client
}

#[test]
fn each_value_of_a_rule_has_a_rate_of_its_own() {
    let bench = Bench::new();
    let mut inspector = bench.inspector(r#"rules = [{ field = "type", one_of = ["typing", "cursor"], rate = "2/s" }]"#);
    for _ in 0..2 {
        assert_eq!((says(&mut inspector, TYPING), says(&mut inspector, CURSOR)), (None, None));
    }
    assert_eq!(says(&mut inspector, TYPING), Some(("rate_limited", "rules[0] type is \"typing\", 2/s".to_owned())));
    assert_eq!(says(&mut inspector, OTHER), None);
    bench.pass(Duration::from_millis(500));
    assert_eq!((says(&mut inspector, TYPING), says(&mut inspector, CURSOR)), (None, None));
    assert!(says(&mut inspector, CURSOR).is_some());
}

#[test]
fn each_rule_counts_by_itself() {
    let bench = Bench::new();
    let mut inspector = bench.inspector(
        r#"rules = [
             { field = "type", is = "typing", rate = { rate = "3/s", burst = 3 } },
             { field = "type", is = "typing", rate = { rate = "1/m", burst = 4 } },
             { field = "room", missing = true, rate = { rate = "1/m", burst = 6 } },
           ]"#,
    );
    let mut rules = || -> Vec<_> { (0..5).map(|_| says(&mut inspector, TYPING).map(|(_, rule)| rule)).collect() };
    let first = "rules[0] type is \"typing\", {rate=3/s, burst=3}";
    assert_eq!(rules().iter().flatten().count(), 2, "{first}");
    bench.pass(Duration::from_secs(1));
    let then = rules();
    assert_eq!(then[0], None);
    assert!(then[1].as_ref().unwrap().starts_with("rules[1]"), "{then:?}");
}

#[test]
fn a_rate_is_each_connection_s_own_unless_it_counts_by_another_key() {
    let bench = Bench::new();
    for (key, others) in [
        ("", [false, false, false]),
        (r#", key = "connection""#, [false, false, false]),
        (r#", key = "ip""#, [true, false, false]),
        (r#", key = "header:X-Tenant""#, [false, true, false]),
        (r#", key = ["ip", "header:X-Tenant"]"#, [false, false, true]),
    ] {
        let stage = bench.stage(&format!("rules = [{{ field = \"type\", is = \"typing\", rate = \"1/h\"{key} }}]"));
        let mut first = client(1, "192.0.2.7", "acme");
        assert!(matches!(stage.handshake(&mut first), Judgement::Now(Ok(()))));
        first.request = None;
        assert_eq!(says(&mut inspector(&stage, &first), TYPING), None, "{key}");
        let all = [(2, "192.0.2.7", "other"), (3, "198.51.100.1", "acme"), (4, "192.0.2.7", "acme")];
        let limited = all.map(|(id, ip, tenant)| {
            let mut client = client(id, ip, tenant);
            assert!(matches!(stage.handshake(&mut client), Judgement::Now(Ok(()))));
            client.request = None;
            says(&mut inspector(&stage, &client), TYPING).is_some()
        });
        // The last has both in common, and so each of them.
        let [ip, tenant, both] = others;
        assert_eq!(limited, [ip, tenant, ip || tenant || both], "{key}");
        bench.pass(Duration::from_secs(3600));
    }
}

#[test]
fn what_is_spent_stays_spent_when_the_table_changes() {
    let bench = Bench::new();
    let client = client(1, "192.0.2.7", "acme");
    let stage = |rules: &str| bench.stage(&format!("rules = [{rules}]"));
    let typing = |rate: &str| format!("{{ field = \"type\", is = \"typing\", rate = {rate} }}");
    let before = stage(&typing("\"1/h\""));
    assert_eq!(says(&mut inspector(&before, &client), TYPING), None);
    let first = r#"{ field = "type", is = "message", rate = "1/h" }, { field = "type", is = "admin", deny = true },"#;
    for rules in [typing("\"1/h\""), format!("{first} {}", typing("\"1/h\""))] {
        assert!(says(&mut inspector(&stage(&rules), &client), TYPING).is_some(), "{rules}");
    }
    let more = stage(r#"{ field = "type", one_of = ["cursor", "typing"], rate = { rate = "1/h", burst = 2 } }"#);
    let mut inspector = inspector(&more, &client);
    assert_eq!((says(&mut inspector, TYPING), says(&mut inspector, TYPING).is_some()), (None, true));
}

#[test]
fn buckets_that_say_nothing_are_given_back() {
    let bench = Bench::new();
    let stage = bench.stage(r#"rules = [{ field = "type", is = "typing", rate = "1/s" }]"#);
    for id in 0..100 {
        assert_eq!(says(&mut inspector(&stage, &client(id, "192.0.2.7", "")), TYPING), None);
    }
    assert_eq!(bench.buckets.size().0, 100);
    bench.pass(Duration::from_secs(2));
    stage.tidy();
    assert_eq!(bench.buckets.size().0, 0);
}
