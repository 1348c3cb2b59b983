//! The shared watches: four of them a cluster, whatever the number of waits, each feeding one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_engine::Timestamp;

use crate::cluster::{call_on, read_alone};
use crate::error::LOGIN_ENDED;
use crate::ids::ClusterId;
use crate::link::{Link, root_cause};
use crate::snapshot::{Objects, Snapshot, Trouble, TroubleSort, WatchState};
use crate::views::{ClusterOperator, ClusterVersion, Condition, Conditions as _, MachineConfigPool, Node, View};

/// How often a healthy server is asked whether the watches still follow it: a dropped connection can stay silent for
/// minutes.
const SAFETY_CHECK: Duration = Duration::from_secs(60);

/// How long a watch may lag behind a read before it is begun anew.
const LAG_LIMIT: Duration = Duration::from_secs(5);

/// How often a server that is away is tried; doubles up to the second value.
const RETURN_CHECK: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// The running watches; dropping it ends them.
pub(crate) struct Cache {
    board: Arc<watch::Sender<Snapshot>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Cache {
    pub(crate) fn start(link: Arc<Link>, id: ClusterId) -> Self {
        let board = Arc::new(watch::Sender::new(Snapshot::default()));
        let tasks = vec![
            tokio::spawn(follow::<ClusterVersion>(link.clone(), board.clone())),
            tokio::spawn(follow::<ClusterOperator>(link.clone(), board.clone())),
            tokio::spawn(follow::<MachineConfigPool>(link.clone(), board.clone())),
            tokio::spawn(follow::<Node>(link.clone(), board.clone())),
            tokio::spawn(guard(link, id, board.clone())),
        ];
        Self { board, tasks }
    }

    /// Every snapshot from now on; the present one at once.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.board.subscribe()
    }
}

/// A kind that is watched: where it stands in a snapshot, and what of it is kept.
trait Watched: View + kube::Resource<Scope = kube::core::ClusterResourceScope> {
    fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self>;

    fn state(snapshot: &mut Snapshot) -> &mut WatchState;

    /// The conditions whose times tell the cluster's clock.
    fn dated(&self) -> &[Condition] {
        &[]
    }

    /// What else follows from a change of the objects.
    fn derive(snapshot: &mut Snapshot, now: Timestamp) {
        let _ = (snapshot, now);
    }
}

impl Watched for ClusterVersion {
    fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self> {
        &mut snapshot.versions
    }

    fn state(snapshot: &mut Snapshot) -> &mut WatchState {
        &mut snapshot.watches.versions
    }

    fn dated(&self) -> &[Condition] {
        self.conditions()
    }
}

impl Watched for ClusterOperator {
    fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self> {
        &mut snapshot.operators
    }

    fn state(snapshot: &mut Snapshot) -> &mut WatchState {
        &mut snapshot.watches.operators
    }

    fn dated(&self) -> &[Condition] {
        self.conditions()
    }
}

impl Watched for MachineConfigPool {
    fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self> {
        &mut snapshot.pools
    }

    fn state(snapshot: &mut Snapshot) -> &mut WatchState {
        &mut snapshot.watches.pools
    }

    fn dated(&self) -> &[Condition] {
        self.conditions()
    }
}

impl Watched for Node {
    fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self> {
        &mut snapshot.nodes
    }

    fn state(snapshot: &mut Snapshot) -> &mut WatchState {
        &mut snapshot.watches.nodes
    }

    /// A drain's begin stands nowhere but in the cordon's taint, and not always there.
    fn derive(snapshot: &mut Snapshot, now: Timestamp) {
        let before = snapshot.draining_since.clone();
        let draining = snapshot.nodes.iter().filter(|(_, node)| node.is_draining());
        let since = draining.map(|(name, node)| {
            let first_seen = before.get(name).copied();
            (name.clone(), first_seen.or_else(|| node.cordoned_at()).unwrap_or(now))
        });
        snapshot.draining_since = Arc::new(since.collect());
    }
}

/// Follows one kind for ever; begins anew whenever the link's client is put in place again.
async fn follow<K: Watched>(link: Arc<Link>, board: Arc<watch::Sender<Snapshot>>) {
    let mut clients = link.client();
    loop {
        let client: Client = clients.borrow_and_update().clone();
        let mut events = watcher(Api::<K>::all(client), watcher::Config::default()).default_backoff().boxed();
        let mut listed = BTreeMap::new();
        loop {
            tokio::select! {
                changed = clients.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                event = events.next() => match event {
                    Some(Ok(event)) => take::<K>(&link, &board, &mut listed, event),
                    Some(Err(error)) => note_watch_error::<K>(&link, &board, &error),
                    None => break,
                },
            }
        }
    }
}

/// Something that happens to the objects of a snapshot.
type Change<'a, K> = dyn FnMut(&mut BTreeMap<String, Arc<K>>) + 'a;

fn take<K: Watched>(
    link: &Link,
    board: &watch::Sender<Snapshot>,
    listed: &mut BTreeMap<String, Arc<K>>,
    event: watcher::Event<K>,
) {
    let keep = |mut object: K| {
        object.meta_mut().managed_fields = None;
        object.dated().iter().filter_map(Condition::since).for_each(|at| link.time.note_event(at));
        (object.name().to_owned(), Arc::new(object))
    };
    let publish = |change: &mut Change<K>| {
        let now = link.time.at(link.clock.now());
        board.send_modify(|snapshot| {
            change(Arc::make_mut(K::objects(snapshot)));
            *K::state(snapshot) = WatchState { as_of: Some(now), trouble: None };
            K::derive(snapshot, now);
        });
    };
    match event {
        watcher::Event::Init => listed.clear(),
        watcher::Event::InitApply(object) => listed.extend([keep(object)]),
        watcher::Event::InitDone => publish(&mut |objects| *objects = std::mem::take(listed)),
        watcher::Event::Apply(object) => {
            let (name, object) = keep(object);
            publish(&mut |objects| drop(objects.insert(name.clone(), object.clone())));
        }
        watcher::Event::Delete(object) => publish(&mut |objects| drop(objects.remove(object.name()))),
    }
}

