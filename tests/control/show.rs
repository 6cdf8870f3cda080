//! `wsgate show --live`: what is in force is printed as `wsgate show` prints a file, whatever stands in the file by now.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::support::{Gateway, SECRET, command};
use super::{FRAME, json, save, typed};

/// A config with all that `show` has to mask or to look up, and a key that tells one text from another.
fn config(idle: &str) -> String {
    let secret = format!("[\"{SECRET}\", {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}]");
    let jwt = format!("[jwt.users]\nalgorithms = \"HS256\"\nsecret = {secret}\n");
    let door =
        "[pipeline.door]\nstages = [\"firewall.f\"]\n[firewall.f]\ndeny = { cidr = \"192.0.2.1\", expires = 2099-01-31T18:00:00Z }\n";
    let route = "pipeline = [\"pipeline.door\", \"jwt.users\", \"errors\"]\nendpoint = \"ws://${HOST_OF_IT}:1\"\n";
    let control = FRAME.replace("[gateway]\n", "[gateway]\ncontrol = \"own.sock\"\n");
    format!("{control}{jwt}{door}[route.a]\nidle = \"{idle}\"\n{route}[route.b]\npath = \"/b\"\nendpoint = \"echo\"\n")
}

fn gateway(line: &str) -> Gateway {
    Gateway::run_as(&format!("export HOST_OF_IT=localhost; {line}"), tempfile::tempdir().unwrap(), &config("1h"))
}

/// What `show` prints of the file, where its variable is set.
fn saved(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = command(gateway.folder.path()).env("HOST_OF_IT", "localhost").arg("show").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it prints of what is in force, and what stands above that; nobody sets the variable here.
fn live(gateway: &Gateway, arguments: &[&str]) -> (String, String) {
    let (printed, exit) = typed(gateway, &[&["show", "--live"], arguments].concat());
    assert_eq!(exit, Some(0), "{printed}");
    let heading: String = printed.split_inclusive('\n').take_while(|line| line.starts_with("# ")).collect();
    (printed[heading.len()..].to_owned(), heading)
}

fn without_heading(printed: &str) -> &str {
    printed.split_once('\n').unwrap().1
}

/// The route's key that tells one text from another.
fn idle(gateway: &Gateway) -> Value {
    json(gateway, &["show", "--live", "--route", "a"])["tables"][1]["keys"]["idle"]["value"].clone()
}

#[test]
fn what_is_in_force_is_printed_as_its_file_would_be() {
    let gateway = gateway("wsgate run");
    for arguments in [&[][..], &["--route", "a"], &["--route", "route.b"]] {
        let (printed, heading) = live(&gateway, arguments);
        assert_eq!(printed, without_heading(&saved(&gateway, arguments)), "{arguments:?}");
        assert!(heading.contains("gateway.toml as it is in force, generation 1 since 20"), "{heading}");
        let one: Value = serde_json::from_str(&saved(&gateway, &[arguments, &["--json"]].concat())).unwrap();
        let other = json(&gateway, &[&["show", "--live"], arguments].concat());
        assert_eq!(
            (&one["tables"], json!(1), json!("gateway.toml")),
            (&other["tables"], other["generation"].clone(), other["config"].clone())
        );
    }
    let (printed, exit) = typed(&gateway, &["show", "--live", "--route", "c"]);
    assert_eq!((printed.as_str(), exit), ("wsgate: gateway.toml has no [route.c]; it has route.a, route.b\n", Some(1)));
}

#[test]
fn neither_a_save_nor_an_edit_that_is_refused_is_in_force_and_a_rollback_is() {
    let gateway = gateway("wsgate run");
    save(&gateway, &config("2h"));
    assert_eq!(idle(&gateway), "1h", "nobody has put it in force");
    json(&gateway, &["reload"]);
    assert_eq!(idle(&gateway), "2h");

    save(&gateway, &config("3h").replace("endpoint", "endpiont"));
    assert_eq!(typed(&gateway, &["reload"]).1, Some(2));
    let (printed, heading) = live(&gateway, &[]);
    assert!(printed.contains("\"2h\"") && heading.contains("\n# REFUSED at ") && heading.contains("gateway.toml:"), "{heading}{printed}");
    assert_eq!(json(&gateway, &["show", "--live"])["refused"]["at"], json(&gateway, &["status"])["refused"]["at"]);
    fs::remove_file(gateway.folder.path().join("gateway.toml")).unwrap();
    assert_eq!(idle(&gateway), "2h", "whatever has become of the file");

    json(&gateway, &["rollback"]);
    let (printed, heading) = live(&gateway, &[]);
    assert!(printed.contains("\"1h\"") && heading.contains("generation 3 since"), "{heading}{printed}");
    assert!(heading.contains("\n# ROLLED BACK to the text of generation 1 at "), "{heading}");

    save(&gateway, &config("4h"));
    json(&gateway, &["reload"]);
    let (printed, heading) = live(&gateway, &[]);
    assert_eq!((printed.as_str(), heading.lines().count()), (without_heading(&saved(&gateway, &[])), 1));
}

#[test]
fn a_config_from_a_folder_or_from_standard_input_is_shown_too() {
    for (line, config, name) in [
        ("mkdir parts; cp gateway.toml parts/a.toml; wsgate run --config parts", "parts", "parts/a.toml"),
        ("wsgate run --config - < gateway.toml", "-", "<stdin>"),
    ] {
        let gateway = gateway(line);
        let (printed, _) = live(&gateway, &["--config", config]);
        let file = saved(&gateway, &[]).replace("gateway.toml:", &format!("{name}:"));
        // The names are not equally long, and comments stand below each other.
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&printed), words(without_heading(&file)), "{name}");
    }
}

#[test]
fn no_secret_and_nothing_a_variable_holds_comes_over_the_socket() {
    let gateway = gateway("NOBODY_SETS_THIS=secret-of-the-environment-0123456789 wsgate run");
    let mut stream = UnixStream::connect(gateway.folder.path().join("own.sock")).unwrap();
    stream.write_all(b"{\"version\":1,\"verb\":{\"show\":{\"route\":null}}}\n").unwrap();
    let answer: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
    let (all, last) = (answer.concat(), answer.last().unwrap());
    assert!(all.contains("********") && all.contains("${HOST_OF_IT}") && last.starts_with("{\"done\":{"), "{all}");
    assert!(!all.contains(SECRET) && !all.contains("secret-of-the-environment") && !all.contains("localhost"), "{all}");
}

#[test]
fn a_gateway_that_drains_still_shows_what_is_in_force_and_one_that_is_gone_does_not() {
    let mut gateway =
        Gateway::run(&config("1h").replace("${HOST_OF_IT}", "localhost").replace("[gateway]", "[gateway]\ndrain = { delay = \"1h\" }"));
    gateway.signal("TERM");
    gateway.event("stopping");
    assert_eq!(idle(&gateway), "1h");
    gateway.signal("TERM");
    gateway.wait();
    let (printed, exit) = typed(&gateway, &["show", "--live"]);
    assert!(printed.starts_with("wsgate: no gateway runs on gateway.toml: there is no ") && exit == Some(1), "{printed}");
    // Who names a socket means a gateway that runs.
    assert_eq!(typed(&gateway, &["show", "--control", "own.sock"]).1, Some(2));
    let named = ["show", "--live", "--control", "own.sock"];
    assert_eq!(typed(&gateway, &named), ("wsgate: there is no control socket own.sock\n".to_owned(), Some(1)));
}
