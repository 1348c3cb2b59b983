//! Whether the members may be changed, by one look at everything.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::guard::{self, Act};
use super::super::look::{Look, address_of, is_labelled};
use super::super::{Central, Database, Raft, Server, Standing, list};
use super::{CentralReport, CheckCentral, Leaving, LeavingServer, version};
use crate::ids::NodeName;
use crate::views::{Conditions as _, Node, Status, View as _};

pub(super) fn judge(check: &CheckCentral, look: &Look) -> CentralReport {
    let mut report = CentralReport {
        central: look.central.clone(),
        leaving: None,
        joining: None,
        nodes: u32::try_from(look.nodes.len()).unwrap_or(u32::MAX),
        blockers: Vec::new(),
        warnings: Vec::new(),
    };
    let verdict = version::judge(look.central.version.as_ref(), &look.central.image, check.add_first);
    report.blockers.extend(verdict.blocker);
    report.warnings.extend(verdict.warning);
    let gone = check.remove.as_ref().and_then(|name| gone(name, look));
    report.sets(look, gone);
    if let Some(node) = &check.remove {
        report.remove(node, look);
    }
    if let Some(node) = &check.add {
        report.add(node, check, look);
    }
    report.order(check);
    report.blockers = distinct(report.blockers);
    report.warnings = distinct(report.warnings);
    report
}

impl CentralReport {
    /// `NODE_IPS`, labels and the servers of both databases must name the same addresses, but for a member that shall leave and whose
    /// node is gone: its label went with the node, and its place in `NODE_IPS` perhaps by hand.
    fn sets(&mut self, look: &Look, gone: Option<IpAddr>) {
        let central = &look.central;
        for node in look.nodes.iter().filter(|node| is_labelled(node) && address_of(node, &central.node_ips).is_none()) {
            self.blockers.push(format!("node {} has the label kube-ovn/role=master and no address", node.name()));
        }
        let staying = |mut addresses: BTreeSet<IpAddr>| {
            addresses.retain(|address| Some(*address) != gone);
            addresses
        };
        let (given, labelled) = (set(&central.node_ips), staying(labelled(central)));
        let twice = given.len() != central.node_ips.len();
        let given = staying(given);
        for raft in central.databases.iter().filter(|raft| !is_known(raft)) {
            let why: Vec<String> = raft.troubles.iter().map(ToString::to_string).collect();
            self.blockers.push(format!("the members of the {} database are not known: {}", raft.database, why.join("; ")));
        }
        let known = || central.databases.iter().filter(|raft| is_known(raft));
        let differ = known().any(|raft| staying(voters(raft)) != given) || labelled != given;
        if differ || twice {
            let help = by_address(look).map(|help| format!("; {help}")).unwrap_or_default();
            let sets = sets_side_by_side(central);
            self.blockers.push(format!("the sets that name the members differ; bring them in line first{help}:\n{sets}"));
        }
        if usize::try_from(central.replicas).ok() != Some(central.node_ips.len()) {
            let (replicas, given) = (central.replicas, central.node_ips.len());
            self.blockers
                .push(format!("ovn-central has {replicas} replicas and {given} addresses in NODE_IPS; bring them in line first"));
        }
        for database in Database::BOTH.into_iter().filter(|database| central.raft(*database).is_none()) {
            self.blockers.push(format!("nothing is known of the {database} database"));
        }
    }

    fn remove(&mut self, name: &NodeName, look: &Look) {
        let central = &look.central;
        let (address, gone) = match (look.nodes.iter().find(|node| node.name() == name.as_str()), gone(name, look)) {
            (Some(node), _) => {
                let member = |address: &IpAddr| central.databases.iter().any(|raft| voter(raft, *address).is_some());
                let found = node.internal_addresses().find(member).or_else(|| address_of(node, &central.node_ips));
                let Some(address) = found else {
                    self.blockers.push(format!("node {name} has no address"));
                    return;
                };
                (address, false)
            }
            (None, Some(address)) => (address, true),
            (None, None) => {
                let text = self.unknown(name, look);
                self.blockers.push(text);
                return;
            }
        };
        let who = if gone { address.to_string() } else { format!("{name} ({address})") };
        let absent: Vec<String> = self.absent(address).iter().map(ToString::to_string).collect();
        if !absent.is_empty() {
            let databases = if absent.len() == 1 { "database" } else { "databases" };
            let absent = absent.join(" and ");
            let text = self.with_sets(format!("{who} is no member of the {absent} {databases}"));
            self.blockers.push(text);
        }
        let mut servers = Vec::new();
        for raft in &central.databases {
            let (Some(server), Some(cluster)) = (voter(raft, address), raft.cluster) else { continue };
            self.leaves(raft, server);
            servers.push(LeavingServer {
                database: raft.database,
                cluster,
                id: server.id,
                short: server.short.clone(),
                leads: raft.leader == Some(address),
            });
        }
        if servers.len() == Database::BOTH.len() {
            // Of several pods on its node the one that runs: others are remains.
            let pods = central.pods.iter().filter(|pod| pod.node.as_ref() == Some(name) || pod.address == Some(address));
            let pod = pods.max_by_key(|pod| (pod.runs, pod.ready)).cloned();
            self.leaving = Some(Leaving { node: name.clone(), address, gone, pod, servers });
        }
        if gone && self.leaving.is_some() {
            self.warnings.push(format!(
                "no node has the address {address} any more: its disk is left as it is; before that machine joins again, \
                 /etc/origin/ovn on it must be moved aside"
            ));
        }
        if central.node_ips.first() == Some(&address) {
            self.warnings.push(format!(
                "{address} is the first of NODE_IPS: the next address becomes the one that may found a cluster when no leader is reached"
            ));
        }
    }

