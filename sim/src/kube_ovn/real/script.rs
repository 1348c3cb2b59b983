//! What Kube-OVN's start script decides before it starts the servers of a pod.
//!
//! The northbound leader alone tells it whether there is a cluster. An address that is first in `NODE_IPS` founds one if there is none;
//! every other joins, by the leader or, knowing none, by the first address. Files that are there are used as they are, whatever they
//! belong to; only one that never got into its cluster is removed after a while. The repair of broken files, which needs programs of
//! Kube-OVN's own, is left out.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use super::super::backend::{Database, Member};
use super::server::Server;
use super::{Place, Settings, answers, tools};

/// How a database comes to a file if it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// A cluster of its own.
    Found,
    /// Joined to whatever cluster the server at this address belongs to.
    Join(Ipv4Addr),
}

/// Starts both servers of a pod, or says why the script ended.
///
/// `leave` is asked between steps whether there is reason to stop.
pub(super) fn start(
    member: &Member,
    place: &Place,
    settings: &Settings,
    leave: &dyn Fn() -> bool,
) -> Result<Vec<Server>, String> {
    if !member.node_ips.contains(&member.address) {
        let all: Vec<String> = member.node_ips.iter().map(ToString::to_string).collect();
        return Err(format!("ERROR! host ip {} not in env NODE_IPS {}", member.address, all.join(",")));
    }
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    fs::create_dir_all(&place.data).map_err(|error| failed("/etc/ovn can't be made", error))?;
    for database in Database::BOTH {
        drop_hopeless(&place.file(database), settings);
    }
    let leader =
        |database| member.node_ips.iter().copied().find(|ip| !leave() && answers::leads(*ip, database, settings.query_limit));
    let northbound = leader(Database::Northbound);
    let southbound = northbound.and_then(|_| leader(Database::Southbound));
    let origins = decide(member.address, &member.node_ips, northbound, southbound);
    let mut servers = Vec::new();
    for (database, origin) in Database::BOTH.into_iter().zip(origins) {
        if leave() {
            break;
        }
        let path = place.file(database);
        make(&path, database, member.address, origin, settings).map_err(|error| failed(database.schema(), error))?;
        servers.push(Server::start(database, member.address, place).map_err(|error| failed("ovsdb-server", error))?);
    }
    Ok(servers)
}

fn decide(own: Ipv4Addr, node_ips: &[Ipv4Addr], northbound: Option<Ipv4Addr>, southbound: Option<Ipv4Addr>) -> [Origin; 2] {
    let first = node_ips.first().copied().unwrap_or(own);
    if northbound.is_none() && first == own {
        return [Origin::Found; 2];
    }
    [northbound, southbound].map(|leader| Origin::Join(leader.unwrap_or(first)))
}

fn make(path: &Path, database: Database, own: Ipv4Addr, origin: Origin, settings: &Settings) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let raft = |ip: Ipv4Addr| format!("tcp:[{ip}]:{}", database.raft_port());
    let local = raft(own);
    match origin {
        Origin::Found => {
            let timer = format!("--election-timer={}", settings.election_timer.as_millis());
            let schema = tools::schema(database);
            let words = [timer.as_ref(), "create-cluster".as_ref(), path.as_os_str(), schema.as_os_str(), local.as_ref()];
            tools::ovsdb_tool(&words)?;
        }
        Origin::Join(remote) => {
            let remote = raft(remote);
            let words = ["join-cluster".as_ref(), path.as_os_str(), database.schema().as_ref(), local.as_ref(), remote.as_ref()];
            tools::ovsdb_tool(&words)?;
        }
    }
    Ok(())
}

/// Removes a file that has waited for its cluster too long.
fn drop_hopeless(path: &Path, settings: &Settings) {
    let age = fs::metadata(path).and_then(|data| data.created()).ok().and_then(|born| born.elapsed().ok());
    if age.is_some_and(|age| age >= settings.joining_limit) {
        let check = tools::ovsdb_tool(&["check-cluster".as_ref(), path.as_os_str()]);
        if check.is_err_and(|error| error.to_string().contains("has not joined the cluster")) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail with the southbound leader asked whether there is a cluster; with the own address taken for the first.
    #[test]
    fn the_first_founds_and_others_join() {
        let ip = |host| Ipv4Addr::new(127, 0, 0, host);
        let all = [ip(1), ip(2), ip(3)];
        let check = |own, northbound: Option<u8>, southbound: Option<u8>, wanted| {
            assert_eq!(
                decide(ip(own), &all, northbound.map(ip), southbound.map(ip)),
                wanted,
                "{own} {northbound:?} {southbound:?}"
            );
        };
        check(1, None, None, [Origin::Found; 2]);
        check(1, None, Some(2), [Origin::Found; 2]);
        check(2, None, None, [Origin::Join(ip(1)); 2]);
        check(1, Some(2), Some(3), [Origin::Join(ip(2)), Origin::Join(ip(3))]);
        check(3, Some(2), None, [Origin::Join(ip(2)), Origin::Join(ip(1))]);
    }
}
