//! Ways to save, each told once, by the kernel's events alone.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use tokio::task::JoinSet;

use super::{Bench, put, soon};

/// One way to save: what is there, what of it is watched, and what is done.
struct Way {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    watched: &'static str,
    save: fn(&Path),
}

const PLAIN: &[(&str, &str)] = &[("gw.toml", "old"), ("other", "other")];

/// As the kubelet lays out a volume.
const KUBERNETES: &[(&str, &str)] =
    &[("conf/..1/gw.toml", "old"), ("conf/..2/gw.toml", "new"), ("conf/..data", "->..1"), ("conf/gw.toml", "->..data/gw.toml")];

const LINKED: &[(&str, &str)] = &[("conf/gw.toml", "->../elsewhere/real"), ("elsewhere/real", "old"), ("elsewhere/next", "new")];

const RELEASES: &[(&str, &str)] = &[("one/conf/gw.toml", "old"), ("two/conf/gw.toml", "new"), ("current", "->one")];

fn rename(folder: &Path, from: &str, to: &str) {
    fs::rename(folder.join(from), folder.join(to)).unwrap();
}

/// Points a link elsewhere, as `ln -sfn` and the kubelet do.
fn point(folder: &Path, link: &str, target: &str) {
    put(&folder.join("link being made"), &format!("->{target}"));
    rename(folder, "link being made", link);
}

const WAYS: &[Way] = &[
    Way { name: "writing in place", files: PLAIN, watched: "gw.toml", save: |folder| put(&folder.join("gw.toml"), "new") },
    Way {
        name: "appending",
        files: PLAIN,
        watched: "gw.toml",
        save: |folder| File::options().append(true).open(folder.join("gw.toml")).unwrap().write_all(b"more").unwrap(),
    },
    Way {
        name: "replacing by a rename",
        files: PLAIN,
        watched: "gw.toml",
        save: |folder| {
            put(&folder.join("gw.toml.tmp"), "new");
            rename(folder, "gw.toml.tmp", "gw.toml");
        },
    },
    Way {
        name: "a backup and a new file",
        files: PLAIN,
        watched: "gw.toml",
        save: |folder| {
            rename(folder, "gw.toml", "gw.toml~");
            put(&folder.join("gw.toml"), "new");
        },
    },
    Way {
        name: "deleting and creating",
        files: PLAIN,
        watched: "gw.toml",
        save: |folder| {
            fs::remove_file(folder.join("gw.toml")).unwrap();
            put(&folder.join("gw.toml"), "new");
        },
    },
    Way { name: "deleting", files: PLAIN, watched: "gw.toml", save: |folder| fs::remove_file(folder.join("gw.toml")).unwrap() },
    Way {
        name: "a burst of writes",
        files: PLAIN,
        watched: "gw.toml",
        save: |folder| (0..200).for_each(|number| put(&folder.join("gw.toml"), &format!("new {number}"))),
    },
    Way { name: "a file that was not there", files: PLAIN, watched: "late.toml", save: |folder| put(&folder.join("late.toml"), "new") },
    Way {
        name: "a folder that was not there",
        files: PLAIN,
        watched: "late/gw.toml",
        save: |folder| put(&folder.join("late/gw.toml"), "new"),
    },
    Way {
        name: "a swap of ..data",
        files: KUBERNETES,
        watched: "conf/gw.toml",
        save: |folder| {
            point(&folder.join("conf"), "..data", "..2");
            fs::remove_dir_all(folder.join("conf/..1")).unwrap();
        },
    },
    Way {
        name: "a swap of ..data in a folder that is read as one",
        files: KUBERNETES,
        watched: "conf",
        save: |folder| point(&folder.join("conf"), "..data", "..2"),
    },
    Way {
        name: "writing to where a link points",
        files: LINKED,
        watched: "conf/gw.toml",
        save: |folder| put(&folder.join("elsewhere/real"), "new"),
    },
    Way {
        name: "replacing what a link points to",
        files: LINKED,
        watched: "conf/gw.toml",
        save: |folder| rename(folder, "elsewhere/next", "elsewhere/real"),
    },
    Way {
        name: "pointing a link elsewhere",
        files: LINKED,
        watched: "conf/gw.toml",
        save: |folder| point(&folder.join("conf"), "gw.toml", "../elsewhere/next"),
    },
    Way {
        name: "pointing a folder on the way elsewhere",
        files: RELEASES,
        watched: "current/conf/gw.toml",
        save: |folder| point(folder, "current", "two"),
    },
    Way { name: "moving the folder away", files: KUBERNETES, watched: "conf/gw.toml", save: |folder| rename(folder, "conf", "away") },
    Way {
        name: "another folder in its place",
        files: RELEASES,
        watched: "one/conf/gw.toml",
        save: |folder| {
            rename(folder, "one/conf", "one/old");
            rename(folder, "two/conf", "one/conf");
        },
    },
    Way {
        name: "a folder deleted and made again",
        files: RELEASES,
        watched: "one/conf/gw.toml",
        save: |folder| {
            fs::remove_dir_all(folder.join("one/conf")).unwrap();
            put(&folder.join("one/conf/gw.toml"), "new");
        },
    },
    Way {
        name: "a new file of a folder",
        files: RELEASES,
        watched: "one/conf",
        save: |folder| put(&folder.join("one/conf/new.toml"), "new"),
    },
    Way {
        name: "one file less of a folder",
        files: RELEASES,
        watched: "one/conf",
        save: |folder| fs::remove_file(folder.join("one/conf/gw.toml")).unwrap(),
    },
];

