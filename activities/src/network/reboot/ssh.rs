//! A host by way of its address, over the system's `ssh`.

use windlass_engine::ActivityError;

use super::Boot;
use super::host::Found;
use crate::cluster::{Cluster, Query};
use crate::exec::{Ended, Purpose};
use crate::ssh::Ssh;
use crate::views::{Node, View as _};

/// Which boot a host is in, by its kernel: no other host was ever in it.
pub(super) const BOOT_ID: [&str; 2] = ["cat", "/proc/sys/kernel/random/boot_id"];

/// A host that somebody may log in to.
pub(super) struct Login<'a> {
    cluster: &'a Cluster,
    boot: &'a Boot,
    ssh: Ssh<'a>,
}

impl<'a> Login<'a> {
    pub(super) fn to(cluster: &'a Cluster, boot: &'a Boot, user: &'a str) -> Result<Self, ActivityError> {
        let nowhere = || {
            let message = format!("node {} tells no address to log in at; nothing was touched", boot.node);
            ActivityError::permanent("no-address", message)
        };
        let address = boot.addresses.first().copied().ok_or_else(nowhere)?;
        Ok(Self { cluster, boot, ssh: Ssh::new(cluster, address, user)? })
    }

    pub(super) async fn command(&self, words: &[&str], purpose: Purpose) -> Result<Ended, ActivityError> {
        self.ssh.command(words, purpose).await
    }

    pub(super) fn shell(&self) -> String {
        format!("ssh {}", self.ssh.place())
    }

    /// Asks the host which boot it is in; a boot that is not the journaled one is looked for among the nodes.
    pub(super) async fn identify(&self) -> Result<Found, ActivityError> {
        let told = self.command(&BOOT_ID, Purpose::Look).await?;
        let said = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        if told.code != 0 || said.is_empty() {
            let message = format!("{} does not tell which boot it is in: {}", self.ssh.place(), told.in_words());
            return Err(ActivityError::transient("no-boot-id", message));
        }
        if said == self.boot.boot_id {
            return Ok(Found::SameBoot);
        }
        judge(&said, self.boot, &self.ssh.place(), &self.cluster.list(&Query::default()).await?)
    }
}

/// What it means that the host behind an address is in another boot than the node was.
fn judge(said: &str, boot: &Boot, place: &str, nodes: &[Node]) -> Result<Found, ActivityError> {
    let owner = nodes.iter().find(|node| node.status.node_info.boot_id == said).map(Node::name);
    match owner {
        Some(name) if name == boot.node.as_str() => Ok(Found::OtherBoot(said.to_owned())),
        Some(other) => {
            let message = format!(
                "{place} is not {}: it is in boot {said}, and that is {other}; nothing was touched; mend the address or the \
                 configuration of ssh, then retry",
                boot.node
            );
            Err(ActivityError::permanent("wrong-host", message))
        }
        // A host that rebooted a moment ago is one that its kubelet has not told of yet.
        None => {
            let message = format!(
                "{place} is in boot {said}, and {} was in {}; no node of this cluster is known to be in that boot, so it is another \
                 host, or has rebooted this minute; nothing was touched; look at `ssh {place} hostname`, then retry",
                boot.node, boot.boot_id
            );
            Err(ActivityError::transient("unknown-boot", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, boot_id: &str) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        node.status.node_info.boot_id = boot_id.to_owned();
        node
    }

    /// Seen to fail with: every other boot taken for a reboot.
    #[test]
    fn another_boot_is_the_nodes_own_or_refused() {
        let boot = Boot { node: "a".into(), boot_id: "1".to_owned(), addresses: Vec::new(), control_plane: false };
        let nodes = [node("a", "2"), node("b", "3")];
        let check = |said: &str| judge(said, &boot, "core@10.0.0.5", &nodes);
        assert!(matches!(check("2"), Ok(Found::OtherBoot(boot)) if boot == "2"));
        let code = |said: &str| check(said).err().map(|error| error.code.as_str().to_owned());
        assert_eq!(code("3").as_deref(), Some("wrong-host"));
        assert_eq!(code("4").as_deref(), Some("unknown-boot"));
    }
}
