use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::host::{Host, Place};
use super::{DIRECTORY, HostAccess, NAME as NAME_THERE, PARENT};
use crate::cluster::Cluster;
use crate::exec::Purpose;
use crate::ids::NodeName;
use crate::ovn::central::permitted;
use crate::ovn::{Act, CentralPod};

/// Moves the directory of the databases aside on a node that is a member of neither any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MoveDirectoryAside {
    /// The node.
    pub node: NodeName,
    /// Its address, which must be in neither database.
    pub address: IpAddr,
    /// How its disk is reached.
    pub access: HostAccess,
    /// What the new name ends in: the run and the step, so that a repeat is known.
    pub marker: String,
}

/// That a directory is aside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirectoryMoved {
    /// Where it is now; none if there was nothing.
    pub to: Option<String>,
    /// Whether it was so already.
    pub already: bool,
}

impl Activity for MoveDirectoryAside {
    const NAME: ActivityName = ActivityName::new("move-ovn-directory-aside");
    const EFFECT: Effect = Effect::Guarded;
    type World = Cluster;
    type Output = DirectoryMoved;

    fn summary(&self) -> String {
        format!("move {DIRECTORY} on {} aside", self.node)
    }

    fn requests(&self) -> Vec<String> {
        self.access.requests(&self.node, self.address, &["mv", "-T", "-n", DIRECTORY, &format!("{PARENT}/{}", self.target())])
    }

    fn assumed(&self) -> Option<DirectoryMoved> {
        Some(DirectoryMoved { to: None, already: false })
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<DirectoryMoved, ActivityError> {
        self.check_marker()?;
        self.place().check(cx.world(), &self.access).await?;
        // Before a pod is made for it; and once more right before the move.
        self.is_free(&cx).await?;
        let host = Host::new(&cx, self.place(), &self.access)?;
        let moved = self.moved(&cx, &host).await;
        host.close(moved).await
    }
}

/// What is to be done, by what lies side by side.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    Nothing,
    ToMove,
    Moved,
    Both,
}

impl MoveDirectoryAside {
    fn place(&self) -> Place<'_> {
        Place { node: &self.node, address: self.address }
    }

    fn target(&self) -> String {
        format!("{NAME_THERE}.windlass-{}", self.marker)
    }

    /// The marker becomes part of a path.
    fn check_marker(&self) -> Result<(), ActivityError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=80).contains(&self.marker.len()) && self.marker.chars().all(plain) {
            return Ok(());
        }
        Err(ActivityError::permanent("bad-marker", format!("{:?} can't be part of a name; plan again", self.marker)))
    }

    /// Whether the host has no part in ovn-central: no vote in either database, and no pod.
    async fn is_free(&self, cx: &ActivityContext<Cluster>) -> Result<(), ActivityError> {
        let central = permitted(cx, Act::MoveDirectory { address: self.address }).await?;
        let here = |pod: &&CentralPod| pod.node.as_ref() == Some(&self.node) || pod.address == Some(self.address);
        let Some(pod) = central.pods.iter().find(here) else { return Ok(()) };
        let message =
            format!("pod {} of ovn-central is on {} and may use {DIRECTORY}; wait for its end, then retry", pod.name, self.node);
        Err(ActivityError::transient("central-pod-there", message))
    }

    async fn moved(&self, cx: &ActivityContext<Cluster>, host: &Host<'_>) -> Result<DirectoryMoved, ActivityError> {
        host.open(self.place()).await?;
        let to = Some(format!("{PARENT}/{}", self.target()));
        match self.judge(&host.names("").await?) {
            Found::Nothing => return Ok(DirectoryMoved { to: None, already: false }),
            Found::Moved => return Ok(DirectoryMoved { to, already: true }),
            Found::Both => {
                let message = format!(
                    "{DIRECTORY} and {PARENT}/{} are both on {}: something was put there after the move; see which is which, move \
                     one away by hand, then retry",
                    self.target(),
                    self.node
                );
                return Err(ActivityError::permanent("both-there", message));
            }
            Found::ToMove => {}
        }
        self.is_its_own(host).await?;
        self.is_free(cx).await?;
        let (from, target) = (host.path(NAME_THERE), host.path(&self.target()));
        let ended = host.command(&["mv", "-T", "-n", &from, &target], Purpose::Act).await?;
        // An `mv` that was not allowed to replace anything may say that all went well.
        if self.judge(&host.names("").await?) == Found::Moved {
            return Ok(DirectoryMoved { to, already: false });
        }
        let message = format!("{from} was not moved: mv ended with {}: {}; mend that, then retry", ended.code, ended.in_words());
        Err(ActivityError::transient("not-moved", message))
    }

    fn judge(&self, names: &[String]) -> Found {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        match (has(NAME_THERE), has(&self.target())) {
            (false, false) => Found::Nothing,
            (true, false) => Found::ToMove,
            (false, true) => Found::Moved,
            (true, true) => Found::Both,
        }
    }

    /// Whether the databases were made for this host: those of another one on it are a sign that it is the wrong one.
    async fn is_its_own(&self, host: &Host<'_>) -> Result<(), ActivityError> {
        let owners = host.owners(&host.names(NAME_THERE).await?).await?;
        let foreign = owners.iter().find(|owner| address_of(owner).is_some_and(|address| address != self.address));
        let Some(owner) = foreign else { return Ok(()) };
        Err(self.place().wrong(&format!("the databases in {DIRECTORY} there belong to {owner}")))
    }
}

/// `tcp:[172.18.0.5]:6643`: the address in it.
fn address_of(raft: &str) -> Option<IpAddr> {
    let (_, rest) = raft.split_once(':')?;
    let (address, _) = rest.rsplit_once(':')?;
    address.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail with: both there taken for moved already.
    #[test]
    fn what_lies_side_by_side_says_what_is_to_be_done() {
        let access = HostAccess::Ssh { user: "root".to_owned() };
        let aside =
            MoveDirectoryAside { node: "a".into(), address: "10.0.0.1".parse().unwrap(), access, marker: "r-1".to_owned() };
        let check = |names: &[&str], expect: Found| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(aside.judge(&names), expect, "{names:?}");
        };
        check(&[], Found::Nothing);
        check(&["ovn"], Found::ToMove);
        check(&["ovn", "ovn.windlass-r-0"], Found::ToMove);
        check(&["ovn.windlass-r-1", "openvswitch"], Found::Moved);
        check(&["ovn", "ovn.windlass-r-1"], Found::Both);
    }

    #[test]
    fn a_marker_can_lead_nowhere_else() {
        let check = |marker: &str, expect: bool| {
            let access = HostAccess::Ssh { user: "root".to_owned() };
            let address = "10.0.0.1".parse().unwrap();
            let aside = MoveDirectoryAside { node: "a".into(), address, access, marker: marker.to_owned() };
            assert_eq!(aside.check_marker().is_ok(), expect, "{marker:?}");
        };
        check("0198c0de-0000-7000-8000-000000000001", true);
        check("", false);
        check("../ovn", false);
        check("a b", false);
    }

    #[test]
    fn the_address_of_a_database_is_read() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(address_of(text).map(|address| address.to_string()).as_deref(), expect, "{text}");
        };
        check("tcp:[172.18.0.5]:6643", Some("172.18.0.5"));
        check("tcp:127.77.0.1:6643", Some("127.77.0.1"));
        check("ssl:[fd00::5]:6644", Some("fd00::5"));
        check("unix:x", None);
        check("", None);
    }
}