#[tokio::test]
async fn every_way_to_save_is_told_once_and_so_is_the_next_save() {
    WAYS.iter().map(told_once).collect::<JoinSet<_>>().join_all().await;
}

async fn told_once(Way { name, files, watched, save }: &Way) {
    let mut bench = Bench::new(files, &[watched, "sentinel"]).await;
    save(bench.folder.path());
    bench.expect_change(name).await;
    // Whatever the first one has replaced, it is heard of again.
    let again = if bench.path(watched).is_dir() { format!("{watched}/again.toml") } else { (*watched).to_owned() };
    bench.put(&again, "again");
    bench.expect_change(&format!("a save after {name}")).await;
    bench.put("sentinel", "written");
    bench.expect_change(&format!("another file after {name}")).await;
}

#[tokio::test]
async fn a_folder_that_comes_back_is_heard_of_as_before() {
    let mut bench = Bench::new(RELEASES, &["one/conf/gw.toml"]).await;
    rename(bench.folder.path(), "one/conf", "away");
    bench.expect_change("a folder that goes").await;
    rename(bench.folder.path(), "away", "one/conf");
    bench.expect_change("a folder that comes back").await;
    bench.put("one/conf/gw.toml", "new");
    bench.expect_change("a save in it").await;
}

#[tokio::test]
async fn a_folder_that_was_replaced_is_not_heard_any_more() {
    let mut bench = Bench::new(RELEASES, &["one/conf/gw.toml", "sentinel"]).await;
    rename(bench.folder.path(), "one/conf", "away");
    rename(bench.folder.path(), "two/conf", "one/conf");
    bench.expect_change("another folder in its place").await;
    let _open = File::create(bench.path("away/gw.toml")).unwrap();
    rename(bench.folder.path(), "two", "sentinel");
    soon(bench.watch.ear.stirred(), "the sentinel").await;
    assert!(!bench.watch.ear.is_being_written(), "what is open is in the folder that was moved away");
}

