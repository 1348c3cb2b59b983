//! The files of modelled servers: a header as real ones have, and the rest behind it.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::World;
use super::server::Disk;
use crate::kube_ovn::Database;
use crate::kube_ovn::log_file::{first, record};

/// Reads a server's file; none if there is none.
pub(super) fn load(path: &Path, database: Database) -> Result<Option<Disk>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("ovsdb-server: I/O error: {}: open failed ({error})", path.display())),
    };
    let header = first(&bytes).filter(|header| header["name"] == database.schema());
    let disk = header.and_then(|header| serde_json::from_value(header["model"].clone()).ok());
    disk.map(Some).ok_or_else(|| format!("ovsdb-server: ovsdb error: {}: unexpected file format", path.display()))
}

/// Writes a server's file; its directory may have been moved away under it.
pub(super) fn save(path: &Path, database: Database, disk: &Disk) {
    if let Err(error) = fs::write(path, text(database, disk)) {
        tracing::debug!(%error, path = %path.display(), "a modelled server's file was not written");
    }
}

fn text(database: Database, disk: &Disk) -> String {
    let mut header =
        json!({ "name": database.schema(), "server_id": disk.id, "local_address": disk.address, "model": json!(disk) });
    if let Some(cluster) = disk.cluster.filter(|_| disk.remotes.is_empty()) {
        header["cluster_id"] = json!(cluster);
    }
    if !disk.remotes.is_empty() {
        header["remote_addresses"] = json!(disk.remotes);
    }
    record("CLUSTER", &header)
}

/// Deletes a server's file.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, path = %path.display(), "a modelled server's file was not deleted");
    }
}

impl World {
    /// Writes what changed to the disks.
    pub(super) fn save(&mut self) {
        for (database, servers) in &self.servers {
            for (pod, server) in servers {
                let Some(script) = self.pods.get(pod) else { continue };
                let saved = self.saved.get(&(pod.clone(), *database));
                if saved.is_some_and(|saved| *saved == server.disk) {
                    continue;
                }
                save(&script.member.directory.join(database.file()), *database, &server.disk);
                self.saved.insert((pod.clone(), *database), server.disk.clone());
            }
        }
    }
}
