//! The controllers of the simulated cluster: small state machines that one task drives, in a fixed order, on virtual time.

pub(crate) mod budgets;
mod central;
mod certificates;
mod cno;
mod cvo;
mod daemons;
mod deployments;
mod disruptions;
mod gates;
mod hosts;
mod kuryr;
pub mod ledger;
mod machines;
mod mco;
mod mirror;
mod mishaps;
mod namespaces;
mod remediation;
mod replicas;
mod scheduler;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::api::ApiService;
use crate::clock::minutes;
use crate::kube_ovn::KubeOvn;
use crate::machine_daemon::Units;
use crate::openstack::OpenStack;
use crate::rng::Rng;
use crate::scenario::WorldFault;
use crate::store::{Resource, Store};
use crate::world::graph::UpdateGraph;
use crate::world::shape::{ClusterShape, NetworkPlugin};
use disruptions::Board;
use hosts::Host;
use ledger::Ledger;
use mirror::{Mirror, News};

/// Passes after which a round of controllers is given up for a second; only a defect makes them chase each other for so long.
const MAX_PASSES: u32 = 10_000;

/// One controller.
trait Controller: Send {
    /// Its name, by which others wake it.
    fn name(&self) -> &'static str;

    /// Whether any of the news is for it.
    fn concerns(&self, news: &News) -> bool;

    /// Brings the cluster nearer to what it should be; returns when to look again though nothing changes.
    fn reconcile(&mut self, cx: &mut Cx<'_>) -> Option<DateTime<Utc>>;
}

/// What a controller works with.
struct Cx<'a> {
    store: &'a Store,
    mirror: &'a Mirror,
    news: &'a News,
    shared: &'a mut Shared,
    now: DateTime<Utc>,
}

/// What controllers know beside the stored objects: the hardware, the faults, the update service.
struct Shared {
    api: ApiService,
    shape: ClusterShape,
    /// OVN's databases, on a cluster with Kube-OVN.
    kube_ovn: Option<KubeOvn>,
    graph: UpdateGraph,
    /// How often the update service changed what it says.
    graph_changes: usize,
    /// The same graph, where the update service reads it.
    published: Arc<Mutex<UpdateGraph>>,
    board: Board,
    hosts: BTreeMap<String, Host>,
    /// The plugin that the pods of each node talk over since its last boot.
    plugins: BTreeMap<String, NetworkPlugin>,
    /// What the nodes' systemd was told.
    units: Arc<Units>,
    ledger: Arc<Mutex<Ledger>>,
    started: DateTime<Utc>,
    accepted: Vec<DateTime<Utc>>,
    wake: BTreeSet<&'static str>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the update service says.
    fn republish(&mut self, change: impl Fn(&mut UpdateGraph)) {
        change(&mut self.graph);
        change(&mut self.published.lock().unwrap_or_else(PoisonError::into_inner));
        self.graph_changes += 1;
        self.wake("cvo");
    }

    /// Lets a controller run in the next pass.
    fn wake(&mut self, controller: &'static str) {
        self.wake.insert(controller);
    }
}

impl Cx<'_> {
    /// Changes an object; an object that is gone needs no change.
    fn modify(&self, r: &Resource, ns: Option<&str>, name: &str, f: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        match self.store.modify(r, ns, name, f) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::debug!(%error, "a controller's write found no object");
                None
            }
        }
    }

    /// Creates an object; one that is there already is left alone.
    fn create(&self, r: &Resource, object: Value) -> Option<Arc<Value>> {
        match self.store.create(r, object) {
            Ok(object) => Some(object),
            Err(error) => {
                tracing::debug!(%error, "a controller's object was not created");
                None
            }
        }
    }

    fn in_seconds(&self, seconds: u64) -> DateTime<Utc> {
        self.now + TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000))
    }
}

/// The earlier of two moments that may never come.
fn earlier(a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The controllers of OpenShift.
fn openshift(rng: &Rng) -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(disruptions::Disruptions),
        Box::new(cvo::Cvo::new(rng.fork("cvo"))),
        Box::new(gates::Gates),
        Box::new(mco::Mco::new(rng.fork("mco"))),
        Box::new(hosts::Kubelets::new(rng.fork("kubelets"))),
        Box::new(machines::Machines::new(rng.fork("machines"))),
        Box::new(remediation::Remediation::new(rng.fork("remediation"))),
        Box::new(replicas::Replicas::new(rng.fork("replicas"))),
        Box::new(budgets::Budgets),
        Box::new(certificates::Certificates::default()),
        Box::new(cno::Cno::new(rng.fork("cno"))),
        Box::new(daemons::Daemons::asleep(rng.fork("daemons"))),
        Box::new(namespaces::Namespaces::default()),
    ]
}

