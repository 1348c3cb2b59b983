//! A whole simulated cluster behind one handle.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::api::{ApiService, Monitoring, UPDATE_SERVICE_PATH};
use crate::audit::Audit;
use crate::clock::SimClock;
use crate::controllers::Controllers;
use crate::controllers::ledger::{Ledger, Reboot};
use crate::faults::{FaultScript, Faults};
use crate::kube_ovn::objects::KUBELET;
use crate::kube_ovn::{self, Backend, KubeOvn};
use crate::kuryr;
use crate::machine_daemon::{Hosts, Units};
use crate::openstack::OpenStack;
use crate::scenario::{Scenario, WorldFault};
use crate::serve::Server;
use crate::store::resources::{CLUSTERVERSIONS, NAMESPACES, NODES};
use crate::store::{ApiError, Store};
use crate::world::alerts::standing;
use crate::world::graph::{Release, UpdateGraph};
use crate::world::json::{name, node_ready, text};
use crate::world::shape::{ClusterShape, NetworkPlugin, Platform};
use crate::world::{overlay, populate};

/// A running simulated cluster; dropping it stops its controllers.
#[derive(Debug)]
pub struct Sim {
    service: ApiService,
    ledger: Arc<Mutex<Ledger>>,
    graph: Arc<Mutex<UpdateGraph>>,
    cluster_id: String,
    disconnected: bool,
    kube_ovn: Option<KubeOvn>,
    openstack: Option<OpenStack>,
    faults: mpsc::UnboundedSender<WorldFault>,
    tasks: Vec<AbortHandle>,
}

impl Sim {
    /// Builds the cluster and starts its controllers on the current runtime.
    ///
    /// Fails when the shape asks for something that cannot be stored, such as two pools of one name.
    pub fn start(shape: ClusterShape, scenario: Scenario, clock: SimClock) -> Result<Self, ApiError> {
        Self::start_on(shape, scenario, clock, None)
    }

