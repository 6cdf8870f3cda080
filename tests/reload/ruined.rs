//! A file that is ruined, and a machine that has changed under it: the gateway goes on as it was, says so once and for as long as it is
//! so, and takes the next good save. By saves alone, as an operator makes them.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::support::{self, Gateway, command};

/// What is done to the gateway's folder.
type Do = fn(&Path, &Scene);

/// One way to ruin a config, and how that is made good before the next save.
struct Ruin {
    what: &'static str,
    ruin: Do,
    mend: Do,
    /// What is said of it: every fault.
    said: &'static [&'static str],
}

/// What a ruin may need to know.
struct Scene {
    /// The config as it would be saved next.
    next: String,
    /// An address that another program has.
    taken: String,
}

const RUINS: &[Ruin] = &[
    Ruin { what: "broken syntax", ruin: |folder, _| save(folder, "[listener.one\n"), mend: nothing, said: &["gateway.toml:1:14: "] },
    Ruin {
        what: "half of the file",
        ruin: |folder, scene| save(folder, scene.next.split("\"echo.e\"").next().unwrap()),
        mend: nothing,
        said: &["gateway.toml:"],
    },
    Ruin { what: "an empty file", ruin: |folder, _| save(folder, ""), mend: nothing, said: &["there is no listener"] },
    Ruin {
        what: "no file",
        ruin: |folder, _| fs::remove_file(folder.join("gateway.toml")).unwrap(),
        mend: nothing,
        said: &["cannot read the file: No such file"],
    },
    Ruin {
        what: "a file that nobody can read",
        ruin: |folder, _| {
            fs::remove_file(folder.join("gateway.toml")).unwrap();
            symlink("gateway.toml", folder.join("gateway.toml")).unwrap();
        },
        mend: |folder, _| fs::remove_file(folder.join("gateway.toml")).unwrap(),
        said: &["cannot read the file: Too many levels of symbolic links"],
    },
    Ruin {
        what: "a folder in its place",
        ruin: |folder, _| {
            fs::remove_file(folder.join("gateway.toml")).unwrap();
            fs::create_dir(folder.join("gateway.toml")).unwrap();
        },
        mend: |folder, _| fs::remove_dir(folder.join("gateway.toml")).unwrap(),
        said: &["the folder has no file that ends in .toml"],
    },
    Ruin {
        what: "a pipe in its place",
        ruin: |folder, _| {
            let pipe = folder.join("pipe");
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            fs::rename(pipe, folder.join("gateway.toml")).unwrap();
        },
        mend: |folder, _| fs::remove_file(folder.join("gateway.toml")).unwrap(),
        said: &["cannot read the file: it is a pipe or a device"],
    },
    Ruin {
        what: "bytes that are no text",
        ruin: |folder, _| fs::write(folder.join("gateway.toml"), b"# caf\xe9\n").unwrap(),
        mend: nothing,
        said: &["the file is not UTF-8 text: line 1"],
    },
    Ruin {
        what: "a file of 100 MiB",
        ruin: |folder, _| {
            let large = folder.join("large");
            File::create(&large).unwrap().set_len(100 << 20).unwrap();
            fs::rename(large, folder.join("gateway.toml")).unwrap();
        },
        mend: nothing,
        said: &["the file is larger than 4 MiB"],
    },
    Ruin {
        what: "several faults",
        ruin: |folder, scene| save(folder, &scene.next.replace("endpoint", "endpiont").replace("\"ES256\"", "\"ES265\"")),
        mend: nothing,
        said: &[
            "gateway.toml:4:14: \"ES265\" is no algorithm",
            "\ngateway.toml:9:1: [route.users] has no key `endpiont` (did you mean `endpoint`?)\n",
            "\ngateway.toml:19:1: [route.one] has no key",
        ],
    },
    Ruin {
        what: "an address that is taken",
        ruin: |folder, scene| save(folder, &scene.next.replace("\"127.0.0.1:0\"", &format!("[\"127.0.0.1:0\", \"{}\"]", scene.taken))),
        mend: nothing,
        said: &["cannot listen on", "in use"],
    },
    Ruin {
        what: "a log's folder that has vanished",
        ruin: |folder, scene| {
            fs::remove_dir_all(folder.join("logs")).unwrap();
            save(folder, &scene.next);
        },
        mend: |folder, _| fs::create_dir(folder.join("logs")).unwrap(),
        said: &["gateway.toml:13:8: the folder logs does not exist"],
    },
    Ruin {
        what: "a key that is nonsense",
        ruin: |folder, _| fs::write(folder.join("key.pem"), "nonsense").unwrap(),
        mend: key,
        said: &["key.pem"],
    },
    Ruin { what: "a key that is gone", ruin: |folder, _| fs::remove_file(folder.join("key.pem")).unwrap(), mend: key, said: &["key.pem"] },
    Ruin {
        what: "a list that is nonsense",
        ruin: |folder, _| fs::write(folder.join("deny.txt"), "192.0.2.1\nnonsense\n192.0.2.300\n").unwrap(),
        mend: |folder, _| fs::write(folder.join("deny.txt"), "192.0.2.1\n").unwrap(),
        said: &["deny.txt:2", "deny.txt:3"],
    },
];

