//! The real binary in a clean environment, and a small journal with fixed ids and times to point it at.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_engine::journal::{DiskJournal, Journal, JournalError, JournalOptions};
use windlass_engine::{
    ActivityError, Clock, CommandId, Effect, Event, Json, NewEvent, ParkReason, ProbeVerdict, RunId, SystemClock, Timestamp,
};

/// What a call of the binary gave.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Said {
    /// Everything at once, for a snapshot.
    pub(crate) fn whole(&self) -> String {
        format!("{}--- stderr\n{}--- exit {}\n", self.out, self.err, self.code)
    }
}

/// A place for one test: a home, and perhaps a journal.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path("journal")
    }

    /// The binary with nothing of this machine's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).env_clear();
        // A rehearsal takes no journal from the environment: that one has the runs of real clusters.
        if args.first() == Some(&"rehearse") {
            command.arg("--journal").arg(self.journal());
        }
        for (name, value) in [("TZ", "UTC"), ("USER", "ana"), ("PATH", "/usr/bin:/bin"), ("TERM", "dumb")] {
            command.env(name, value);
        }
        command.env("HOME", self.dir.path()).env("WINDLASS_JOURNAL", self.journal());
        command
    }

    /// Runs it to its end. What differs from machine to machine and from day to day is replaced.
    pub(crate) fn windlass(&self, args: &[&str]) -> Said {
        let output = self.command(args).output().expect("the binary runs");
        let text = |bytes: &[u8]| self.redacted(&String::from_utf8_lossy(bytes));
        Said { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    fn redacted(&self, text: &str) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let text = text.replace(&self.dir.path().display().to_string(), "PLACE").replace(&format!("@{}", host.trim()), "@HOST");
        let line = |line: &str| match line.strip_prefix("running for") {
            Some(_) => "running for  LONG".to_owned(),
            None => without_ages(line),
        };
        text.lines().map(|one| line(one) + "\n").collect()
    }
}

/// Replaces `(3 d 4 h)`, `(3 d 4 h ago)` and the like: they count from today.
fn without_ages(line: &str) -> String {
    let mut parts = line.split('(');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let since = text.contains("since ");
        let age = part.split_once(')').filter(|(inner, _)| since || inner.ends_with(" ago")).filter(|(inner, _)| {
            let inner = inner.trim_start_matches("since ").trim_start_matches("last seen ");
            let inner = inner.split(',').next().unwrap_or(inner).trim_end_matches(" ago");
            let units = ["d", "h", "min", "s"];
            let words: Vec<&str> = inner.split(' ').collect();
            words.len() >= 2
                && words.chunks(2).all(|pair| pair.len() == 2 && pair[0].parse::<u64>().is_ok() && units.contains(&pair[1]))
        });
        match age {
            Some((_, rest)) => text.extend(["(LONG)", rest]),
            None => text.extend(["(", part]),
        }
    }
    text
}

/// The id of a crafted run: the same beginning, its number at the end.
pub(crate) fn id(number: u8) -> RunId {
    let mut bytes = [0x01, 0x9a, 0x48, 0xba, 0xe8, 0x00, 0x70, 0x00, 0x80, 0x00, 0, 0, 0, 0, 0, 0];
    bytes[12..].copy_from_slice(&[number * 0x11; 4]);
    RunId::from_bytes(bytes)
}

/// So many seconds after the crafted journal begins, 2026-03-02 21:00 UTC.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_772_485_200 + seconds) * 1_000_000)
}

/// Appends events to a run, each with its time.
pub(crate) fn append(journal: &mut dyn Journal, run: RunId, first_seq: u64, events: Vec<(i64, Event)>) {
    let events = (first_seq..).zip(events).map(|(seq, (seconds, event))| NewEvent { run, seq, at: at(seconds), event });
    journal.append(&events.collect::<Vec<_>>()).expect("the journal takes it");
}

/// Opens the journal of a place for writing, with the lock. A process that a test beside this one begins has the lock's file, too, from
/// its fork until it runs its own program.
pub(crate) fn open(dir: &Path) -> DiskJournal {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        match DiskJournal::open(dir, &clock, JournalOptions::default()) {
            Err(JournalError::Locked { .. }) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(5)),
            opened => return opened.expect("the journal opens"),
        }
    }
}

pub(crate) fn started() -> Event {
    Event::RunStarted {
        workflow: "eus-update".to_owned(),
        revision: 1,
        build: "0.1.0".to_owned(),
        input: Json::of(&serde_json::json!({"channel": "eus-4.18", "target": "4.18", "pause_days": 60})).expect("it is JSON"),
        cluster: Some("3874d70b-7f5e-406b-8935-511eb534ed92".to_owned()),
        by: "ana@bastion".to_owned(),
    }
}

pub(crate) fn resumed(incarnation: u64) -> Event {
    Event::RunResumed { incarnation, build: "0.1.0".to_owned(), host: "bastion".to_owned(), pid: 4242, epoch: None }
}

pub(crate) fn scheduled(command: u32, activity: &str, class: Effect, summary: &str) -> Event {
    Event::ActivityScheduled {
        command: CommandId(command),
        activity: activity.to_owned(),
        class,
        input: Json::of(&serde_json::json!({"pool": "worker"})).expect("it is JSON"),
        summary: summary.to_owned(),
        site: "workflows/src/eus_update.rs:70".to_owned(),
        approval: None,
    }
}

