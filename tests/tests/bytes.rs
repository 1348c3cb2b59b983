//! Readers of bytes that somebody else may have written: no panic, and no more memory than the input deserves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use peak_alloc::PeakAlloc;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use windlass_activities::Cluster;
use windlass_activities::ovn::RaftStatus;
use windlass_engine::archive::{self, Export, Redactor};
use windlass_engine::journal::{JournalReader, verify};
use windlass_engine::view::RunView;
use windlass_engine::{Event, OpenRun, Record, Registry, RunId, Timestamp, replay};
use windlass_sim::snapshot::{KINDS, Snapshot};
use windlass_sim::store::resources;
use windlass_sim::{ClusterShape, Scenario, Sim, SimClock};
use windlass_tests::{Storm, withstand};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One reader at a time, so that the memory measured is its own.
static TURN: Mutex<()> = Mutex::new(());

/// A reader may use a fixed amount, and so many bytes for each byte of input.
fn bounded<T>(input: usize, fixed: usize, each: usize, read: impl FnOnce() -> T) -> Result<T, String> {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let value = read();
    let rose = MEMORY.peak_usage().saturating_sub(before);
    let most = fixed + each * input;
    if rose > most { Err(format!("it took {rose} bytes of memory for an input of {input}; {most} would do")) } else { Ok(value) }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("histories")
}

/// The records of a recorded history.
fn recorded(name: &str) -> Vec<Record> {
    let reader = JournalReader::open(&corpus().join(name)).unwrap();
    reader.records().collect::<Result<_, _>>().unwrap()
}

fn segment(name: &str) -> Vec<u8> {
    fs::read(corpus().join(name).join("log/00000001.seg")).unwrap()
}

/// Mends the checksums of a damaged segment, so that what is behind them is reached.
fn reseal(bytes: &mut [u8]) {
    const HEADER: usize = 76;
    const FRAME: usize = 96;
    if bytes.len() < HEADER {
        return;
    }
    let prelude = crc32c::crc32c(&bytes[..12]).to_le_bytes();
    bytes[12..16].copy_from_slice(&prelude);
    let header = crc32c::crc32c(&bytes[..72]).to_le_bytes();
    bytes[72..76].copy_from_slice(&header);
    let mut at = HEADER;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = usize::try_from(u32::from_le_bytes([length[0], length[1], length[2], length[3]])).unwrap();
        let Some(frame) = bytes.get_mut(at..at.saturating_add(FRAME).saturating_add(length)) else { return };
        let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        at += frame.len();
    }
}

/// Reads a log that has this one segment in every way that a command does.
fn read_log(dir: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(dir.join("log/00000001.seg"), bytes).unwrap();
    // The buffer of a scan, the largest record twice, and what a report says.
    bounded(bytes.len(), (4 << 20) * 2 + (1 << 20), 8, || {
        let report = verify(dir);
        let Ok(reader) = JournalReader::open(dir) else { return Ok(()) };
        let read = reader.records().map_while(Result::ok).count() as u64;
        let heads = reader.runs();
        match report {
            Ok(report) if report.damage.is_none() && (report.records != read || heads.damage.is_some()) => {
                Err(format!("verify finds {} records and no damage; {read} can be read", report.records))
            }
            // The chain shows to `verify` alone.
            Ok(report) if report.records > read => Err(format!("{} records are good, {read} can be read", report.records)),
            Ok(_) | Err(_) => Ok(()),
        }
    })?
}

/// Seen to fail with the limit on a record's length taken out of `frame::check`.
#[test]
fn a_log_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    let whole = segment("cluster-update-r1-calm");
    let small = whole[..whole.len().min(6_000)].to_vec();
    let storm = Storm { cases: 800, most_bytes: 1 << 17 };
    withstand("log", storm, &[small.clone(), whole], |bytes| read_log(dir.path(), bytes));
    withstand("log with its checksums mended", storm, &[small], |bytes| {
        let mut bytes = bytes.to_vec();
        reseal(&mut bytes);
        read_log(dir.path(), &bytes)
    });
}

