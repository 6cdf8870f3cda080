//! The firewall judged by its tables.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::stage::cells::Cells;
use crate::stage::sample;

/// Builds a firewall from its table's text, in a folder.
fn build_in(folder: &Path, text: &str) -> (Result<Firewall, Faults>, Faults) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("firewall", "office"), folder, &cells);
    let built = Firewall::configure(toml::from_str(text).unwrap(), &mut build);
    (built, build.warnings)
}

fn firewall(text: &str) -> Firewall {
    build_in(Path::new("."), text).0.unwrap()
}

/// The deciding rule, `"report: "` before it where it is not enforced; nothing where the address passes.
fn judged(firewall: &Firewall, ip: &str, now: SystemTime) -> String {
    match firewall.judge(ip.parse().unwrap(), now) {
        Ok(()) => String::new(),
        Err(refusal) => {
            assert_eq!(refusal.outcome, IP_DENIED);
            format!("{}{}", if refusal.report { "report: " } else { "" }, refusal.rule.unwrap_or_default())
        }
    }
}

#[test]
fn deny_wins_and_the_rest_is_as_the_lists_or_the_default_say() {
    let rest = "no allow rule names the address";
    for (table, verdicts) in [
        (r#"allow = ["10.0.0.0/8"]"#, [("10.1.1.1", ""), ("192.0.2.1", rest), ("::ffff:10.1.1.1", ""), ("::1", rest)]),
        (
            r#"deny = ["10.0.0.0/8"]"#,
            [("10.1.1.1", "deny[0] 10.0.0.0/8"), ("192.0.2.1", ""), ("::ffff:10.1.1.1", "deny[0] 10.0.0.0/8"), ("::1", "")],
        ),
        (
            r#"allow = ["10.0.0.0/8"]
               deny = ["192.0.2.0/24", "10.0.0.0/9"]
               default = "deny""#,
            [("10.1.1.1", "deny[1] 10.0.0.0/9"), ("10.200.0.1", ""), ("192.0.2.1", "deny[0] 192.0.2.0/24"), ("203.0.113.9", rest)],
        ),
        (
            r#"deny = "10.0.0.0/8"
               allow = "10.1.1.1"
               default = "allow""#,
            [("10.1.1.1", "deny[0] 10.0.0.0/8"), ("192.0.2.1", ""), ("10.0.0.0", "deny[0] 10.0.0.0/8"), ("::1", "")],
        ),
        (
            r#"deny = [{ cidr = "10.0.0.0/8", except = ["10.1.0.0/16", "10.2.0.0/16"], note = "lab" }]"#,
            [("10.1.1.1", ""), ("10.2.1.1", ""), ("10.3.1.1", "deny[0] 10.0.0.0/8 (lab)"), ("10.0.255.255", "deny[0] 10.0.0.0/8 (lab)")],
        ),
        (r#"allow = ["127.0.0.0/8", "::1/128"]"#, [("127.0.0.1", ""), ("::1", ""), ("::2", rest), ("128.0.0.0", rest)]),
    ] {
        let firewall = firewall(table);
        for (ip, verdict) in verdicts {
            assert_eq!(judged(&firewall, ip, SystemTime::now()), verdict, "{ip} by {table}");
        }
    }
}

#[test]
fn an_exception_carves_out_of_its_own_rule_only() {
    let firewall = firewall(r#"deny = ["10.1.0.0/16", { cidr = "10.0.0.0/8", except = "10.1.0.0/16" }]"#);
    assert_eq!(judged(&firewall, "10.1.1.1", SystemTime::now()), "deny[0] 10.1.0.0/16");
}

#[test]
fn a_rule_is_over_at_its_expiry_and_says_when_that_is() {
    let firewall = firewall(
        r#"deny = [{ cidr = "10.0.0.0/8", expires = 2999-01-01T00:00:00Z }, { cidr = "192.0.2.0/24", expires = 2999-02-01T00:00:00Z }]"#,
    );
    let first = firewall.next_change(SystemTime::now()).unwrap();
    assert_eq!(judged(&firewall, "10.1.1.1", first - Duration::from_secs(1)), "deny[0] 10.0.0.0/8");
    assert_eq!(judged(&firewall, "10.1.1.1", first), "");
    let second = firewall.next_change(first).unwrap();
    assert_eq!(second.duration_since(first).unwrap(), Duration::from_secs(31 * 86_400));
    assert_eq!(judged(&firewall, "192.0.2.1", first), "deny[1] 192.0.2.0/24");
    assert_eq!(firewall.next_change(second), None);
}

#[test]
fn an_allow_rule_that_expires_shuts_the_door_on_the_live_connections() {
    let firewall = firewall(r#"allow = [{ cidr = "192.0.2.0/24", expires = 2999-01-01T00:00:00Z }]"#);
    let client = sample::client(&[]);
    let expiry = firewall.next_change(SystemTime::now()).unwrap();
    assert!(firewall.review(&client, expiry - Duration::from_secs(1)).is_ok());
    assert_eq!(firewall.review(&client, expiry).unwrap_err().outcome, IP_DENIED);
}

#[test]
fn a_rule_that_is_over_already_is_a_warning_and_denies_nobody() {
    let (firewall, warnings) = build_in(Path::new("."), r#"deny = [{ cidr = "10.0.0.0/8", expires = 2001-01-01T00:00:00Z }]"#);
    assert_eq!(judged(&firewall.unwrap(), "10.1.1.1", SystemTime::UNIX_EPOCH), "");
    assert!(!warnings.refuse());
    assert_eq!(warnings.0[0].place, KeyPath::table("firewall", "office").key("deny").index(0).key("expires").into());
}

#[test]
fn a_reported_rule_denies_nobody_and_hides_no_rule_that_does() {
    let firewall = firewall(
        r#"deny = [{ cidr = "10.0.0.0/8", mode = "report" }, { cidr = "10.1.0.0/16" }, { cidr = "192.0.2.0/24", mode = "report" }]"#,
    );
    let now = SystemTime::now();
    assert_eq!(judged(&firewall, "10.2.0.1", now), "report: deny[0] 10.0.0.0/8");
    assert_eq!(judged(&firewall, "10.1.0.1", now), "deny[1] 10.1.0.0/16");
    assert_eq!(judged(&firewall, "192.0.2.1", now), "report: deny[2] 192.0.2.0/24");
    assert_eq!(judged(&firewall, "203.0.113.1", now), "");
}

#[test]
fn the_address_is_judged_when_it_is_known_and_again_at_a_review() {
    let firewall = firewall(r#"deny = ["192.0.2.0/24"]"#);
    assert!(firewall.connect(&sample::peer("192.0.2.7")).is_err());
    assert!(firewall.connect(&sample::peer("198.51.100.7")).is_ok());
    assert!(firewall.review(&sample::client(&[]), SystemTime::now()).is_err());
}

#[test]
fn a_table_that_cannot_judge_is_a_fault_at_the_key_that_must_change() {
    for (table, place, said) in [
        ("", "firewall.office", "judges nothing"),
        ("default = \"deny\"", "firewall.office", "judges nothing"),
        ("allow = \"10.0.0.0/8\"\ndeny = \"10.1.0.0/16\"", "firewall.office", "nothing of the rest"),
        (r#"allow = [{ cidr = "10.0.0.0/8", mode = "report" }]"#, "firewall.office.allow[0].mode", "nothing to report"),
        (
            r#"deny = ["::1", { cidr = "10.0.0.0/8", except = "192.0.2.0/24" }]"#,
            "firewall.office.deny[1].except[0]",
            "is not within 10.0.0.0/8",
        ),
        (r#"deny = { cidr = "10.0.0.0/8", except = "10.0.0.0/8" }"#, "firewall.office.deny[0].except[0]", "leaves nothing"),
        (r#"deny_files = "no-such-file""#, "firewall.office.deny_files[0]", "cannot read"),
    ] {
        let fault = build_in(Path::new("."), table).0.unwrap_err().0.remove(0);
        let crate::config::fault::Place::Value(at) = &fault.place else { panic!("{fault:?}") };
        assert_eq!(at.to_string(), place);
        assert!(fault.message.contains(said), "{}", fault.message);
    }
}

#[test]
fn a_firewall_that_lets_nobody_in_is_a_warning() {
    let (firewall, warnings) = build_in(Path::new("."), "allow = []");
    assert!(firewall.is_ok());
    assert_eq!(warnings.0[0].message, "firewall.office lets nobody in");
}

#[test]
fn files_are_read_line_by_line_and_the_refusal_names_the_file_and_the_line() {
    let folder = std::env::temp_dir().join(format!("wsgate-firewall-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("good.txt"), "# bad guests\n10.0.0.0/8\r\n\n  2001:db8::/32  # lab\n192.0.2.7\n").unwrap();
    std::fs::write(folder.join("bad.txt"), format!("10.0.0.0/8\n10.1.0.0/8\n{}", "x\n".repeat(30))).unwrap();
    let (good, _) = build_in(&folder, "deny_files = \"good.txt\"");
    let (bad, _) = build_in(&folder, "deny_files = [\"good.txt\", \"bad.txt\"]");
    std::fs::remove_dir_all(&folder).unwrap();

    let good = good.unwrap();
    for (ip, verdict) in [("10.9.9.9", "deny_files[0] good.txt:2"), ("2001:db8::1", "deny_files[0] good.txt:4"), ("192.0.2.8", "")] {
        assert_eq!(judged(&good, ip, SystemTime::now()), verdict);
    }
    let faults = bad.unwrap_err();
    assert_eq!(faults.0.len(), crate::stage::lines::MAX_FAULTS + 1);
    assert_eq!(faults.0[0].message.split(':').take(2).collect::<Vec<_>>(), ["bad.txt", "2"]);
    assert_eq!(faults.0.last().unwrap().message, "bad.txt: 11 more lines like these");
}

#[test]
fn a_line_that_ends_counts_until_then_and_is_named_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let day = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800 + day * 86_400);
    let lines = "192.0.2.0/24 expires 2100-01-03T00:00:00Z # net\n\
                 192.0.2.7 expires 2100-01-02T00:00:00Z\n\
                 192.0.2.7 expires 2100-01-04T00:00:00Z # longer\n\
                 198.51.100.1 expires 2001-01-01T00:00:00Z\n\
                 203.0.113.1\n";
    std::fs::write(folder.path().join("deny.txt"), lines).unwrap();
    let (firewall, warnings) = build_in(folder.path(), "deny_files = \"deny.txt\"");
    let firewall = firewall.unwrap();
    let named = |line: u32| format!("deny_files[0] deny.txt:{line}");
    for (ip, at, verdict) in [
        ("192.0.2.8", day(1), named(1)),
        ("192.0.2.8", day(2), String::new()),
        ("192.0.2.7", day(2), named(3)),
        ("192.0.2.7", day(3), String::new()),
        ("198.51.100.1", SystemTime::now(), String::new()),
        ("203.0.113.1", day(9), named(5)),
    ] {
        assert_eq!(judged(&firewall, ip, at), verdict, "{ip}");
    }
    assert_eq!([day(0), day(1), day(2), day(3)].map(|now| firewall.next_change(now)), [Some(day(1)), Some(day(2)), Some(day(3)), None]);
    // A list runs out by itself: that is what ends are for.
    assert_eq!(warnings.0.len(), 0);
}

#[test]
fn a_refusal_says_where_its_rule_stands() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.txt"), "192.0.2.7\n\n192.0.2.8\n").unwrap();
    for (table, ip, place) in [
        (r#"deny = ["10.0.0.0/8", "192.0.2.0/24"]"#, "192.0.2.1", "deny[1]"),
        (r#"deny = "10.0.0.0/8""#, "10.0.0.1", "deny[0]"),
        (r#"deny_files = ["bad.txt"]"#, "192.0.2.8", "deny_files[0]:3"),
        ("deny = \"10.0.0.0/8\"\ndeny_files = [\"bad.txt\", \"bad.txt\"]", "192.0.2.7", "deny_files[0]:1"),
        (r#"deny = [{ cidr = "10.0.0.0/8", mode = "report" }]"#, "10.0.0.1", "deny[0]"),
        (r#"allow = "10.0.0.0/8""#, "192.0.2.1", "allow"),
        (r#"allow_files = "bad.txt""#, "10.0.0.1", "allow_files"),
        ("allow = \"10.0.0.0/8\"\ndefault = \"deny\"", "192.0.2.1", "default"),
    ] {
        let firewall = build_in(folder.path(), table).0.unwrap();
        let mut refusal = firewall.judge(ip.parse().unwrap(), SystemTime::now()).unwrap_err();
        refusal.stage = Some("firewall.office".into());
        let line = refusal.clause.as_ref().and_then(|clause| clause.line.as_ref()).map(|(_, line)| format!(":{line}")).unwrap_or_default();
        assert_eq!(format!("{}{line}", refusal.path().unwrap()), format!("firewall.office.{place}"), "{table}");
    }
}
