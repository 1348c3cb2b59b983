//! The shim itself: what it sees is what happens.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use windlass_tests::Rig;
use windlass_tests::shim::{Call, Change, Disk, Shim, trace};

use crate::Storm;
use crate::update::SPEED;

/// The directory that the trace tells of is the real one, byte for byte, the store's files included: no call is unseen.
#[test]
fn every_change_of_many_runs_is_seen() {
    let storm = Storm::new(5, 6);
    let mut disk = Disk::load(&storm.disk());
    let (status, calls) = storm.watch(None);
    assert!(status.success());
    storm.judge("watched");
    disk.apply(&calls);
    assert_same(&disk.contents(), &storm.disk());
    let written: usize = calls.iter().map(written_to_log).sum();
    assert_eq!(written as u64, fs::metadata(storm.journal().join("log/00000001.seg")).unwrap().len());
}

/// The same of the real command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_an_update_is_seen() {
    let rig = Rig::new(1, SPEED).await;
    let (shim, mut disk) = (Shim::build(&rig.beside("")), Disk::load(&rig.disk()));
    let mut command = rig.command();
    shim.watch(command.as_std_mut(), &rig.disk(), &rig.beside("trace"));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    disk.apply(&trace(&rig.beside("trace")));
    assert_same(&disk.contents(), &rig.disk());
}

/// A run of steps costs one sync a step, each with the result of one and the intent of the next.
///
/// Seen to fail with a commit of its own for each event.
#[test]
fn a_step_costs_one_sync() {
    let syncs = |steps| {
        let storm = Storm::new(1, steps);
        let (status, calls) = storm.watch(None);
        assert!(status.success());
        calls.iter().filter(|call| call.change == Change::Sync && is_log(call)).count()
    };
    assert_eq!(syncs(40) - syncs(10), 30);
}

fn written_to_log(call: &Call) -> usize {
    if let (Change::Write { bytes, .. }, true) = (&call.change, is_log(call)) { bytes.len() } else { 0 }
}

fn is_log(call: &Call) -> bool {
    call.path.extension().is_some_and(|end| end == "seg")
}

fn assert_same(told: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path) {
    let real = Disk::load(folder).contents();
    assert_eq!(told.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>(), "the files");
    for (path, content) in &real {
        assert!(told[path] == *content, "{}: {} bytes, told of {}", path.display(), content.len(), told[path].len());
    }
}