/// What decodes is written down again as an equal of itself. Seen to fail with `in_advance` never written.
#[test]
fn an_event_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for record in recorded("eus-update-r2-windows-canary-harsh").into_iter().chain(recorded("eus-update-r1-harsh")) {
        let text = serde_json::to_vec(&record.event).unwrap();
        let kind = |text: &[u8]| text.iter().take_while(|byte| **byte != b':').copied().collect::<Vec<_>>();
        if seeds.iter().filter(|seed| kind(seed) == kind(&text)).count() < 3 && text.len() < 4_000 {
            seeds.push(text);
        }
    }
    // Fields that the recorded histories happen not to have.
    for text in [
        r#"{"GateApproved":{"gate":"g","by":"a","reason":"r","in_advance":true,"seen":"d1","plan":"d2"}}"#,
        r#"{"ActivityCompleted":{"command":1,"attempt":2,"output":{"a":[1.5,null,"\u00e9"]},"evidence":"seen"}}"#,
        r#"{"RunAdopted":{"from":"/mnt/m","host":"b","by":"a","reason":"r"}}"#,
        r#"{"StepMarkedDone":{"command":7,"output":7,"evidence":"e","by":"a","reason":"r"}}"#,
        r#"{"RunParked":{"why":{"InDoubt":{"command":3,"summary":"s","evidence":"e"}}}}"#,
    ] {
        seeds.push(text.as_bytes().to_vec());
    }
    withstand("event", Storm { cases: 3_000, most_bytes: 1 << 16 }, &seeds, |bytes| {
        let Ok(event) = bounded(bytes.len(), 64 << 10, 64, || serde_json::from_slice::<Event>(bytes))? else { return Ok(()) };
        let text = serde_json::to_string(&event).map_err(|e| e.to_string())?;
        let again: Event = serde_json::from_str(&text).map_err(|e| format!("{text} does not decode again: {e}"))?;
        if again == event { Ok(()) } else { Err(format!("{text} decodes as another event")) }
    });
}

/// Events that are well-formed and stand where no engine would put them: shown, folded and replayed, or refused in
/// words. Seen to fail with a fold that takes an end for granted to have a beginning.
#[test]
fn a_history_of_any_events() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    let registry = windlass_workflows::register(Registry::new(), &Arc::new(Cluster::absent()));
    let pool: Vec<Record> =
        ["eus-update-r1-harsh", "eus-update-r2-windows-canary-harsh"].into_iter().flat_map(recorded).collect();
    let in_order = |skip: usize, take: usize| -> Vec<u8> {
        (skip..skip + take).flat_map(|i| u16::try_from(i).unwrap().to_le_bytes()).collect()
    };
    let first = recorded("eus-update-r1-harsh").len();
    let seeds = [in_order(0, first), in_order(0, 40), in_order(first, 60)];
    withstand("history", Storm { cases: 400, most_bytes: 1_000 }, &seeds, |bytes| {
        let chosen = bytes.chunks_exact(2).map(|two| &pool[usize::from(u16::from_le_bytes([two[0], two[1]])) % pool.len()]);
        let place = |(seq, record): (u64, &Record)| {
            let at = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
            Record { global: seq, run: RunId::from_bytes([7; 16]), seq, at, event: record.event.clone() }
        };
        let history: Vec<Record> = (1..).zip(chosen).map(place).collect();
        let (view, state) = (RunView::fold(&history), OpenRun::fold(&history));
        if view.is_some() != state.is_some() {
            return Err("the view and the state do not agree on whether there is a run".to_owned());
        }
        match replay(history, &registry) {
            Err(mismatch) if mismatch.message.is_empty() => Err("a refusal without a word".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        }
    });
}

