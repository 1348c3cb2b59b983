//! Pods of ovn-central on a backend of their own, without a cluster around them: real processes, or the model of them.

mod cases;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use windlass_activities::ovn::{Membership, RaftStatus};
use windlass_sim::containers::Output;
use windlass_sim::kube_ovn::real::{self, RealRaft, Settings};
use windlass_sim::kube_ovn::{Backend, Database, Health, Member};

pub use cases::{CASES, Case};

/// Set where a real raft must be there, as `tests/run` does: a test that can't have one then fails instead of being skipped.
const MUST: &str = "WINDLASS_REAL_RAFT";

/// On a busy machine a raft of three takes a few seconds to form.
const LIMIT: Duration = Duration::from_secs(60);

const GLANCE: Duration = Duration::from_millis(50);

/// Real database servers, or none, in words, where the packages are not installed.
///
/// # Panics
/// If there are none and `WINDLASS_REAL_RAFT` is set.
pub fn real_raft(settings: Settings) -> Option<Arc<RealRaft>> {
    if let Some(words) = real::missing() {
        assert!(std::env::var_os(MUST).is_none(), "{words}");
        eprintln!("skipped, there is no real raft: {words}");
        return None;
    }
    Some(Arc::new(RealRaft::new(settings).expect("a real raft has its place")))
}

/// Pods on nodes that are numbered from 1.
pub struct Pods {
    backend: Arc<dyn Backend>,
    addresses: Vec<Ipv4Addr>,
    home: TempDir,
}

impl Pods {
    /// No pod yet; `addresses` are those of the nodes.
    ///
    /// # Errors
    /// If there is no place for the directories of the nodes.
    pub fn new(backend: Arc<dyn Backend>, addresses: Vec<Ipv4Addr>) -> Result<Self> {
        Ok(Self { backend, addresses, home: tempfile::tempdir()? })
    }

    fn address(&self, node: usize) -> Ipv4Addr {
        self.addresses[node - 1]
    }

    fn node(&self, raft_address: &str) -> Option<usize> {
        let same = |ip: &Ipv4Addr| raft_address.contains(&format!("[{ip}]"));
        self.addresses.iter().position(same).map(|at| at + 1)
    }

    fn raft_address(&self, node: usize, database: Database) -> String {
        format!("tcp:[{}]:{}", self.address(node), database.raft_port())
    }

    /// Starts a pod on each of `nodes`, with `NODE_IPS` of the nodes `ips`.
    pub fn start(&self, nodes: &[usize], ips: &[usize]) {
        self.start_version("1.13.2", nodes, ips);
    }

    fn start_version(&self, version: &str, nodes: &[usize], ips: &[usize]) {
        for node in nodes {
            self.backend.start(Member {
                pod: pod(*node),
                node: format!("control-plane-{node}"),
                address: self.address(*node),
                node_ips: ips.iter().map(|ip| self.address(*ip)).collect(),
                directory: self.home.path().join(node.to_string()).join("ovn"),
                version: version.to_owned(),
            });
        }
    }

    /// Starts three pods and waits until they are one cluster in both databases.
    ///
    /// # Errors
    /// If they do not become one.
    pub async fn three(&self) -> Result<()> {
        self.three_of("1.13.2").await
    }

    async fn three_of(&self, version: &str) -> Result<()> {
        self.start_version(version, &[1], &[1, 2, 3]);
        self.ready(&[1]).await?;
        self.start_version(version, &[2, 3], &[1, 2, 3]);
        self.ready(&[2, 3]).await?;
        for database in Database::BOTH {
            self.members(database, &[1, 2, 3]).await?;
        }
        Ok(())
    }