    fn absent(&self, address: IpAddr) -> Vec<Database> {
        let absent = self.central.databases.iter().filter(|raft| is_known(raft) && voter(raft, address).is_none());
        absent.map(|raft| raft.database).collect()
    }

    /// Why nothing can be done about a node that is not there.
    fn unknown(&self, name: &NodeName, look: &Look) -> String {
        let node = name.as_str().parse().ok().and_then(|address| named(address, look));
        if let Some(node) = node {
            return format!("{name} is the address of node {}: name the node (--node {})", node.name(), node.name());
        }
        self.with_sets(format!("node {name} does not exist"))
    }

    /// With the sets under it, if nothing before has shown them.
    fn with_sets(&self, text: String) -> String {
        let sets = sets_side_by_side(&self.central);
        if self.blockers.iter().any(|blocker| blocker.ends_with(&sets)) { text } else { format!("{text}:\n{sets}") }
    }

    /// One server leaves; then those that stay are restarted, which the same guard would let pass: it lets nobody go while another is
    /// not well.
    fn leaves(&mut self, raft: &Raft, server: &Server) {
        let (database, address, left) = (raft.database, server.address, raft.voters().count().saturating_sub(1));
        if let Err(refusal) = guard::allow(raft, Act::Kick { address }) {
            self.blockers.push(refusal.to_string());
        } else if left <= 2 {
            self.warnings.push(format!(
                "{left} of the members of the {database} database are left: while each of them restarts, nothing can be written to it, \
                 for 10 to 60 s each; existing traffic goes on"
            ));
        }
        match &server.standing {
            Standing::Leader => self.warnings.push(format!(
                "{address} leads the {database} database: when it is out, nothing can be written until another is elected, up to {} ms",
                raft.election_timer_ms.saturating_mul(2)
            )),
            Standing::Silent { .. } | Standing::Down { .. } => self.warnings.push(format!(
                "{} in the {database} database {}; it is taken out by {}",
                server.label(),
                server.standing,
                server.id.map_or_else(|| format!("its raft address {}", server.raft_address), |id| format!("its id {id}")),
            )),
            Standing::Follower | Standing::Candidate | Standing::Joining | Standing::Leaving | Standing::Left => {}
        }
        if left == 1 {
            self.warnings.push(format!(
                "one member is left of the {database} database: nothing of it survives the loss of that one's disk"
            ));
        }
    }

    fn add(&mut self, name: &NodeName, check: &CheckCentral, look: &Look) {
        let central = &look.central;
        let Some(node) = look.nodes.iter().find(|node| node.name() == name.as_str()) else {
            self.blockers.push(format!("node {name}, which shall join, does not exist"));
            return;
        };
        if node.says("Ready") != Status::True {
            let condition = node.condition("Ready").map(|ready| ready.explanation().to_owned());
            self.blockers.push(format!(
                "node {name}, which shall join, is not ready: {}",
                condition.unwrap_or_else(|| "its kubelet says nothing".to_owned())
            ));
        }
        if node.spec.unschedulable {
            self.warnings.push(format!("node {name}, which shall join, is cordoned"));
        }
        let Some(address) = address_of(node, &central.node_ips) else {
            self.blockers.push(format!("node {name}, which shall join, has no address"));
            return;
        };
        if central.node_ips.first().is_some_and(|first| first.is_ipv4() != address.is_ipv4()) {
            self.blockers.push(format!(
                "node {name}, which shall join, has {address}, of another family than {}",
                list(&central.node_ips)
            ));
        }
        self.joining = Some(address);
        // The same node, with empty databases, is an exchange, too.
        if check.remove.as_ref() != Some(name) {
            self.stranger(node, address, look);
        }
        if check.remove.is_none() || check.add_first {
            for raft in central.databases.iter().filter(|raft| is_known(raft)) {
                match guard::allow(raft, Act::RestartAll) {
                    Err(refusal) => self.blockers.push(refusal.to_string()),
                    Ok(evidence) if evidence.stops_writes => self.warnings.push(format!(
                        "the {} database has {} members: while each of them restarts, nothing can be written to it",
                        raft.database,
                        raft.voters().count()
                    )),
                    Ok(_) => {}
                }
            }
        }
    }

