//! A disk that refuses: what the operator reads, and that `resume` goes on when the cause is gone.

use std::fmt::Write as _;

use futures::{StreamExt as _, stream};
use rustix::io::Errno;
use windlass_tests::Rig;
use windlass_tests::shim::{Change, Fault, Shim, What, trace};

use crate::update::{AT_ONCE, SPEED, assert_on_record, struck};

const CASES: [(&str, Fault); 7] = [
    ("the disk fills up", Fault { on: "write", files: "/log/", nth: 9, what: What::FillUp }),
    ("the disk is full for a new segment", Fault { on: "create", files: "/log/", nth: 1, what: What::Fail(Errno::NOSPC) }),
    ("a write fails", Fault { on: "write", files: "/log/", nth: 9, what: What::Fail(Errno::IO) }),
    ("a sync fails", Fault { on: "sync", files: "/log/", nth: 9, what: What::FailOnce(Errno::IO) }),
    (
        "the file system turns read-only",
        Fault { on: "write truncate sync", files: "/log/", nth: 9, what: What::Fail(Errno::ROFS) },
    ),
    ("the file system is read-only", Fault { on: "create mkdir", files: "", nth: 1, what: What::Fail(Errno::ROFS) }),
    ("too many files are open", Fault { on: "open create", files: "/log/", nth: 1, what: What::Fail(Errno::MFILE) }),
];

/// Seen to fail with a failed sync that is tried again, and with one that is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_refuses_is_named_and_the_update_goes_on_later() {
    let told: Vec<String> = stream::iter(CASES).map(|(name, fault)| refused(name, fault)).buffered(AT_ONCE).collect().await;
    insta::assert_snapshot!(told.concat());
}

async fn refused(name: &str, fault: Fault) -> String {
    let rig = Rig::new(7, SPEED).await;
    let (status, said) = struck(&rig, &Shim::build(&rig.beside("")), &fault).await;
    let known = rig.records();
    assert_on_record(name, &said, &known);
    assert_no_sync_after_a_failed_one(name, &rig);
    rig.finish(name).await;
    rig.judge(name, &known);
    let mut told = format!("{name}: exit code {}\n", status.code().unwrap());
    let lines: Vec<&str> = said.lines().collect();
    for line in &lines[lines.len().saturating_sub(2)..] {
        let disk = rig.disk();
        writeln!(told, "  {}", line.replace(&*disk.to_string_lossy(), "…")).unwrap();
    }
    told
}

fn assert_no_sync_after_a_failed_one(name: &str, rig: &Rig) {
    let mut failed = Vec::new();
    for call in trace(&rig.beside("trace")).into_iter().filter(|call| call.change == Change::Sync) {
        assert!(!failed.contains(&call.path), "{name}: {} is synced again after a sync of it failed", call.path.display());
        if call.error != 0 {
            failed.push(call.path);
        }
    }
}
