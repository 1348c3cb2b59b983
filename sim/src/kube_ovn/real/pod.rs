//! One pod of ovn-central: a thread that starts its servers, watches them and ends them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io, net};

use rustix::process::Signal;

use super::super::backend::{Database, Health, Member};
use super::server::{Condition, Server};
use super::{Place, Settings, Shared, script};

/// How often servers are asked how they are.
const GLANCE: Duration = Duration::from_millis(200);

/// How often a server that did not answer is asked again: what it was asked stands in a queue that must not fill up.
const GLANCE_AT_SILENCE: Duration = Duration::from_secs(2);

/// How long the pod before this one may take to let go of the address.
const ADDRESS_FREE_WITHIN: Duration = Duration::from_secs(10);

/// These delete the databases of whoever lists fewer servers than `NODE_IPS` has addresses, as after a kick.
const DELETING: [&str; 4] = ["1.15.9", "1.15.10", "1.16.0", "1.16.1"];

/// What a pod can be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    /// To end.
    Stop,
    /// To stand still, or to go on.
    Suspend(bool),
    /// To kill one server.
    Crash(Database),
}

/// A pod; dropping it kills what runs in it.
#[derive(Debug)]
pub(super) struct Pod {
    state: Arc<State>,
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    member: Member,
    place: Place,
    settings: Settings,
    health: Shared<Health>,
    leaving: AtomicBool,
}

impl Pod {
    pub(super) fn start(member: Member, run: PathBuf, settings: Settings) -> Self {
        let place = Place { run, data: member.directory.clone() };
        let health = Arc::new(Mutex::new(Health::Starting));
        let state = Arc::new(State { member, place, settings, health, leaving: AtomicBool::new(false) });
        let (asks, asked) = channel();
        // The thread is the parent of the servers: they are tethered to it.
        let working = Arc::clone(&state);
        let thread = thread::Builder::new().name("ovn-central".to_owned()).spawn(move || working.run(&asked));
        if let Err(error) = &thread {
            state.set(Health::Ended(format!("no thread: {error}")));
        }
        Self { state, asks: Some(asks), thread: thread.ok() }
    }

    pub(super) fn ask(&self, ask: Ask) {
        if matches!(ask, Ask::Stop) {
            self.state.leaving.store(true, Ordering::Relaxed);
        }
        // A pod that has ended is past all wishes.
        let _ = self.asks.as_ref().map(|asks| asks.send(ask));
    }