#[tokio::test]
async fn what_leaves_the_contents_as_they_were_is_not_told() {
    let touch = |path: &Path| File::options().append(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let mut bench = Bench::new(LINKED, &["elsewhere/real", "elsewhere"]).await;
    let path = bench.path("elsewhere/real");
    touch(&path);
    bench.expect_stir_only("touching").await;
    put(&path, "old");
    bench.expect_stir_only("writing the same").await;
    put(&path, "new");
    put(&path, "old");
    bench.expect_stir_only("writing and taking it back").await;
    rename(bench.folder.path(), "elsewhere", "away");
    rename(bench.folder.path(), "away", "elsewhere");
    bench.expect_stir_only("moving the folder away and back").await;
    bench.put("elsewhere/real", "new");
    bench.expect_change("a save after all that").await;
}

#[tokio::test]
async fn while_an_edit_is_refused_each_save_is_told_and_nothing_that_is_written_beside_it() {
    let mut bench = Bench::new(KUBERNETES, &["conf/gw.toml", "conf"]).await;
    bench.watch.be_wary(true);
    bench.expect_nothing_more("being wary").await;
    bench.put("conf/beside", "a log, say");
    bench.expect_nothing_more("what is beside it").await;
    for _ in 0..2 {
        bench.put("conf/gw.toml", "old");
        bench.expect_change("writing the same").await;
    }
    bench.watch.be_wary(false);
    bench.put("conf/gw.toml", "old");
    bench.expect_stir_only("writing the same once more").await;
}

#[tokio::test]
async fn a_file_that_was_emptied_to_be_written_is_waited_for() {
    let mut bench = Bench::new(PLAIN, &["gw.toml"]).await;
    let mut file = File::create(bench.path("gw.toml")).unwrap();
    soon(bench.watch.ear.stirred(), "emptying").await;
    assert!(bench.watch.ear.is_being_written());
    // Not even a reload in between makes it forget that.
    bench.watch.rearm(bench.paths(&["gw.toml"])).await;
    assert!(bench.watch.ear.is_being_written());
    file.write_all(b"new").unwrap();
    drop(file);
    bench.expect_change("writing").await;
    assert!(!bench.watch.ear.is_being_written());
}

#[tokio::test]
async fn files_named_later_are_watched_and_those_not_named_any_more_are_not() {
    let mut bench = Bench::new(&[("conf/gw.toml", "old"), ("lists/deny", "old")], &["conf/gw.toml"]).await;
    bench.put("conf/gw.toml", "names the list");
    bench.expect_change("a save").await;
    bench.watch.rearm(bench.paths(&["conf/gw.toml", "lists/deny"])).await;
    bench.expect_nothing_more("naming a file").await;
    bench.put("lists/deny", "new");
    bench.expect_change("a save of the list").await;
    bench.watch.rearm(bench.paths(&["conf/gw.toml"])).await;
    bench.put("lists/deny", "nobody looks");
    bench.expect_nothing_more("what is not named").await;
}

#[tokio::test]
async fn what_is_written_during_a_reload_is_told_after_it() {
    let mut bench = Bench::new(&[("gw.toml", "old"), ("late", "old")], &["gw.toml"]).await;
    bench.put("gw.toml", "new");
    bench.expect_change("a save").await;
    bench.put("gw.toml", "newer");
    bench.watch.rearm(bench.paths(&["gw.toml"])).await;
    bench.expect_change("a save of a file that was watched").await;
    bench.put("late", "written after it was read");
    bench.watch.rearm(bench.paths(&["gw.toml", "late"])).await;
    bench.expect_change("a save of a file that was not watched yet").await;
}

#[tokio::test]
async fn what_a_reload_took_in_that_nobody_told_of_is_not_told() {
    let mut bench = Bench::new(PLAIN, &["gw.toml"]).await;
    bench.put("gw.toml", "new");
    bench.watch.catch_up().await;
    bench.watch.rearm(bench.paths(&["gw.toml"])).await;
    bench.expect_nothing_more("what was caught up with").await;
    bench.put("gw.toml", "newer");
    bench.expect_change("a save after it").await;
}
