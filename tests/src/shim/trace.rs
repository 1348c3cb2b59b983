//! The trace that the shim writes: every call that changes a file, in the order of the effects.
#![expect(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

/// One call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The errno that it failed with, 0 if it was made.
    pub error: i32,
    /// The file.
    pub path: PathBuf,
    /// What it asked for; of a write, the part that was written.
    pub change: Change,
}

/// What a call asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The file is there from now on, and empty if it says so.
    Create {
        /// Whether what it held is dropped.
        empties: bool,
    },
    /// Bytes at a place.
    Write {
        /// The place.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A new length.
    Truncate(usize),
    /// All of the file, or the names in the directory, are durable from now on.
    Sync,
    /// Another name.
    Rename(PathBuf),
    /// No name any more.
    Remove,
    /// A directory.
    MakeDir,
}

/// Reads a trace; none was written if the process changed nothing.
pub fn trace(path: &Path) -> Vec<Call> {
    let Ok(file) = std::fs::File::open(path) else { return Vec::new() };
    let mut file = std::io::BufReader::new(file);
    let mut calls = Vec::new();
    let mut line = String::new();
    while file.read_line(&mut line).expect("the trace can be read") > 0 {
        let fields: Vec<&str> = line.trim_end_matches('\n').splitn(5, ' ').collect();
        let [kind, error, offset, length, paths] = fields[..] else { panic!("not a line of a trace: {line:?}") };
        let place = || offset.parse().expect("an offset is a number");
        let (path, to) = paths.split_once('\t').unwrap_or((paths, ""));
        let change = match kind {
            "create" => Change::Create { empties: offset == "0" },
            "write" => {
                let mut bytes = vec![0; length.parse().expect("a length is a number")];
                file.read_exact(&mut bytes).expect("a write has its bytes");
                file.read_line(&mut String::new()).expect("a newline ends them");
                Change::Write { offset: place(), bytes }
            }
            "truncate" => Change::Truncate(place()),
            "sync" => Change::Sync,
            "rename" => Change::Rename(to.into()),
            "remove" => Change::Remove,
            "mkdir" => Change::MakeDir,
            other => panic!("not a call of a trace: {other}"),
        };
        calls.push(Call { error: error.parse().expect("an errno is a number"), path: path.into(), change });
        line.clear();
    }
    calls
}