/// The controllers of plain Kubernetes with Kube-OVN.
fn plain(rng: &Rng, kube_ovn: &KubeOvn, shape: &ClusterShape) -> Vec<Box<dyn Controller>> {
    let version = shape.kube_ovn.as_ref().map(|kube_ovn| kube_ovn.version.clone()).unwrap_or_default();
    vec![
        Box::new(disruptions::Disruptions),
        Box::new(hosts::Kubelets::new(rng.fork("kubelets"))),
        Box::new(replicas::Replicas::new(rng.fork("replicas"))),
        Box::new(daemons::Daemons::new(rng.fork("daemons"))),
        Box::new(budgets::Budgets),
        Box::new(central::Central::new(Arc::clone(&kube_ovn.backend), Arc::clone(&kube_ovn.disks), version)),
    ]
}

/// All controllers and what they share.
pub(crate) struct Controllers {
    store: Store,
    mirror: Mirror,
    shared: Shared,
    slots: Vec<Slot>,
    /// What shall go wrong besides what was scripted from the start.
    more_faults: mpsc::UnboundedReceiver<WorldFault>,
}

struct Slot {
    controller: Box<dyn Controller>,
    due: Option<DateTime<Utc>>,
}

impl Controllers {
    /// The controllers of a cluster whose objects are stored already.
    pub(crate) fn new(
        api: ApiService,
        shape: ClusterShape,
        published: Arc<Mutex<UpdateGraph>>,
        (faults, more_faults): (Vec<WorldFault>, mpsc::UnboundedReceiver<WorldFault>),
        ledger: Arc<Mutex<Ledger>>,
        (kube_ovn, openstack): (Option<&KubeOvn>, Option<&OpenStack>),
        units: Arc<Units>,
    ) -> Self {
        let store = api.store().clone();
        let graph = published.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let started = store.clock().now();
        let rng = Rng::new(shape.seed).fork("controllers");
        let mut all = match kube_ovn {
            None => openshift(&rng),
            Some(kube_ovn) => plain(&rng, kube_ovn, &shape),
        };
        if let Some(openstack) = openstack {
            all.push(Box::new(kuryr::Kuryr::new(openstack.clone())));
        }
        // Everybody looks once at the start.
        let slots = all.into_iter().map(|controller| Slot { controller, due: Some(started) }).collect();
        let mirror = Mirror::new(&store);
        let board = Board::new(faults);
        let hosts = mirror.nodes.keys().map(|name| (name.clone(), Host::default())).collect();
        let plugins = mirror.nodes.keys().map(|name| (name.clone(), shape.network)).collect();
        let shared = Shared {
            api,
            shape,
            kube_ovn: kube_ovn.cloned(),
            graph,
            graph_changes: 0,
            published,
            board,
            hosts,
            plugins,
            units,
            ledger,
            started,
            accepted: vec![],
            wake: BTreeSet::new(),
        };
        Self { store, mirror, shared, slots, more_faults }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self) {
        let mut changes = self.store.changes();
        let clock = self.store.clock().clone();
        let units = Arc::clone(&self.shared.units);
        loop {
            changes.borrow_and_update();
            let due = self.settle();
            let timer = async {
                match due {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => {}
                () = units.news.notified() => self.shared.wake("kubelets"),
                alive = changes.changed() => if alive.is_err() { return },
                Some(fault) = self.more_faults.recv() => {
                    self.shared.board.add(fault);
                    self.shared.wake("disruptions");
                }
            }
        }
    }

    /// Lets controllers react to each other until none has anything to do now; returns when the next one has.
    fn settle(&mut self) -> Option<DateTime<Utc>> {
        let mut news = self.catch_up();
        for _ in 0..MAX_PASSES {
            let now = self.store.clock().now();
            let wake = std::mem::take(&mut self.shared.wake);
            let mut ran = false;
            for slot in &mut self.slots {
                let due = slot.due.is_some_and(|at| at <= now);
                if !due && !wake.contains(slot.controller.name()) && !slot.controller.concerns(&news) {
                    continue;
                }
                ran = true;
                let mut cx = Cx { store: &self.store, mirror: &self.mirror, news: &news, shared: &mut self.shared, now };
                slot.due = slot.controller.reconcile(&mut cx);
            }
            news = self.catch_up();
            if !ran && news.is_empty() {
                return self.slots.iter().fold(None, |next, slot| earlier(next, slot.due));
            }
        }
        tracing::error!("controllers chase each other without end");
        Some(self.store.clock().now() + TimeDelta::seconds(1))
    }

    fn catch_up(&mut self) -> News {
        let digest = Arc::clone(&self.shared.ledger);
        let now = self.store.clock().now();
        self.mirror.catch_up(&self.store, |change| {
            digest.lock().unwrap_or_else(PoisonError::into_inner).note(change, now);
        })
    }
}