    pub(super) fn health(&self) -> Health {
        self.state.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn runs(&self) -> bool {
        !matches!(self.health(), Health::Ended(_))
    }

    /// Where commands in its container work; none if it does not run.
    pub(super) fn place(&self) -> Option<Place> {
        self.runs().then(|| self.state.place.clone())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.state.leaving.store(true, Ordering::Relaxed);
        drop(self.asks.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl State {
    fn set(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    fn leaves(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    fn run(&self, asked: &Receiver<Ask>) {
        let words = match self.bring_up() {
            Ok(servers) => self.attend(servers, asked),
            Err(words) => words,
        };
        self.set(Health::Ended(words));
    }

    fn bring_up(&self) -> Result<Vec<Server>, String> {
        fs::create_dir_all(&self.place.run).map_err(|error| error.to_string())?;
        self.await_address().map_err(|error| format!("{}: {error}", self.member.address))?;
        script::start(&self.member, &self.place, &self.settings, &|| self.leaves())
    }

    /// Waits for the end of the pod that had the node before: it is not gone at the moment when the next one comes.
    fn await_address(&self) -> io::Result<()> {
        let until = Instant::now() + ADDRESS_FREE_WITHIN;
        let free = || (6641..=6644).try_for_each(|port| net::TcpListener::bind((self.member.address, port)).map(drop));
        loop {
            match free() {
                Err(_) if !self.leaves() && Instant::now() < until => thread::sleep(GLANCE / 4),
                other => return other,
            }
        }
    }

    /// Watches the servers until there is a reason to end them, and says which.
    fn attend(&self, mut servers: Vec<Server>, asked: &Receiver<Ask>) -> String {
        let mut watch = Watch::default();
        let mut pause = Duration::from_millis(20);
        let words = loop {
            match asked.recv_timeout(pause) {
                Ok(Ask::Stop) => break "it was stopped".to_owned(),
                Err(RecvTimeoutError::Disconnected) => return "it was killed".to_owned(),
                Ok(Ask::Suspend(suspended)) => {
                    signal(&mut servers, &Database::BOTH, if suspended { Signal::STOP } else { Signal::CONT });
                    watch.suspended = suspended;
                }
                Ok(Ask::Crash(database)) => signal(&mut servers, &[database], Signal::KILL),
                Err(RecvTimeoutError::Timeout) => {}
            }
            pause = watch.look(&mut servers);
            self.set(watch.health());
            if let Some(reason) = watch.end(&self.settings) {
                break reason;
            }
            if let Some(reason) = self.wipe(&watch) {
                servers.drain(..).for_each(Server::end);
                for database in Database::BOTH {
                    let _ = fs::remove_file(self.place.file(database));
                }
                break reason;
            }
        };
        servers.into_iter().for_each(Server::end);
        words
    }

    /// Why the databases are deleted, by the versions that do so.
    fn wipe(&self, watch: &Watch) -> Option<String> {
        let wanted = self.member.node_ips.len();
        let fewest = watch.members?;
        let deleting = DELETING.contains(&self.member.version.trim_start_matches('v')) && watch.were >= wanted && fewest < wanted;
        deleting.then(|| format!("{fewest} servers for {wanted} addresses in NODE_IPS: the databases were deleted"))
    }
}

fn signal(servers: &mut [Server], databases: &[Database], signal: Signal) {
    for server in servers.iter_mut().filter(|server| databases.contains(&server.database)) {
        server.signal(signal);
    }
}

/// What was seen of the servers of a pod.
#[derive(Default)]
struct Watch {
    suspended: bool,
    /// What is not well, and since when.
    trouble: Option<(String, Instant)>,
    dead: Option<Instant>,
    /// How many servers the shorter of the two lists has, if both are told.
    members: Option<usize>,
    /// The most that this was.
    were: usize,
}

impl Watch {
    /// Asks the servers, and says when to ask again.
    fn look(&mut self, servers: &mut [Server]) -> Duration {
        if self.suspended {
            self.note(Some("its servers do not answer".to_owned()));
            return GLANCE;
        }
        let (mut words, mut pause, mut members) = (Vec::new(), GLANCE, Some(usize::MAX));
        let mut dead = false;
        for server in servers {
            let condition = server.condition();
            members = if let Condition::Member(listed) = condition { members.map(|least| least.min(listed)) } else { None };
            let said = match condition {
                Condition::Member(_) => continue,
                Condition::Unwell(said) => said,
                // The socket is there a moment after the process.
                Condition::Silent(said) => {
                    pause = if said.contains("No such file") { GLANCE / 4 } else { GLANCE_AT_SILENCE };
                    said
                }
                Condition::Dead(said) => {
                    dead = true;
                    said
                }
            };
            words.push(format!("{}: {said}", server.database.schema()));
        }
        self.members = members;
        self.were = self.were.max(members.unwrap_or(0));
        self.dead = dead.then(|| self.dead.unwrap_or_else(Instant::now));
        self.note((!words.is_empty()).then(|| words.join("; ")));
        pause
    }

    fn note(&mut self, trouble: Option<String>) {
        let since = self.trouble.take().map_or_else(Instant::now, |(_, since)| since);
        self.trouble = trouble.map(|words| (words, since));
    }

    fn health(&self) -> Health {
        self.trouble.as_ref().map_or(Health::Ready, |(words, _)| Health::Unready(words.clone()))
    }

    /// Why the kubelet ends the container, if it does.
    fn end(&self, settings: &Settings) -> Option<String> {
        let (words, since) = self.trouble.as_ref()?;
        let gone = self.dead.is_some_and(|dead| dead.elapsed() >= settings.restart_dead);
        (gone || since.elapsed() >= settings.restart_unready).then(|| format!("liveness probe failed: {words}"))
    }
}
