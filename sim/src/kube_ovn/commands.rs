//! Commands that look at a node's disk through the mounts of a container.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::log_file::{first, sha256};
use crate::containers::Output;

/// Runs a command on files; `None` if it is none of these. `find` tells where a path of the container lies on this machine.
pub(crate) fn run(words: &[String], hostname: &str, find: &dyn Fn(&str) -> Option<PathBuf>) -> Option<Output> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let files = Files { find };
    Some(match words.as_slice() {
        ["hostname"] => Output::said(format!("{hostname}\n")),
        ["true"] => Output::default(),
        ["ls", "-1A", "--", path] | ["ls", "-1A", path] => files.list(path),
        ["mv", "-T", "-n", "--", from, to] | ["mv", "-T", "-n", from, to] => files.rename(from, to),
        ["mkdir", "-p", "--", path] | ["mkdir", "-p", path] => files.make(path),
        ["cat", "--", path] | ["cat", path] => files.read("cat", path).map_or_else(|failed| failed, Output::said),
        ["sha256sum", "--", path] | ["sha256sum", path] => files
            .read("sha256sum", path)
            .map_or_else(|failed| failed, |bytes| Output::said(format!("{}  {path}\n", sha256(&bytes)))),
        ["ovsdb-tool", what @ ("db-name" | "db-cid" | "db-sid" | "db-local-address"), path] => files.header(what, path)?,
        _ => return None,
    })
}

struct Files<'a> {
    find: &'a dyn Fn(&str) -> Option<PathBuf>,
}

impl Files<'_> {
    fn locate(&self, path: &str) -> io::Result<PathBuf> {
        (self.find)(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &str) -> Output {
        let names = self.locate(path).and_then(|place| {
            let mut names: Vec<String> = fs::read_dir(place)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<_>>()?;
            names.sort_unstable();
            Ok(names)
        });
        match names {
            Ok(names) => Output::said(names.iter().flat_map(|name| [name, "\n"]).collect::<String>()),
            Err(error) => Output::failed(2, format!("ls: cannot access '{path}': {}\n", said(&error))),
        }
    }

    /// As `mv -T -n`: leaves what is there already alone, and says nothing about it.
    fn rename(&self, from: &str, to: &str) -> Output {
        let (old, new) = match (self.locate(from), self.locate(to)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(error), _) | (_, Err(error)) => {
                return Output::failed(1, format!("mv: cannot stat '{from}': {}\n", said(&error)));
            }
        };
        if !old.exists() {
            return Output::failed(1, format!("mv: cannot stat '{from}': {NOT_FOUND}\n"));
        }
        if new.exists() {
            return Output::default();
        }
        match fs::rename(old, new) {
            Ok(()) => Output::default(),
            Err(error) => Output::failed(1, format!("mv: cannot move '{from}' to '{to}': {}\n", said(&error))),
        }
    }

    fn make(&self, path: &str) -> Output {
        match self.locate(path).and_then(fs::create_dir_all) {
            Ok(()) => Output::default(),
            Err(error) => Output::failed(1, format!("mkdir: cannot create directory '{path}': {}\n", said(&error))),
        }
    }

    fn read(&self, tool: &str, path: &str) -> Result<Vec<u8>, Output> {
        let bytes = self.locate(path).and_then(fs::read);
        bytes.map_err(|error| Output::failed(1, format!("{tool}: {path}: {}\n", said(&error))))
    }

    /// What a database's file says of itself; `None` for a file outside of every mount.
    fn header(&self, what: &str, path: &str) -> Option<Output> {
        let place = (self.find)(path)?;
        let bytes = match fs::read(place) {
            Ok(bytes) => bytes,
            Err(error) => {
                return Some(Output::failed(1, format!("ovsdb-tool: I/O error: {path}: open failed ({})\n", said(&error))));
            }
        };
        let Some(header) = first(&bytes) else {
            return Some(Output::failed(1, format!("ovsdb-tool: ovsdb error: {path}: unexpected file format\n")));
        };
        let field = match what {
            "db-name" => "name",
            "db-cid" => "cluster_id",
            "db-sid" => "server_id",
            _ => "local_address",
        };
        Some(header[field].as_str().map_or_else(
            || Output::failed(2, format!("{path}: cluster ID not yet known\n")),
            |value| Output::said(format!("{value}\n")),
        ))
    }
}

const NOT_FOUND: &str = "No such file or directory";

/// As the C library says it.
fn said(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::NotFound, NOT_FOUND),
        (io::ErrorKind::NotADirectory, "Not a directory"),
        (io::ErrorKind::IsADirectory, "Is a directory"),
        (io::ErrorKind::DirectoryNotEmpty, "Directory not empty"),
    ];
    let found = known.iter().find(|(kind, _)| *kind == error.kind());
    found.map_or_else(|| error.to_string(), |(_, text)| (*text).to_owned())
}
