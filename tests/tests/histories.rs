//! Every recorded history decodes and replays under today's code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_activities::{Cluster, Settings};
use windlass_engine::journal::{JournalReader, verify};
use windlass_engine::{Clock, Record, Registry, Timestamp, TokioClock, replay};
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let mut histories: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be listed").path()).filter(|path| path.is_dir()).collect();
    histories.sort();
    histories
}

/// Whether what is kept was left in the middle of its way, to be gone on with.
fn is_half_way(dir: &Path) -> bool {
    dir.file_name().is_some_and(|name| name.to_string_lossy().ends_with("half-way"))
}

/// A registry as the command has it; replaying reaches no cluster, so any will do.
async fn registry() -> Registry {
    let epoch = chrono::DateTime::UNIX_EPOCH;
    let sim =
        Sim::start(ClusterShape::default(), Scenario::default(), SimClock::new(epoch, 1.0)).expect("the shape can be built");
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from(epoch)));
    let client = kube::Client::new(sim.service(), "default");
    let cluster = Cluster::from_client(client, Settings::simulated(clock)).await.expect("the cluster answers");
    windlass_workflows::register(Registry::new(), &Arc::new(cluster))
}

/// Every kept file with its digest, as a line each.
fn digests(folder: &Path, below: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpus can be listed") {
        let entry = entry.expect("it can be listed");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            lines.extend(digests(&entry.path(), &format!("{name}/")));
        } else if !below.is_empty() {
            let bytes = std::fs::read(entry.path()).expect("it can be read");
            lines.push(format!("{}  {name}", blake3::hash(&bytes).to_hex()));
        }
    }
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    lines
}

/// Seen to fail with one byte of a history changed, with a history removed, and with one added without its digest.
#[test]
fn what_is_kept_is_never_changed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    let known = std::fs::read_to_string(folder.join("DIGESTS")).expect("the digests are there");
    let found = digests(&folder, "").join("\n") + "\n";
    assert!(found == known, "the corpus is append-only; if a history was added, append its line to DIGESTS:\n{found}");
}

#[tokio::test(start_paused = true)]
async fn every_recorded_history_replays() {
    let registry = registry().await;
    let corpus = corpus();
    assert!(corpus.len() >= 2, "the corpus only grows: {corpus:?}");
    for dir in corpus {
        let name = dir.display();
        let report = verify(&dir).expect("it can be read");
        assert!(report.damage.is_none(), "{name}: {:?}", report.damage);
        let reader = JournalReader::open(&dir).expect("it can be opened");
        for head in reader.runs().runs {
            let history: Vec<Record> = reader.records_of(head.run).map(|record| record.expect("it decodes")).collect();
            let step = replay(history, &registry).unwrap_or_else(|mismatch| panic!("{name}: {mismatch}"));
            assert!(step.asked.is_empty(), "{name}: the code asks for more than is on record: {:?}", step.asked);
            assert_eq!(step.ended.is_some(), !is_half_way(&dir), "{name}: the run stands elsewhere than it stood");
        }
    }
}