    /// Ends a pod and waits for its end; its files stay.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn stop(&self, node: usize) -> Result<()> {
        self.backend.stop(&pod(node));
        self.ended(node).await.map(drop)
    }

    /// Waits until pods are ready.
    ///
    /// # Errors
    /// If they do not become it.
    pub async fn ready(&self, nodes: &[usize]) -> Result<()> {
        for node in nodes {
            let health = || self.backend.health(&pod(*node));
            until(&format!("{node} to be ready"), async || {
                let health = health();
                ensure!(health == Health::Ready, "{health:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until a pod has ended, and returns why.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn ended(&self, node: usize) -> Result<String> {
        until(&format!("{node} to end"), async || match self.backend.health(&pod(node)) {
            Health::Ended(words) => Ok(words),
            other @ (Health::Starting | Health::Ready | Health::Unready(_)) => bail!("{other:?}"),
        })
        .await
    }

    /// Waits until exactly `nodes` are members, every one says so, they agree on a leader, and nothing is open.
    ///
    /// # Errors
    /// If that does not come about.
    pub async fn members(&self, database: Database, nodes: &[usize]) -> Result<usize> {
        self.members_as(database, nodes, nodes).await
    }

    /// As [`members`](Self::members), said by `asked` alone.
    async fn members_as(&self, database: Database, asked: &[usize], nodes: &[usize]) -> Result<usize> {
        until(&format!("{nodes:?} to be the members of {}", database.schema()), async || {
            let mut leaders = Vec::new();
            for node in asked {
                let status = self.status(*node, database).await?;
                let mut listed: Vec<_> = status.servers.iter().filter_map(|server| self.node(&server.address)).collect();
                listed.sort_unstable();
                let open = status.not_committed + status.not_applied + status.changes.len() as u64;
                let settled = status.membership == Membership::Member && open == 0;
                ensure!(listed == nodes && settled, "{node} says {status:?}");
                leaders.push(self.leader_of(*node, &status).with_context(|| format!("{node} knows no leader"))?);
            }
            leaders.dedup();
            ensure!(leaders.len() == 1, "leaders {leaders:?}");
            Ok(leaders[0])
        })
        .await
    }

    /// Whom a pod's server takes for the leader.
    async fn leader(&self, node: usize, database: Database) -> Result<usize> {
        let status = self.status(node, database).await?;
        self.leader_of(node, &status).with_context(|| format!("{node} knows no leader"))
    }

    /// Stops a pod in its tracks, or lets it go on.
    pub fn suspend(&self, node: usize, suspended: bool) {
        self.backend.suspend(&pod(node), suspended);
    }

    /// Kills one server of a pod.
    pub fn crash(&self, node: usize, database: Database) {
        self.backend.crash(&pod(node), database);
    }

    /// Moves the files of a node away, as one does before it joins anew.
    ///
    /// # Errors
    /// If there are none.
    pub fn move_aside(&self, node: usize) -> Result<()> {
        let home = self.home.path().join(node.to_string());
        Ok(std::fs::rename(home.join("ovn"), home.join("ovn.aside"))?)
    }

    /// Whether a node has a file of this database.
    fn has_file(&self, node: usize, database: Database) -> bool {
        self.home.path().join(node.to_string()).join("ovn").join(format!("{}.db", database.stem())).exists()
    }

    /// Adds a switch of this name to the northbound database, by a node's own server.
    async fn write(&self, node: usize, name: &str) -> Result<String> {
        let words = ["ovn-nbctl", "--timeout=3", "--no-leader-only", "ls-add", name];
        Ok(said(&self.run(node, &words).await?))
    }

    /// The names of all switches, as a node's own server has them.
    async fn read(&self, node: usize) -> Result<String> {
        let listed = self.run(node, &["ovn-nbctl", "--timeout=3", "--no-leader-only", "ls-list"]).await?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut names: Vec<_> = text.lines().filter_map(|line| line.split(['(', ')']).nth(1)).collect();
        names.sort_unstable();
        Ok(names.join(", "))
    }

    fn leader_of(&self, node: usize, status: &RaftStatus) -> Option<usize> {
        use windlass_activities::ovn::Who;
        match &status.leader {
            Who::Oneself => Some(node),
            Who::Unknown => None,
            Who::Other(id) => self.node(&status.servers.iter().find(|server| server.id == *id)?.address),
        }
    }

    /// Runs a command in a pod.
    ///
    /// # Errors
    /// If nothing runs there.
    pub async fn run(&self, node: usize, words: &[&str]) -> Result<Output> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.backend.exec(&pod(node), words).await.with_context(|| format!("nothing runs in {}", pod(node)))
    }

    async fn appctl(&self, node: usize, database: Database, words: &[&str]) -> Result<Output> {
        let control = format!("/var/run/ovn/{}.ctl", database.stem());
        let mut all = vec!["ovn-appctl", "-t", &control, words[0], database.schema()];
        all.extend(&words[1..]);
        self.run(node, &all).await
    }

    /// The raft as a pod tells it.
    ///
    /// # Errors
    /// If it does not tell one.
    pub async fn status(&self, node: usize, database: Database) -> Result<RaftStatus> {
        let output = self.appctl(node, database, &["cluster/status"]).await?;
        ensure!(output.code == 0, "{node}: {}", said(&output));
        Ok(RaftStatus::parse(std::str::from_utf8(&output.stdout)?)?)
    }

    /// Has a pod's server take out another, and returns what it said.
    ///
    /// # Errors
    /// If nothing runs there.
    pub async fn kick(&self, node: usize, database: Database, server: &str) -> Result<String> {
        Ok(said(&self.appctl(node, database, &["cluster/kick", server]).await?))
    }

    /// Every one's own word of its membership: `1 member of 1,2 / 2 member of 1,2 / 3 unknown cluster`.
    ///
    /// # Errors
    /// If nothing runs in one of them.
    pub async fn view(&self, database: Database, nodes: &[usize]) -> Result<String> {
        let mut view = Vec::new();
        for node in nodes {
            let output = self.appctl(*node, database, &["cluster/status"]).await?;
            let Ok(status) = RaftStatus::parse(&String::from_utf8_lossy(&output.stdout)) else {
                view.push(format!("{node} {}", said(&output)));
                continue;
            };
            let mut listed: Vec<_> = status.servers.iter().filter_map(|server| self.node(&server.address)).collect();
            listed.sort_unstable();
            let listed: Vec<_> = listed.iter().map(usize::to_string).collect();
            let mut line = format!("{node} {} of {}", in_words(&status.membership), listed.join(","));
            if self.leader_of(*node, &status).is_none() {
                write!(line, ", no leader")?;
            }
            view.push(line);
        }
        Ok(view.join(" / "))
    }

    /// Waits until the three say this of themselves, and returns it.
    async fn settled(&self, database: Database, wanted: &str) -> Result<String> {
        self.await_view(database, &[1, 2, 3], wanted).await?;
        Ok(wanted.to_owned())
    }

    /// Waits until [`view`](Self::view) is this.
    ///
    /// # Errors
    /// If it never is.
    pub async fn await_view(&self, database: Database, nodes: &[usize], wanted: &str) -> Result<()> {
        until(&format!("{wanted:?}"), async || {
            let view = self.view(database, nodes).await?;
            ensure!(view == wanted, "{view}");
            Ok(())
        })
        .await
    }
}

fn pod(node: usize) -> String {
    format!("ovn-central-{node}")
}

fn in_words(membership: &Membership) -> &'static str {
    match membership {
        Membership::Member => "member",
        Membership::Joining { .. } => "joining",
        Membership::Leaving => "leaving",
        Membership::Left => "left",
        Membership::Failed => "failed",
        Membership::Disconnected => "disconnected",
    }
}

/// What a command said, and how it ended if not well; only the first line of standard error, which says it.
fn said(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaint = stderr.lines().next().unwrap_or_default();
    if output.code == 0 { stdout } else { format!("{complaint} ({})", output.code) }
}

/// Waits until something holds, and says what it saw last if it does not within the limit.
///
/// # Errors
/// When the limit is reached.
pub async fn until<T>(what: &str, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(last) if tokio::time::Instant::now() >= end => return Err(last.context(format!("waited {LIMIT:?} for {what}"))),
            Err(_) => tokio::time::sleep(GLANCE).await,
        }
    }
}
