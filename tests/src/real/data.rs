//! What is written into databases, and read out of them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use windlass_sim::containers::Output;
use windlass_sim::kube_ovn::{Database, KubeOvn};

/// Writes a name into a database at a node; says whether that was acknowledged.
pub(super) async fn write(kube_ovn: &KubeOvn, node: &str, database: Database, name: &str) -> bool {
    let address = address_of(name).to_string();
    let words: &[&str] = match database {
        Database::Northbound => &["ovn-nbctl", "--timeout=2", "--no-leader-only", "ls-add", name],
        Database::Southbound => &["ovn-sbctl", "--timeout=2", "--no-leader-only", "chassis-add", name, "geneve", &address],
    };
    kube_ovn.exec(node, words).await.is_some_and(|output| output.code == 0)
}

/// No two chassis may have the same address.
fn address_of(name: &str) -> Ipv4Addr {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let [a, b, c, ..] = hasher.finish().to_be_bytes();
    Ipv4Addr::new(10, a, b, c)
}

/// The names in a database, as a node has them, a blank after each.
pub(super) async fn rows(kube_ovn: &KubeOvn, node: &str, database: Database) -> Result<String> {
    let words: &[&str] = match database {
        Database::Northbound => &["ovn-nbctl", "--timeout=5", "--no-leader-only", "ls-list"],
        Database::Southbound => &["ovn-sbctl", "--timeout=5", "--no-leader-only", "show"],
    };
    let Output { stdout, code, .. } = kube_ovn.exec(node, words).await.with_context(|| format!("nothing runs on {node}"))?;
    ensure!(code == 0, "{node} can't be read");
    Ok(String::from_utf8(stdout)?.replace(['(', ')', '"', '\n'], " "))
}
