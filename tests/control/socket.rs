//! The control socket: where it is, who may use it, and what becomes of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use super::support::{self, Gateway, command};
use super::{FRAME, json, typed};

fn echo() -> String {
    format!("{FRAME}[route.a]\nendpoint = \"echo\"\n")
}

fn with_control(control: &str) -> String {
    echo().replace("[gateway]\n", &format!("[gateway]\ncontrol = \"{control}\"\n"))
}

/// The sockets in the gateway's runtime folder.
fn sockets(gateway: &Gateway) -> Vec<PathBuf> {
    in_runtime_folder(gateway, "sock")
}

/// What has such a name in the gateway's runtime folder.
fn in_runtime_folder(gateway: &Gateway, extension: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(gateway.folder.path().join("wsgate"));
    let paths = folder.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What a gateway that does not start prints.
fn refused(gateway: &Gateway) -> String {
    let output = command(gateway.folder.path()).arg("run").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_socket_is_for_this_user_alone_and_gone_with_the_gateway() {
    let mut gateway = Gateway::run(&echo());
    let all = sockets(&gateway);
    assert!(matches!(&all[..], [socket] if mode(socket) == 0o600), "{all:?}");
    assert_eq!(mode(&gateway.folder.path().join("wsgate")), 0o700);
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    assert_eq!(sockets(&gateway), Vec::<PathBuf>::new());
    let (printed, exit) = typed(&gateway, &["status"]);
    assert!(printed.starts_with("wsgate: no gateway runs on gateway.toml: there is no ") && exit == Some(1), "{printed}");
}

#[test]
fn a_socket_that_nobody_listens_to_is_replaced_and_one_that_somebody_does_is_not() {
    let gateway = Gateway::run(&with_control("own.sock"));
    let path = gateway.folder.path().join("own.sock");
    assert_eq!((mode(&path), sockets(&gateway).len()), (0o600, 0));
    let said = refused(&gateway);
    assert!(
        said.contains(&format!("another gateway (process {}) has the control socket", gateway.id())) && said.contains("own.sock"),
        "{said}"
    );
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id(), "and it has it still");

    // As a gateway leaves it that was killed.
    let folder = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(folder.path().join("own.sock")).unwrap());
    fs::write(folder.path().join("gateway.toml"), with_control("own.sock")).unwrap();
    let output = command(folder.path()).arg("status").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nobody listens at") && output.status.code() == Some(1), "{said}");
    let gateway = Gateway::run_in(folder, &with_control("own.sock"));
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own.sock"), "precious").unwrap();
    fs::write(folder.path().join("gateway.toml"), with_control("own.sock")).unwrap();
    let output = command(folder.path()).arg("run").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("something stands there that is no socket") && output.status.code() == Some(1), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("own.sock")).unwrap(), "precious");
}

#[test]
fn two_gateways_have_a_socket_each_and_are_found_by_their_files() {
    let (one, other) = (Gateway::run(&echo()), Gateway::run(&echo()));
    let file = other.folder.path().join("gateway.toml");
    let ask = |control: &[&str]| {
        let mut command = command(one.folder.path());
        command.env("XDG_RUNTIME_DIR", other.folder.path()).args(["status", "--json"]).args(control);
        let printed = command.output().unwrap().stdout;
        serde_json::from_slice::<serde_json::Value>(&printed).unwrap()["pid"].clone()
    };
    assert_eq!(json(&one, &["status"])["pid"], one.id());
    assert_eq!(ask(&["--config", file.to_str().unwrap()]), other.id());
    assert_eq!(ask(&["--control", sockets(&one)[0].to_str().unwrap()]), one.id());
    // Who names the wrong file is told which gateways there are.
    let output = command(other.folder.path()).args(["status", "--config", "elsewhere.toml"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("; there are {}", sockets(&other)[0].display())), "{said}");
}

#[test]
fn a_gateway_without_a_socket_runs_and_answers_nobody() {
    let gateway = Gateway::run(&with_control("off"));
    assert_eq!(sockets(&gateway), Vec::<PathBuf>::new());
    assert_eq!(typed(&gateway, &["status"]).1, Some(1));
}

#[test]
fn whatever_comes_over_the_socket_is_told_why_it_cannot_be_answered() {
    let gateway = Gateway::run(&echo());
    let say = |request: &[u8]| {
        let mut stream = UnixStream::connect(&sockets(&gateway)[0]).unwrap();
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for (request, said) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "this is no request"),
        (b"", "this is no request"),
        (b"{\"version\":7,\"verb\":\"status\"}\n", "was asked in version 7"),
        (b"{\"version\":1,\"verb\":\"dance\"}\n", "unknown variant `dance`"),
        (&[b'x'; 16 << 10], "a request has 16384 bytes at most"),
        (b"{\"version\":1,\"verb\":\"status\"}", "\"generation\":1"),
    ] {
        let answer = say(request);
        assert!(answer.contains(said) && answer.lines().count() == 1, "{answer}");
    }
}

#[test]
fn another_user_is_told_no_by_the_system_and_where_it_would_let_them_by_the_gateway() {
    let gateway = Gateway::run(&with_control("own.sock"));
    let (folder, socket) = (gateway.folder.path(), gateway.folder.path().join("own.sock"));
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = || command(folder).args(["status", "--control", "own.sock"]).uid(65534).output();
    // Only root may become somebody else.
    let Some(output) = nobody().ok().filter(|output| output.status.code().is_some()) else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("Permission denied (os error 13); ask as the user it runs as, or as root\n"), "{said}");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(String::from_utf8(nobody().unwrap().stderr).unwrap(), "wsgate: this gateway is another user's\n");
    assert_eq!(json(&gateway, &["status"])["pid"], gateway.id());
}