fn note_watch_error<K: Watched>(link: &Link, board: &watch::Sender<Snapshot>, error: &watcher::Error) {
    let (code, error) = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => (answered(error), root_cause(error)),
        watcher::Error::WatchError(status) => (Some(status.code), status.message.clone()),
        watcher::Error::NoResourceVersion => (None, "the server's list has no resourceVersion".to_owned()),
    };
    match code {
        // The watch fell behind; kube lists again by itself.
        Some(410) => {}
        Some(401) => {
            link.note_login(true);
            note_trouble::<K>(link, board, TroubleSort::Login, LOGIN_ENDED.to_owned());
        }
        Some(403) => {
            let permissions = ["list", "watch"].map(|verb| call_on::<K>(verb, None, None).permission()).join(" and ");
            let error = format!("permission missing: {permissions}; ask for it, then retry");
            note_trouble::<K>(link, board, TroubleSort::Permission, error);
        }
        Some(_) | None => note_trouble::<K>(link, board, TroubleSort::Connection, error),
    }
}

/// The code of the server's answer; a login plugin that failed counts as 401.
fn answered(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error {
        return Some(status.code);
    }
    matches!(error, kube::Error::Auth(_)).then_some(401)
}

fn note_trouble<K: Watched>(link: &Link, board: &watch::Sender<Snapshot>, sort: TroubleSort, error: String) {
    let since = link.clock.now();
    board.send_if_modified(|snapshot| {
        let state = K::state(snapshot);
        // The first error of an outage is kept: each attempt to come back has another wording for it.
        let news = state.trouble.as_ref().is_none_or(|trouble| trouble.sort != sort);
        if news {
            state.trouble = Some(Trouble { since, error, sort });
        }
        news
    });
}

/// Looks after the watches: notices a server that fell silent, one that is back, and a login that was renewed.
async fn guard(link: Arc<Link>, id: ClusterId, board: Arc<watch::Sender<Snapshot>>) {
    let mut changes = board.subscribe();
    loop {
        let quiet = async {
            while !has_trouble(&changes.borrow_and_update()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(SAFETY_CHECK, quiet).await.is_err() {
            check_lag(&link, &board).await;
            continue;
        }
        let mut pause = RETURN_CHECK.0;
        while has_trouble(&board.borrow()) {
            tokio::time::sleep(pause).await;
            bring_back(&link, &id, &board).await;
            pause = (pause * 2).min(RETURN_CHECK.1);
        }
    }
}

fn has_trouble(snapshot: &Snapshot) -> bool {
    let mut watches = snapshot.watches.clone();
    watches.all_mut().into_iter().any(|watch| watch.trouble.is_some())
}

/// Compares a read with what the watch brought: a watch that lost an event, or a server that went away without a word,
/// is found here.
async fn check_lag(link: &Link, board: &watch::Sender<Snapshot>) {
    let seen = || board.borrow().version().and_then(|version| version.metadata.resource_version.clone());
    let before = seen();
    match read_alone::<ClusterVersion>(link, None, None, "version").await {
        Ok(Some(version)) if version.metadata.resource_version != before => {
            tokio::time::sleep(LAG_LIMIT).await;
            if seen() == before {
                link.replace_client(None);
            }
        }
        Ok(_) => {}
        Err(error) if error.is_unauthorized() => {
            link.note_login(true);
            note_trouble::<ClusterVersion>(link, board, TroubleSort::Login, LOGIN_ENDED.to_owned());
        }
        Err(error) => note_trouble::<ClusterVersion>(link, board, TroubleSort::Connection, error.to_string()),
    }
}

async fn bring_back(link: &Link, id: &ClusterId, board: &watch::Sender<Snapshot>) {
    if link.login_ended().is_some() {
        crate::connect::renew(link, id).await;
        match link.login_ended() {
            None => clear_trouble(board, link),
            Some(ended) => note_renewal(board, ended.note),
        }
        return;
    }
    match read_alone::<ClusterVersion>(link, None, None, "version").await {
        Ok(_) => {
            clear_trouble(board, link);
            link.replace_client(None);
        }
        Err(error) if error.is_unauthorized() => {
            link.note_login(true);
            note_trouble::<ClusterVersion>(link, board, TroubleSort::Login, LOGIN_ENDED.to_owned());
        }
        Err(error) => note_trouble::<ClusterVersion>(link, board, TroubleSort::Connection, error.to_string()),
    }
}

/// Adds what reading the kubeconfig again brought, when that is news.
fn note_renewal(board: &watch::Sender<Snapshot>, note: Option<String>) {
    let error = note.map_or_else(|| LOGIN_ENDED.to_owned(), |note| format!("{LOGIN_ENDED}; {note}"));
    board.send_if_modified(|snapshot| {
        let troubles = snapshot.watches.all_mut().into_iter().filter_map(|watch| watch.trouble.as_mut());
        let stale = troubles.filter(|trouble| trouble.sort == TroubleSort::Login && trouble.error != error);
        stale.map(|trouble| trouble.error.clone_from(&error)).count() > 0
    });
}

/// The server answers again: what each watch knew is out of date until it has listed anew.
fn clear_trouble(board: &watch::Sender<Snapshot>, link: &Link) {
    tracing::debug!(at = %link.clock.now(), "the API server answers again");
    board.send_modify(|snapshot| snapshot.watches.all_mut().into_iter().for_each(|watch| *watch = WatchState::default()));
}
