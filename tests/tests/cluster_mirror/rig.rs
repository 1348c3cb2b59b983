//! A cluster that is held by somebody who keeps a mirror in it, and records of any size.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use serde_json::Value;
use windlass_activities::lease::{self, Claim, Held, Holder, Taking};
use windlass_activities::mirror::{ClusterMirror, read_cluster};
use windlass_activities::{Cluster, Settings};
use windlass_engine::mirror::{MirrorCopy, MirrorError, MirrorTarget as _};
use windlass_engine::{Clock, Event, Json, NewEvent, Record, RunId, Timestamp, TokioClock};
use windlass_sim::api::Verb;
use windlass_sim::faults::{ApiFault, Effect, Match, When};
use windlass_sim::store::resources::SECRETS;
use windlass_sim::{ClusterShape, FaultScript, Scenario, Sim, SimClock};

pub(crate) const JOURNAL: &str = "019aa000-0000-7000-8000-00000000000a";
pub(crate) const ABOUT: &str = "windlass-00000000000a";

/// A cluster, held by somebody who may write to it.
pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) cluster: Arc<Cluster>,
    _held: Held,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let epoch = DateTime::from_timestamp(1_772_431_200, 0).expect("a time");
        let sim = Sim::start(ClusterShape::default(), Scenario::calm(), SimClock::new(epoch, 1.0)).expect("a shape");
        let client = kube::Client::new(sim.service(), "default");
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(epoch.into()));
        let cluster = Arc::new(Cluster::from_client(client, Settings::simulated(clock)).await.expect("the cluster is there"));
        let holder = Holder { home: "laptop-1.1".to_owned(), journal: JOURNAL.to_owned(), start: "s1".to_owned() };
        let claim = Claim { holder, who: "ana@laptop-1".to_owned(), pid: 4242 };
        let held = lease::take(&cluster, &claim, &Taking::Free, &[], &|_| ()).await.expect("nobody holds it");
        Self { sim, cluster, _held: held }
    }

    pub(crate) fn mirror(&self) -> ClusterMirror {
        ClusterMirror::new(&self.cluster, JOURNAL)
    }

    /// A mirror that was opened.
    pub(crate) async fn opened(&self) -> ClusterMirror {
        let mut mirror = self.mirror();
        mirror.open(true).await.expect("it opens");
        mirror
    }

    pub(crate) async fn copy(&self) -> MirrorCopy {
        let mut copies = read_cluster(&self.cluster).await.expect("it is readable");
        assert_eq!(copies.len(), 1);
        copies.remove(0)
    }

    /// The Secrets of mirrors, by name.
    pub(crate) fn secrets(&self) -> BTreeMap<String, Value> {
        let ours = self.sim.store().list(&SECRETS).into_iter().filter(|secret| secret["metadata"]["namespace"] == "windlass");
        ours.map(|secret| (secret["metadata"]["name"].as_str().unwrap_or_default().to_owned(), (*secret).clone())).collect()
    }

    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.sim.store().modify(&SECRETS, Some("windlass"), name, edit).expect("it is there");
    }

    pub(crate) fn delete(&self, name: &str) {
        let any = windlass_sim::store::Preconditions::default();
        self.sim.store().delete(&SECRETS, Some("windlass"), name, &any).expect("it is there");
    }

    /// What goes wrong with the next so many writes of a kind to Secrets.
    pub(crate) fn fault(&self, verb: Verb, name: Option<&str>, effect: Effect) {
        let on =
            Match { verbs: vec![verb], resource: Some("secrets".to_owned()), name: name.map(str::to_owned), ..Match::default() };
        let once = When { times: Some(1), ..When::default() };
        self.sim.faults().add(FaultScript { api: vec![ApiFault { on, when: once, effect }] });
    }
}

pub(crate) fn run(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

/// The name of a chunk.
pub(crate) fn chunk(run: u8, number: u32) -> String {
    format!("{ABOUT}-{}-{number}", format!("{run:02x}").repeat(6))
}

/// An event of about so many bytes.
pub(crate) fn new(run_number: u8, seq: u64, bytes: usize) -> NewEvent {
    let event = match seq {
        1 => Event::RunStarted {
            workflow: "w".to_owned(),
            revision: 1,
            build: "test".to_owned(),
            input: Json::of(&"x".repeat(bytes)).expect("JSON"),
            cluster: None,
            by: "ana".to_owned(),
        },
        _ => Event::NoteAdded { text: "x".repeat(bytes), by: "ana".to_owned() },
    };
    NewEvent { run: run(run_number), seq, at: Timestamp::from_micros(7), event }
}

pub(crate) fn record(run: u8, seq: u64, bytes: usize) -> Record {
    let NewEvent { run, seq, at, event } = new(run, seq, bytes);
    Record { global: 0, run, seq, at, event }
}

pub(crate) fn ended(run: u8, seq: u64) -> Record {
    Record { event: Event::RunCompleted { output: Json::null() }, ..record(run, seq, 0) }
}

pub(crate) fn numbered(run: u8, seqs: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<Record> {
    seqs.map(|seq| record(run, seq, bytes)).collect()
}

pub(crate) fn refused(error: &MirrorError) -> String {
    assert!(matches!(error, MirrorError::Refused(_)), "{error}");
    error.to_string()
}