    /// As [`Sim::start`], with OVN's databases run by this backend instead of the model; its members found their clusters first.
    pub fn start_with(
        shape: ClusterShape,
        scenario: Scenario,
        clock: SimClock,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, ApiError> {
        Self::start_on(shape, scenario, clock, Some(backend))
    }

    fn start_on(
        mut shape: ClusterShape,
        scenario: Scenario,
        clock: SimClock,
        backend: Option<Arc<dyn Backend>>,
    ) -> Result<Self, ApiError> {
        if shape.network == NetworkPlugin::Kuryr {
            shape.suit_kuryr();
        }
        let store = Store::new(clock, shape.seed);
        let graph = shape.update_graph();
        populate(&store, &shape, &graph)?;
        let cluster_id = cluster_id(&store);
        let service = ApiService::with_faults(store.clone(), FaultScript { api: scenario.api }, shape.seed);
        let units = Arc::new(Units::default());
        let on_openstack = shape.platform == Platform::OpenStack && shape.kube_ovn.is_none();
        let openstack = on_openstack.then(|| kuryr::install(&store, &shape, Arc::clone(&units))).transpose()?;
        if let Some(openstack) = &openstack {
            service.serve_openstack(openstack.clone());
        }
        let installed = shape.kube_ovn.as_ref().map(|kube_ovn| kube_ovn::install(&store, &shape, kube_ovn, backend));
        let kube_ovn = installed.transpose()?.map(|(rooms, handle)| {
            service.run_containers(rooms);
            handle
        });
        if kube_ovn.is_none() {
            service.run_containers(Arc::new(Hosts::new(store.clone(), Arc::clone(&units))));
        }
        let release = graph.release(&shape.version).map(Release::kubelet);
        if let Some(version) = kube_ovn.as_ref().map(|_| KUBELET.to_owned()).or(release) {
            service.set_version(&version);
        }
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let graph = Arc::new(Mutex::new(graph));
        let served = Arc::clone(&graph);
        let (seen, disconnected) = (store.clone(), shape.disconnected);
        service.serve_updates(move |channel| {
            let reachable = !disconnected || has_upstream(&seen);
            reachable.then(|| served.lock().unwrap_or_else(PoisonError::into_inner).document(channel))
        });
        service.serve_monitoring(monitoring(&store, &shape, &graph));
        let laid_over = shape.clone();
        let (faults, more_faults) = mpsc::unbounded_channel();
        let controllers = Controllers::new(
            service.clone(),
            shape,
            Arc::clone(&graph),
            (scenario.world, more_faults),
            Arc::clone(&ledger),
            (kube_ovn.as_ref(), openstack.as_ref()),
            units,
        );
        overlay(&store, &laid_over)?;
        let end_pods = async move { store.end_pods(is_held).await };
        let tasks = vec![tokio::spawn(controllers.run()).abort_handle(), tokio::spawn(end_pods).abort_handle()];
        Ok(Self { service, ledger, graph, cluster_id, disconnected, kube_ovn, openstack, faults, tasks })
    }

    /// The API server, e.g. for `kube::Client::new`.
    pub fn service(&self) -> ApiService {
        self.service.clone()
    }

    /// Serves the cluster on loopback and writes `kubeconfig` and `audit.jsonl` to `dir`.
    pub async fn serve(&self, dir: &Path, port: u16) -> io::Result<Server> {
        let mut server = Server::start(self.service(), dir, port).await?;
        if let Some(openstack) = &self.openstack {
            server.introduce(&openstack.account())?;
        }
        if !self.disconnected && self.kube_ovn.is_none() {
            let upstream = format!("https://{}{UPDATE_SERVICE_PATH}", server.address());
            self.set_upstream(&upstream).map_err(io::Error::other)?;
        }
        Ok(server)
    }

    /// The virtual clock.
    pub fn clock(&self) -> &SimClock {
        self.store().clock()
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        self.service.store()
    }

    /// What clients did.
    pub fn audit(&self) -> &Audit {
        self.service.audit()
    }

    /// The faults of the API server, to add to or to end.
    pub fn faults(&self) -> &Faults {
        self.service.faults()
    }

    /// `spec.clusterID` of the ClusterVersion; the uid of the namespace `kube-system` where there is none.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Lets one more thing go wrong in the cluster; its minutes count from the start of the simulation, too.
    pub fn disturb(&self, fault: WorldFault) {
        // Whoever would do it has ended with the cluster.
        let _ = self.faults.send(fault);
    }

    /// OVN's databases, on a cluster with Kube-OVN.
    pub fn kube_ovn(&self) -> Option<&KubeOvn> {
        self.kube_ovn.as_ref()
    }

    /// The cloud under the cluster, where it is OpenStack.
    pub fn openstack(&self) -> Option<&OpenStack> {
        self.openstack.as_ref()
    }

    /// What really happened so far.
    pub fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every reboot so far, in order.
    pub fn reboots(&self) -> Vec<Reboot> {
        self.ledger().reboots
    }

    /// How often each node that there is now was rebooted.
    pub fn reboot_counts(&self) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> = self.store().list(&NODES).iter().map(|n| (name(n).to_owned(), 0)).collect();
        for reboot in self.reboots() {
            *counts.entry(reboot.node).or_default() += 1;
        }
        counts
    }

    /// The document that the update service sends for a channel.
    pub fn update_document(&self, channel: &str) -> Value {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner).document(channel)
    }

    /// Lets the monitoring API under `/prometheus` ask for this bearer token; without one it answers everybody.
    pub fn require_monitoring_token(&self, token: &str) {
        self.service.guard_monitoring(token);
    }

    /// Sets where the cluster finds its update service, as an administrator would.
    pub fn set_upstream(&self, url: &str) -> Result<(), ApiError> {
        self.store().modify(&CLUSTERVERSIONS, None, "version", |v| v["spec"]["upstream"] = json!(url)).map(drop)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn cluster_id(store: &Store) -> String {
    if let Some(version) = store.get(&CLUSTERVERSIONS, None, "version") {
        return text(&version, "/spec/clusterID").to_owned();
    }
    store.get(&NAMESPACES, None, "kube-system").map_or(String::new(), |ns| text(&ns, "/metadata/uid").to_owned())
}

/// Whether the cluster was told of an update service.
fn has_upstream(store: &Store) -> bool {
    store.get(&CLUSTERVERSIONS, None, "version").is_some_and(|v| !text(&v, "/spec/upstream").is_empty())
}

fn monitoring(store: &Store, shape: &ClusterShape, graph: &Arc<Mutex<UpdateGraph>>) -> Monitoring {
    let (store, extra, graph) = (store.clone(), shape.alerts.clone(), Arc::clone(graph));
    let alerts = move || standing(&store, &extra);
    Monitoring::new(alerts, move |risk| graph.lock().unwrap_or_else(PoisonError::into_inner).applies(risk))
}

/// Whether a pod's end cannot be confirmed because its kubelet does not speak.
fn is_held(store: &Store, pod: &Value) -> bool {
    let node = text(pod, "/spec/nodeName");
    !node.is_empty() && store.get(&NODES, None, node).is_some_and(|n| !node_ready(&n))
}
