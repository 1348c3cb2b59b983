use std::sync::Arc;

use super::*;
use crate::journal::MemoryJournal;
use crate::json::Json;
use crate::{Gate, Registry, SystemClock, Until, Worker, WorkerOptions, WorkflowContext, WorkflowResult};

async fn gated(ctx: WorkflowContext, (): ()) -> WorkflowResult<String> {
    ctx.gate(Gate::new("go", "Shall it?")).await.map(|approval| approval.by)
}

fn request(what: What) -> Request {
    Request { run: RunId::from_bytes([7; 16]), by: "ana".to_owned(), reason: None, what }
}

fn start(cluster: Option<&str>) -> What {
    What::Start {
        workflow: "gated".to_owned(),
        revision: 1,
        build: "0.1.0".to_owned(),
        input: Json::null(),
        cluster: cluster.map(str::to_owned),
        approvals: Vec::new(),
        plan: None,
    }
}

fn approve(gate: &str) -> What {
    What::Approve { gate: gate.to_owned(), in_advance: false, seen: None, plan: None }
}

/// A worker of cluster `here` that answers in `dir`.
fn serve(dir: &Path) -> WorkerHandle {
    let registry = Registry::new().workflow("gated", 1, gated);
    let options = WorkerOptions { until: Until::Stopped, ..WorkerOptions::default() };
    let worker = Worker::new(Box::new(MemoryJournal::new()), registry, Arc::new(SystemClock), options);
    let handle = worker.handle();
    let listener = Listener::bind(dir).expect("the socket can be bound");
    tokio::spawn(listener.serve(handle.clone(), Some("here".to_owned())));
    tokio::spawn(worker.run());
    handle
}

async fn next_event(watch: &mut Watch) -> Event {
    loop {
        match watch.next().await.expect("the connection holds").expect("the worker lives") {
            Heard::Update(Update::Recorded(record)) => return record.event.clone(),
            Heard::Update(Update::Progress(_) | Update::Status { .. }) | Heard::Missed(_) => {}
        }
    }
}

#[tokio::test]
async fn what_is_told_is_done_refused_or_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    serve(dir.path());
    let mut remote = Remote::connect(dir.path()).await.expect("the worker listens");
    let other = remote.tell(request(start(Some("there")))).await;
    assert!(matches!(other, Err(RemoteError::OtherCluster { worker }) if worker == "here"));
    let run = request(What::Cancel).run;
    assert_eq!(remote.tell(request(approve("go"))).await.expect("it answers"), Err(Refusal::NoSuchRun { run }));
    assert_eq!(remote.tell(request(start(Some("here")))).await.expect("it answers"), Ok(()));
    let shut = remote.tell(request(approve("stop"))).await.expect("it answers");
    assert_eq!(shut, Err(Refusal::GateNotOpen { run, gate: "stop".to_owned(), open: vec!["go".to_owned()] }));
    assert_eq!(remote.tell(request(approve("go"))).await.expect("it answers"), Ok(()));
    assert_eq!(remote.progress().await.expect("it answers"), Vec::new());
}

#[tokio::test]
async fn overrides_go_through_the_socket_and_come_back_refused_in_full() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let handle = serve(dir.path());
    let mut watch = Remote::connect(dir.path()).await.expect("it listens").watch().await.expect("it answers");
    let mut remote = Remote::connect(dir.path()).await.expect("the worker listens");
    let mut tell = async |what: What| {
        let signed = Request { reason: Some("because".to_owned()), ..request(what) };
        remote.tell(signed).await.expect("it answers")
    };
    let run = request(What::Cancel).run;
    assert_eq!(tell(start(None)).await, Ok(()));
    assert_eq!(tell(What::Note { text: "hm".to_owned() }).await, Ok(()));
    assert_eq!(tell(What::Pause).await, Ok(()));
    assert_eq!(tell(What::Pause).await, Err(Refusal::AlreadyPaused { run, by: "ana".to_owned() }));
    let open = vec!["#0 (gate go)".to_owned()];
    let step = || "await-pool".to_owned();
    assert_eq!(tell(What::Skip { step: step() }).await, Err(Refusal::NoSuchStep { run, step: step(), open }));
    let (gate, asked) = ("go".to_owned(), crate::control::text_digest("Shall it?"));
    let approve = |seen: &str| What::Approve { gate: gate.clone(), in_advance: false, seen: Some(seen.to_owned()), plan: None };
    let other = Refusal::OtherText { run, gate: gate.clone(), seen: "0".repeat(16), asked: asked.clone() };
    assert_eq!(tell(approve(&"0".repeat(16))).await, Err(other));
    // The approval answers the gate, but the run ends only when it is unpaused.
    assert_eq!(tell(approve(&asked)).await, Ok(()));
    assert_eq!(tell(What::Unpause).await, Ok(()));
    let mut heard = Vec::new();
    while !heard.last().is_some_and(Event::ends_run) {
        heard.push(next_event(&mut watch).await);
    }
    let kinds: Vec<bool> = heard.iter().map(|event| matches!(event, Event::RunUnpaused { .. })).collect();
    assert_eq!(kinds.iter().rposition(|unpaused| *unpaused), Some(heard.len() - 2), "{heard:?}");
    handle.stop();
}

#[tokio::test]
async fn a_watcher_hears_each_event_and_the_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let handle = serve(dir.path());
    let mut watch = Remote::connect(dir.path()).await.expect("it listens").watch().await.expect("it answers");
    let mut teller = Remote::connect(dir.path()).await.expect("it listens");
    for what in [start(None), approve("go")] {
        teller.tell(request(what)).await.expect("it answers").expect("it is not refused");
    }
    assert!(matches!(next_event(&mut watch).await, Event::RunStarted { .. }));
    assert!(matches!(next_event(&mut watch).await, Event::GateOpened { .. }));
    assert!(matches!(next_event(&mut watch).await, Event::GateApproved { .. }));
    assert!(next_event(&mut watch).await.ends_run());
    handle.stop();
}

#[tokio::test]
async fn a_directory_may_be_deeper_than_a_socket_address_is_long() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let deep = root.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).expect("it can be made");
    serve(&deep);
    let mut remote = Remote::connect(&deep).await.expect("the worker listens");
    assert_eq!(remote.progress().await.expect("it answers"), Vec::new());
}

#[tokio::test]
async fn a_dead_workers_socket_is_nobody_and_is_replaced() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert!(matches!(Remote::connect(dir.path()).await, Err(RemoteError::NoWorker)));
    drop(Listener::bind(dir.path()).expect("it can be bound"));
    assert!(dir.path().join(SOCKET).exists(), "a killed worker leaves its socket");
    assert!(matches!(Remote::connect(dir.path()).await, Err(RemoteError::NoWorker)));
    serve(dir.path());
    assert!(Remote::connect(dir.path()).await.is_ok());
}

#[tokio::test]
async fn another_language_is_answered_not_obeyed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    serve(dir.path());
    let mut remote = Remote::connect(dir.path()).await.expect("the worker listens");
    remote.wire.send(&"retire").await.expect("it is sent");
    assert!(matches!(remote.answer().await, Ok(Answer::Unreadable(_))));
    assert_eq!(remote.progress().await.expect("the connection still serves"), Vec::new());
}