pub(crate) fn done(command: u32, attempt: u32, evidence: Option<&str>) -> Event {
    let output = Json::of(&serde_json::json!({"already": false})).expect("it is JSON");
    Event::ActivityCompleted { command: CommandId(command), attempt, output, evidence: evidence.map(str::to_owned) }
}

pub(crate) fn held(command: u32) -> Event {
    Event::ChangeHeld {
        command: CommandId(command),
        key: "pool/worker/paused".to_owned(),
        text: "pool worker is paused".to_owned(),
        prior: Json::of(&false).expect("it is JSON"),
    }
}

fn gate(command: u32) -> Event {
    Event::GateOpened {
        command: CommandId(command),
        gate: "release-pool-worker".to_owned(),
        text: "Unpause pool worker?\nIts 4 nodes drain and reboot, 1 at a time.".to_owned(),
        site: "workflows/src/eus_update.rs:150".to_owned(),
    }
}

fn conflict() -> ActivityError {
    ActivityError::transient("conflict", "machineconfigpool worker changed meanwhile")
}

/// Run 1 has seen everything and completed.
fn eventful() -> Vec<(i64, Event)> {
    let approved = Event::GateApproved {
        gate: "release-pool-worker".to_owned(),
        by: "bo@bastion".to_owned(),
        reason: Some("graphs are quiet".to_owned()),
        in_advance: false,
        seen: None,
        plan: None,
    };
    let retry = Event::ActivityRetryScheduled { command: CommandId(1), attempt: 1, error: conflict(), due_at: at(12) };
    let doubt =
        Event::ActivityInDoubt { command: CommandId(2), attempt: 1, reason: "the worker that began it is gone".to_owned() };
    let probed = Event::ActivityProbed {
        command: CommandId(2),
        attempt: 1,
        verdict: ProbeVerdict::DidNotHappen,
        evidence: "spec.desiredUpdate names nothing".to_owned(),
    };
    let update = "ask the cluster to update to 4.17.11";
    vec![
        (0, started()),
        (0, resumed(1)),
        (1, held(0)),
        (1, scheduled(1, "pause-pool", Effect::Declare, "pause pool worker")),
        (2, retry),
        (12, Event::ActivityStarted { command: CommandId(1), attempt: 2 }),
        (13, done(1, 2, None)),
        (13, scheduled(2, "request-update", Effect::Once, update)),
        (7200, resumed(2)),
        (7200, doubt),
        (7201, probed),
        (7201, Event::ActivityStarted { command: CommandId(2), attempt: 2 }),
        (7202, done(2, 2, Some("spec.desiredUpdate names it"))),
        (
            7202,
            Event::TimerStarted {
                command: CommandId(3),
                due_at: at(18_000),
                site: "workflows/src/eus_update.rs:90".to_owned(),
                why: None,
            },
        ),
        (18_000, Event::TimerFired { command: CommandId(3) }),
        (18_000, gate(4)),
        (18_100, approved),
        (18_101, Event::ChangeGivenBack { command: CommandId(5), key: "pool/worker/paused".to_owned() }),
        (18_102, Event::RunCompleted { output: Json::of("4.18.5").expect("it is JSON") }),
    ]
}

/// A journal with one run in each state.
pub(crate) fn crafted(dir: &Path) {
    let mut journal = open(dir);
    append(&mut journal, id(1), 1, eventful());
    let pause = || scheduled(1, "pause-pool", Effect::Declare, "pause pool worker");
    append(
        &mut journal,
        id(2),
        1,
        vec![(20_000, started()), (20_000, held(0)), (20_001, pause()), (20_002, done(1, 1, None)), (20_002, gate(2))],
    );
    let exhausted = ParkReason::RetriesExhausted {
        command: CommandId(1),
        summary: "pause pool worker".to_owned(),
        attempts: 10,
        error: conflict(),
    };
    append(&mut journal, id(3), 1, vec![(21_000, started()), (21_001, pause()), (21_400, Event::RunParked { why: exhausted })]);
    let in_doubt = ParkReason::InDoubt {
        command: CommandId(1),
        summary: "kick server d64b".to_owned(),
        evidence: "the leader is unknown since 3 min".to_owned(),
    };
    let kick = scheduled(1, "kick-server", Effect::Once, "kick server d64b");
    append(&mut journal, id(4), 1, vec![(22_000, started()), (22_001, kick), (22_300, Event::RunParked { why: in_doubt })]);
    let failed = Event::RunFailed { error: "the update graph has moved since the plan".to_owned() };
    append(&mut journal, id(5), 1, vec![(23_000, started()), (23_005, failed)]);
    let cancel = Event::CancelRequested { by: "bo@bastion".to_owned(), reason: Some("window over".to_owned()) };
    let cancelled = Event::RunCancelled { error: "cancelled".to_owned() };
    append(&mut journal, id(6), 1, vec![(24_000, started()), (24_060, cancel), (24_061, cancelled)]);
    let wait = scheduled(0, "await-pool", Effect::Observe, "wait until every node of pool worker is back");
    append(&mut journal, id(7), 1, vec![(25_000, started()), (25_001, wait)]);
    Box::new(journal).close().expect("the journal closes");
}
