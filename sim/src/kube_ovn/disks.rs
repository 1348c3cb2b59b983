//! The nodes' disks: a folder on this machine for each node's `/etc/origin`.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::json::text;

/// What stands for `/etc/origin` of a node.
const ORIGIN: &str = "/etc/origin";

/// The disks of all nodes; gone with the simulated cluster.
#[derive(Debug)]
pub(crate) struct Disks {
    root: TempDir,
}

impl Disks {
    pub(crate) fn new() -> io::Result<Self> {
        // Sockets of real servers lie below, and their paths must be short.
        Ok(Self { root: tempfile::Builder::new().prefix("ws-").tempdir()? })
    }

    /// Where a path on a node lies on this machine; `None` outside of `/etc/origin`.
    pub(crate) fn on_host(&self, node: &str, path: &str) -> Option<PathBuf> {
        let rest = Path::new(path).strip_prefix(ORIGIN).ok()?;
        let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
        let home = self.root.path().join(node);
        if plain && fs::create_dir_all(&home).is_ok() { Some(home.join(rest)) } else { None }
    }

    /// Where a path in a pod's container lies on this machine, through the container's mounts; `None` if through none.
    pub(crate) fn in_pod(&self, pod: &Value, container: &str, path: &str) -> Option<PathBuf> {
        let containers = pod["spec"]["containers"].as_array()?;
        let container = containers.iter().find(|c| c["name"] == container)?;
        let mounts = container["volumeMounts"].as_array()?.iter();
        let below = mounts.filter_map(|mount| {
            let at = text(mount, "/mountPath");
            Some((at.len(), Path::new(path).strip_prefix(at).ok()?, text(mount, "/name")))
        });
        let (_, rest, volume) = below.max_by_key(|(length, ..)| *length)?;
        let volume = pod["spec"]["volumes"].as_array()?.iter().find(|v| v["name"] == volume)?;
        let host = Path::new(text(volume, "/hostPath/path")).join(rest);
        self.on_host(text(pod, "/spec/nodeName"), host.to_str()?.trim_end_matches('/'))
    }
}
