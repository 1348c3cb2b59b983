//! Real processes on a disk that is watched and that fails: killed at system calls, refused by the disk, cut off from power.
//!
//! `WINDLASS_SOAK=N` makes N times as many seeded cases, and whole sweeps; `WINDLASS_SEED=N` repeats one case.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod faults;
mod power;
mod sees;
mod storm;
mod sweep;
mod update;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use windlass_engine::journal::{JournalReader, verify};
use windlass_engine::{Event, Record};
use windlass_tests::shim::{Call, Fault, Shim, trace};

/// The program `storm` with its disk and its world: runs at once, each of which adds its lines to a file, each line once.
struct Storm {
    scratch: tempfile::TempDir,
    shim: Shim,
    runs: u64,
    steps: u64,
}

impl Storm {
    fn new(runs: u64, steps: u64) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("disk")).unwrap();
        fs::create_dir(scratch.path().join("world")).unwrap();
        let shim = Shim::build(scratch.path());
        Self { scratch, shim, runs, steps }
    }

    /// The folder that holds the journal and nothing else.
    fn disk(&self) -> PathBuf {
        self.scratch.path().join("disk")
    }

    fn journal(&self) -> PathBuf {
        self.disk().join("journal")
    }

    /// What is not on the disk: the lines that were added, and what the program said.
    fn world(&self, file: &str) -> PathBuf {
        self.scratch.path().join("world").join(file)
    }

    /// The program; what it says is appended to what was said before.
    fn command(&self) -> Command {
        let said = |file| OpenOptions::new().append(true).create(true).open(self.world(file)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_storm"));
        command.arg(self.journal()).arg(self.scratch.path().join("world"));
        command.args([self.runs.to_string(), self.steps.to_string()]);
        command.stdin(Stdio::null()).stdout(said("acknowledged")).stderr(said("complaints"));
        command
    }

    /// Lets it run, watched; answers its end and all that it changed.
    fn watch(&self, fault: Option<&Fault>) -> (ExitStatus, Vec<Call>) {
        let traced = self.scratch.path().join("trace");
        let _ = fs::remove_file(&traced);
        let mut command = self.command();
        match fault {
            Some(fault) => self.shim.strike(&mut command, self.scratch.path(), &traced, fault),
            None => self.shim.watch(&mut command, self.scratch.path(), &traced),
        }
        let status = command.status().unwrap();
        (status, trace(&traced))
    }

    /// Lets it run undisturbed, and judges the end.
    fn finish(&self, what: &str) {
        let status = self.command().status().unwrap();
        assert!(status.success(), "{what}: {status}: {}", text(&self.world("complaints")));
        self.judge(what);
    }

    /// What must hold at the end, however often it was disturbed.
    fn judge(&self, what: &str) {
        for run in 0..self.runs {
            let wanted: Vec<String> = (0..self.steps).map(|step| format!("{run} {step}")).collect();
            let of_run = format!("{run} ");
            let effects = text(&self.world("effects"));
            let made: Vec<&str> = effects.lines().filter(|line| line.starts_with(&of_run)).collect();
            assert_eq!(made, wanted, "{what}: every effect of run {run} once, in order");
        }
        let report = verify(&self.journal()).unwrap();
        assert!(report.damage.is_none(), "{what}: {:?}", report.damage);
        let records = records(&self.journal());
        assert_nothing_lost(what, &records, &text(&self.world("acknowledged")));
        let ended = records.iter().filter(|record| matches!(record.event, Event::RunCompleted { .. })).count();
        assert_eq!(ended as u64, self.runs, "{what}: every run is complete");
    }
}

/// Each event that the program said was acknowledged is on record; what it was killed in the middle of saying does not count.
fn assert_nothing_lost(what: &str, records: &[Record], acknowledged: &str) {
    let known: BTreeSet<String> = records.iter().map(|record| format!("{} {}", record.run, record.seq)).collect();
    for event in acknowledged.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        assert!(known.contains(event.trim_end()), "{what}: event {event:?} was acknowledged and is lost");
    }
}

fn records(journal: &Path) -> Vec<Record> {
    let Ok(reader) = JournalReader::open(journal) else { return Vec::new() };
    reader.records().map(|record| record.expect("the journal is readable to its end")).collect()
}

/// The text of a file that need not be there.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
