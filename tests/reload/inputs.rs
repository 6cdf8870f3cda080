//! What the config reads besides itself is part of it: each file is an edit when it is saved.

use std::fs;

use serde_json::json;

use super::support::{self, Gateway, SECRET, Socket, token, with_token};

const OTHER: &str = "another-secret-of-a-proper-length-0123456789";

/// A config in which a file decides of everything that can be in one.
fn config() -> String {
    let stages = "[firewall.f]\ndeny_files = \"deny.txt\"\n[jwt.users]\nalgorithms = \"HS256\"\nsecret = { file = \"secret\" }\n\
                  [jwt.others]\nalgorithms = \"ES256\"\nkey = { file = \"key.pem\" }\n[revoked.r]\nfiles = \"revoked.txt\"\n";
    let route = "[route.a]\npipeline = [\"firewall.f\", [\"jwt.users\", \"jwt.others\"], \"revoked.r\"]\nendpoint = \"echo\"\n";
    let reload = "[gateway]\nreload = { spread = \"1ms\", rate = \"10000/s\" }\n";
    format!("{reload}[listener.public]\naddress = \"127.0.0.1:0\"\n{stages}{route}")
}

async fn gateway() -> (Gateway, Socket) {
    let folder = tempfile::tempdir().unwrap();
    let files =
        [("deny.txt", "192.0.2.1\n"), ("secret", SECRET), ("key.pem", include_str!("../keys/p256.pub.pem")), ("revoked.txt", "sub:bob\n")];
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let gateway = Gateway::run_in(folder, &config());
    let token = token(&json!({ "sub": "alice", "exp": support::now() + 3600 }));
    let socket = support::connect(with_token(&gateway.url("public", "/"), &token)).await.unwrap();
    (gateway, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_config_reads_takes_effect_when_it_is_saved() {
    for (file, content, changed, sees) in [
        ("deny.txt", "192.0.2.1\n192.0.2.2\n", "firewall.f, route.a", None),
        ("deny.txt", "127.0.0.0/8\n", "firewall.f, route.a", Some((3003, "ip_denied"))),
        ("secret", OTHER, "jwt.users, route.a", Some((3000, "token_invalid"))),
        ("key.pem", include_str!("../keys/p256.jwk.json"), "jwt.others, route.a", None),
        ("revoked.txt", "sub:alice\n", "revoked.r, route.a", Some((3003, "revoked"))),
    ] {
        let (mut gateway, mut socket) = gateway().await;
        fs::write(gateway.folder.path().join(file), content).unwrap();
        let came = gateway.reloaded();
        assert_eq!((&came["event"], &came["changed"]), (&json!("reloaded"), &json!(changed)), "{file}: {came}");
        let Some((code, outcome)) = sees else {
            assert_eq!(support::ask(&mut socket, "still").await, "still", "{file}");
            continue;
        };
        assert_eq!(support::closed(&mut socket).await.0, code, "{file}");
        drop(socket);
        assert_eq!(gateway.event("close")["outcome"], outcome, "{file}");
    }
}