/// A file that somebody else exported: read to its end or refused in words, and what is proven by a key is what that key signed.
/// Seen to fail with neither links nor signature checked.
#[test]
fn an_export_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let journal = JournalReader::open(&corpus().join("eus-update-r2-rejected")).unwrap();
    let run = journal.runs().runs[0].run;
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = BASE64.encode(key.public_key().as_ref());
    let sign = |bytes: &[u8]| BASE64.encode(key.sign(bytes).as_ref());
    let written = |redactor: Option<Redactor>| {
        let mut text = Vec::new();
        let export = Export { run, build: "test", journal: None, key: public.clone(), sign: &sign, redactor };
        archive::export(&journal, export, &mut text).unwrap();
        text
    };
    let seeds = [written(None), written(Some(Redactor::new(&["4.16".to_owned()]).unwrap()))];
    let read = |bytes: &[u8]| {
        let mut records = Vec::new();
        let archive = archive::read(&mut &*bytes, &mut |record| records.push(record));
        archive.map(|archive| (archive, records))
    };
    let signed: Vec<_> = seeds.iter().map(|seed| read(seed).unwrap()).collect();
    withstand("export", Storm { cases: 1_000, most_bytes: 1 << 18 }, &seeds, |bytes| {
        match bounded(bytes.len(), 1 << 20, 60, || read(bytes))? {
            Ok(taken) if taken.0.signer.as_ref() == Some(&public) && !signed.contains(&taken) => {
                Err("something was taken that the key has not signed".to_owned())
            }
            Err(error) if error.to_string().is_empty() => Err("refused without a word".to_owned()),
            Ok(_) | Err(_) => Ok(()),
        }
    });
}

/// A snapshot as the command writes it, in both of its spellings.
fn snapshots() -> Vec<Vec<u8>> {
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
    let (json, yaml) = (serde_json::to_vec(&snapshot).unwrap(), serde_saphyr::to_string(&snapshot).unwrap());
    // Aliases of aliases: seven lines that stand for two million entries.
    let mut laughs = "\n- a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..7 {
        let aliases = vec![format!("*a{}", level - 1); 8].join(", ");
        laughs.extend([format!("  a{level}: &a{level} [{aliases}]\n")]);
    }
    let laughing = yaml.replace("objects:", &format!("objects:{laughs}"));
    assert!(laughing.len() > yaml.len(), "the list of objects is where the aliases go");
    vec![json, yaml.into_bytes(), laughing.into_bytes()]
}

fn start(shape: ClusterShape) -> Result<Sim, String> {
    let clock = SimClock::new(chrono::DateTime::UNIX_EPOCH, 1.0);
    Sim::start(shape, Scenario::calm(), clock).map_err(|error| format!("{error:?}"))
}

/// Seen to fail with aliases allowed: two million entries from seven lines.
#[test]
fn a_cluster_snapshot_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.yaml");
    let seeds = snapshots();
    withstand("cluster snapshot", Storm { cases: 150, most_bytes: 1 << 20 }, &seeds, |bytes| {
        fs::write(&path, bytes).unwrap();
        let loaded = bounded(bytes.len(), 4 << 20, 100, || Snapshot::load(&path))?;
        // Whatever passes the check is a cluster that can be built, or is refused in words.
        loaded.map_or(Ok(()), |snapshot| start(snapshot.shape(1)).map_or(Ok(()), |_| Ok(())))
    });
}

/// Seen to fail with a line that is not known taken for granted.
#[test]
fn a_raft_status_of_any_bytes() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../activities/src/ovn/captures");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    withstand("raft status", Storm { cases: 6_000, most_bytes: 1 << 17 }, &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match bounded(text.len(), 64 << 10, 100, || RaftStatus::parse(&text))? {
            Err(error) if error.to_string().len() > 400 => Err(format!("an error of {} bytes", error.to_string().len())),
            Ok(_) | Err(_) => Ok(()),
        }
    });
}
