//! What was written down of a cluster: a snapshot of it, and what its databases say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use windlass_activities::ovn::RaftStatus;
use windlass_sim::snapshot::{KINDS, Snapshot};
use windlass_sim::store::resources;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

use super::bounded;

thread_local! {
    static DIR: tempfile::TempDir = tempfile::tempdir().unwrap();
    static TIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

/// A snapshot as the command writes it, in both of its spellings, one with an object of each kind, and one with aliases of aliases.
pub fn snapshots() -> Vec<Vec<u8>> {
    let (json, yaml, small) = TIME.with(|time| {
        let _inside = time.enter();
        let snapshot = snapshot();
        let (mut small, mut kinds) = (snapshot.clone(), BTreeSet::new());
        small.objects.retain(|object| object["kind"] == "MachineConfigPool" || kinds.insert(object["kind"].to_string()));
        (serde_json::to_vec(&snapshot).unwrap(), serde_saphyr::to_string(&snapshot).unwrap(), serde_json::to_vec(&small).unwrap())
    });
    // Seven lines that stand for two million entries.
    let mut laughs = "\n- a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..7 {
        let aliases = vec![format!("*a{}", level - 1); 8].join(", ");
        laughs.extend([format!("  a{level}: &a{level} [{aliases}]\n")]);
    }
    let laughing = yaml.replace("objects:", &format!("objects:{laughs}"));
    assert!(laughing.len() > yaml.len(), "the list of objects is where the aliases go");
    vec![json, yaml.into_bytes(), small, laughing.into_bytes()]
}

fn snapshot() -> Snapshot {
    let sim = start(ClusterShape::default()).unwrap();
    let mut snapshot = Snapshot::new("test", chrono::DateTime::UNIX_EPOCH);
    for kept in KINDS.iter().filter(|kept| kept.kind != "Pod") {
        let (group, version) = kept.api_version.split_once('/').unwrap_or(("", kept.api_version));
        let served = resources::find(group, version, kept.plural).unwrap();
        for object in sim.store().list(served) {
            let mut object = (*object).clone();
            (object["apiVersion"], object["kind"]) = (kept.api_version.into(), kept.kind.into());
            snapshot.objects.extend(kept.trim(&object));
        }
    }
    snapshot
}

fn start(shape: ClusterShape) -> Result<Sim, String> {
    let clock = SimClock::new(chrono::DateTime::UNIX_EPOCH, 1.0);
    Sim::start(shape, Scenario::calm(), clock).map_err(|error| format!("{error:?}"))
}

/// Whatever passes the check is a cluster that can be built, or is refused in words.
pub fn judge_snapshot(bytes: &[u8]) -> Result<(), String> {
    let path = DIR.with(|dir| dir.path().join("cluster.yaml"));
    fs::write(&path, bytes).unwrap();
    let loaded = bounded(bytes.len(), 4 << 20, 100, || Snapshot::load(&path))?;
    TIME.with(|time| {
        let _inside = time.enter();
        loaded.map_or(Ok(()), |snapshot| start(snapshot.shape(1)).map_or(Ok(()), |_| Ok(())))
    })
}

/// What databases said, as it was captured, and what fuzzing found to be refused at length.
pub fn raft_statuses() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../activities/src/ovn/captures");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let captures = files.iter().map(|file| fs::read(file).unwrap());
    captures.chain([format!("757e\nName: OVN_Nort{}erver ID: 757e", "\u{e}".repeat(72)).into_bytes()]).collect()
}

/// What is refused is refused in few words.
pub fn judge_raft_status(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    match bounded(text.len(), 64 << 10, 100, || RaftStatus::parse(&text))? {
        Err(error) if error.to_string().len() > 400 => Err(format!("an error of {} bytes", error.to_string().len())),
        Ok(_) | Err(_) => Ok(()),
    }
}