    /// Nothing may know the new member yet (F57).
    fn stranger(&mut self, node: &Node, address: IpAddr, look: &Look) {
        let name = node.name();
        for raft in &look.central.databases {
            if let Some(server) = raft.at(address) {
                let is = if server.votes { "is a member already" } else { "is known as a server already" };
                self.blockers.push(format!(
                    "{name} ({address}), which shall join, {is} in the {} database, {}: take it out first (`windlass start \
                     ovn-central-remove --node {name}`)",
                    raft.database,
                    server.in_words()
                ));
            }
        }
        if look.central.node_ips.contains(&address) {
            self.blockers
                .push(format!("{name} ({address}), which shall join, is in NODE_IPS already ({})", list(&look.central.node_ips)));
        }
        if is_labelled(node) {
            self.blockers
                .push(format!("{name}, which shall join, has the label kube-ovn/role=master already; take it off first"));
        }
    }

    fn order(&mut self, check: &CheckCentral) {
        let (remove, add) = (check.remove.is_some(), check.add.is_some());
        if remove && add && check.add_first {
            self.warnings.push(
                "the new member joins before the old one leaves: never fewer than the members of today, and not the vendor's order".to_owned(),
            );
        } else if remove && add {
            self.warnings.push(
                "the old member leaves before the new one joins, as the vendor has it: meanwhile one member fewer".to_owned(),
            );
        } else if add && self.central.node_ips.len() % 2 == 1 {
            let after = self.central.node_ips.len() + 1;
            self.warnings.push(format!("{after} members, an even number, survive no more losses than {}", after - 1));
        }
    }
}

/// Whether anybody tells who the members are.
fn is_known(raft: &Raft) -> bool {
    raft.voters().next().is_some()
}

fn voter(raft: &Raft, address: IpAddr) -> Option<&Server> {
    raft.voters().find(|server| server.address == address)
}

fn voters(raft: &Raft) -> BTreeSet<IpAddr> {
    raft.voters().map(|server| server.address).collect()
}

fn labelled(central: &Central) -> BTreeSet<IpAddr> {
    central.nodes.iter().filter(|node| node.labelled).map(|node| node.address).collect()
}

fn set(addresses: &[IpAddr]) -> BTreeSet<IpAddr> {
    addresses.iter().copied().collect()
}

/// The sets that must be equal, one under the other and each address in a column of its own, for a person to see where they differ.
fn sets_side_by_side(central: &Central) -> String {
    let unknown = |raft: &Raft| if is_known(raft) { "" } else { " (not known)" };
    let rafts = central.databases.iter().map(|raft| (format!("{} servers{}", raft.database, unknown(raft)), voters(raft)));
    let mut sets = vec![("NODE_IPS".to_owned(), set(&central.node_ips)), ("labelled nodes".to_owned(), labelled(central))];
    sets.extend(rafts);
    let all: BTreeSet<IpAddr> = sets.iter().flat_map(|(_, set)| set).copied().collect();
    let width = sets.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let column = all.iter().map(|address| address.to_string().len()).max().unwrap_or_default();
    let cell = |set: &BTreeSet<IpAddr>, address: &IpAddr| {
        let text = if set.contains(address) { address.to_string() } else { "-".to_owned() };
        format!("  {text:column$}")
    };
    let row = |(name, set): &(String, BTreeSet<IpAddr>)| {
        let cells: String = all.iter().map(|address| cell(set, address)).collect();
        format!("  {name:width$}{}", cells.trim_end())
    };
    sets.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The address of a member whose node is gone, if it is named by that.
fn gone(name: &NodeName, look: &Look) -> Option<IpAddr> {
    let address = name.as_str().parse().ok()?;
    named(address, look).is_none().then_some(address)
}

/// The node that has an address.
fn named(address: IpAddr, look: &Look) -> Option<&Node> {
    look.nodes.iter().find(|node| node.internal_addresses().any(|known| known == address))
}

/// How members without a node are taken out, if there are any.
fn by_address(look: &Look) -> Option<String> {
    let members: BTreeSet<IpAddr> = look.central.databases.iter().flat_map(voters).collect();
    let lost: Vec<IpAddr> = members.into_iter().filter(|member| named(*member, look).is_none()).collect();
    let first = lost.first()?;
    let (verb, names) = (if lost.len() == 1 { "has" } else { "have" }, list(&lost));
    Some(format!("{names} {verb} no node any more: `windlass start ovn-central-remove --node {first}` takes such a member out"))
}

fn distinct(lines: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.into_iter().filter(|line| seen.insert(line.clone())).collect()
}

#[cfg(test)]
mod tests;