fn nothing(_: &Path, _: &Scene) {}

fn key(folder: &Path, _: &Scene) {
    fs::write(folder.join("key.pem"), include_str!("../keys/p256.pub.pem")).unwrap();
}

fn save(folder: &Path, text: &str) {
    fs::write(folder.join("gateway.toml"), text).unwrap();
}

fn config(prefix: &str) -> String {
    let jwt = "[jwt.users]\nalgorithms = \"ES256\"\nkey = { file = \"key.pem\" }\n[route.users]\npath = \"/users\"\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"\n";
    let firewall = "[firewall.f]\ndeny_files = \"deny.txt\"\n[log.file]\nfile = \"logs/all.log\"\n";
    let route = "[route.one]\npath = \"/\"\npipeline = [\"firewall.f\"]\nendpoint = \"echo.e\"\n";
    format!("[listener.one]\naddress = \"127.0.0.1:0\"\n{jwt}{firewall}[echo.e]\nprefix = \"{prefix} \"\n{route}")
}

fn status(gateway: &Gateway) -> Value {
    let output = command(gateway.folder.path()).args(["status", "--json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ruins_a_config_changes_nothing_is_told_once_and_is_over_with_the_next_good_save() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let scene = Scene { next: support::logged(&config("new")), taken: taken.local_addr().unwrap().to_string() };
    for Ruin { what, ruin, mend, said } in RUINS {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        fs::write(folder.path().join("deny.txt"), "192.0.2.1\n").unwrap();
        key(folder.path(), &scene);
        let mut gateway = Gateway::run_in(folder, &config("old"));
        let mut socket = gateway.connect("one", "/").await;
        assert_eq!(support::ask(&mut socket, "hi").await, "old hi");

        ruin(gateway.folder.path(), &scene);
        let refused = gateway.reloaded();
        assert_eq!(refused["event"], "reload_refused", "{what}: {refused}");
        let faults = refused["faults"].as_str().unwrap();
        assert!(said.iter().all(|said| faults.contains(said)), "{what}: {faults}");
        assert_eq!(support::ask(&mut socket, "hi").await, "old hi", "{what}");
        assert_eq!(support::ask(&mut gateway.connect("one", "/").await, "hi").await, "old hi", "{what}");
        let told = status(&gateway);
        assert_eq!((&told["refused"]["faults"], &told["generation"]), (&json!(faults), &json!(1)), "{what}: {told}");

        mend(gateway.folder.path(), &scene);
        save(gateway.folder.path(), &scene.next);
        let event = gateway.event_of(&["reloaded", "reload_refused"], |_| true);
        assert_eq!((&event["event"], &event["generation"]), (&json!("reloaded"), &json!(2)), "{what}: {event}");
        assert_eq!(support::ask(&mut socket, "hi").await, "new hi", "{what}");
        assert_eq!(status(&gateway)["refused"], json!(null), "{what}");
    }
}
