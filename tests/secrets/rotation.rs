//! Secrets that change while connections are open: step by step nobody is lost, by lists in the file and by files beside it.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::support::{self, Gateway, Socket, command, logged, now};

const OLD: &str = "the-old-secret-0123456789-0123456789-abc";
const NEW: &str = "the-new-secret-0123456789-0123456789-abc";

fn config(secrets: &str) -> String {
    format!(
        "[gateway]\nreload = {{ watch = false, spread = \"1ms\", rate = \"10000/s\" }}\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
         [jwt.users]\nalgorithms = \"HS256\"\nsecret = {secrets}\n[route.all]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"\n"
    )
}

/// A token that the gateway's own command signs, with whatever secret comes first.
fn minted(gateway: &Gateway) -> String {
    let output = command(gateway.folder.path()).args(["token", "--stage", "jwt.users", "--sub", "alice"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn signed(secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &json!({ "sub": "alice", "exp": now() + 600 }), &key).unwrap()
}

async fn enter(gateway: &Gateway, token: &str) -> Socket {
    support::connect(support::with_token(&gateway.url("public", "/"), token)).await.unwrap()
}

/// One step of a rotation: what the file says of secrets, and what two files and the folder they are linked from hold then.
struct Step {
    secrets: &'static str,
    files: [&'static str; 2],
}

/// Goes through the steps of a rotation with connections of every step open; the last takes the old secret away.
async fn rotate(steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let write = |folder: &std::path::Path, step: usize| {
        let version = folder.join(format!("v{step}"));
        fs::create_dir(&version).unwrap();
        for (name, secret) in ["current", "previous"].iter().zip(steps[step].files) {
            fs::write(version.join(name), secret).unwrap();
        }
        // As Kubernetes changes a secret: both files in one moment.
        symlink(&version, folder.join("next")).unwrap();
        fs::rename(folder.join("next"), folder.join("data")).unwrap();
    };
    write(folder.path(), 0);
    let mut gateway = Gateway::run_in(folder, &config(steps[0].secrets));
    let old = signed(OLD);
    let mut open = vec![enter(&gateway, &old).await];
    let (last, between) = steps[1..].split_last().unwrap();
    for (step, edit) in between.iter().enumerate() {
        write(gateway.folder.path(), step + 1);
        let outcome = gateway.reload(&config(edit.secrets));
        assert_eq!((&outcome["event"], &outcome["connections_closed"]), (&json!("reloaded"), &json!(0)), "{outcome}");
        open.push(enter(&gateway, &old).await);
        open.push(enter(&gateway, &minted(&gateway)).await);
        for socket in &mut open {
            assert_eq!(support::ask(socket, "still here").await, "still here", "step {step}");
        }
    }
    assert_eq!(open.len(), 2 * between.len() + 1);
    // Who still has the old one is late.
    let mut stays = enter(&gateway, &signed(NEW)).await;
    write(gateway.folder.path(), steps.len() - 1);
    fs::write(gateway.folder.path().join("gateway.toml"), logged(&config(last.secrets))).unwrap();
    gateway.signal("HUP");
    assert_eq!(support::closed(&mut open[0]).await.0, 3000);
    assert_eq!(support::ask(&mut stays, "still here").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_secrets_takes_a_new_one_behind_then_first_and_loses_nobody() {
    let files = ["", ""];
    rotate(&[
        Step { secrets: "\"the-old-secret-0123456789-0123456789-abc\"", files },
        Step { secrets: "[\"the-old-secret-0123456789-0123456789-abc\", \"the-new-secret-0123456789-0123456789-abc\"]", files },
        Step { secrets: "[\"the-new-secret-0123456789-0123456789-abc\", \"the-old-secret-0123456789-0123456789-abc\"]", files },
        Step { secrets: "\"the-new-secret-0123456789-0123456789-abc\"", files },
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_files_of_secrets_change_in_one_moment_and_lose_nobody() {
    let secrets = "[{ file = \"data/current\" }, { file = \"data/previous\" }]";
    rotate(&[
        Step { secrets, files: [OLD, OLD] },
        Step { secrets, files: [OLD, NEW] },
        Step { secrets, files: [NEW, OLD] },
        Step { secrets, files: [NEW, NEW] },
    ])
    .await;
}
