//! Real processes on a disk that can be watched and can fail: `tests/shim/shim.c`, loaded before the C library.

mod disk;
mod trace;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use disk::{Disk, Unsynced};
pub use trace::{Call, Change, trace};

/// The library, built for one test.
pub struct Shim {
    library: PathBuf,
}

/// What happens to a process at a system call on a file.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which calls are counted, as `SHIM_ON` names them; all that change files if empty.
    pub on: &'static str,
    /// Counts calls only on paths that contain this.
    pub files: &'static str,
    /// The call that is met, from 1.
    pub nth: u64,
    /// What happens.
    pub what: What,
}

/// What happens at the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The process is killed before the call is made.
    KillBefore,
    /// The process is killed once the call is made.
    KillAfter,
    /// The call fails with an errno, and all later ones.
    Fail(rustix::io::Errno),
    /// The disk is full in the middle of a write, and stays so.
    FillUp,
    /// This one call fails with an errno.
    FailOnce(rustix::io::Errno),
}

impl Shim {
    /// Compiles the library into a folder.
    pub fn build(folder: &Path) -> Self {
        let library = folder.join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-o"]).arg(&library).arg(source);
        assert!(cc.args(["-ldl", "-lpthread"]).status().expect("there is a C compiler").success(), "the library compiles");
        Self { library }
    }

    /// Puts the library before a command: it sees files below a folder, and writes down what changes them.
    pub fn watch(&self, command: &mut Command, below: &Path, trace: &Path) {
        command.env("LD_PRELOAD", &self.library).env("SHIM_DIR", below).env("SHIM_TRACE", trace);
    }

    /// As [`Shim::watch`], and lets something happen to it.
    pub fn strike(&self, command: &mut Command, below: &Path, trace: &Path, fault: &Fault) {
        self.watch(command, below, trace);
        command.env("SHIM_AT", fault.nth.to_string()).env("SHIM_FILES", fault.files);
        if !fault.on.is_empty() {
            command.env("SHIM_ON", fault.on);
        }
        let errno = |errno: rustix::io::Errno| errno.raw_os_error().to_string();
        match fault.what {
            What::KillBefore => command.env("SHIM_FAULT", "kill-before"),
            What::KillAfter => command.env("SHIM_FAULT", "kill-after"),
            What::FailOnce(cause) => command.env("SHIM_FAULT", errno(cause)),
            What::Fail(cause) => command.env("SHIM_FAULT", errno(cause)).env("SHIM_STAYS", "1"),
            What::FillUp => {
                command.env("SHIM_FAULT", errno(rustix::io::Errno::NOSPC)).env("SHIM_STAYS", "1").env("SHIM_SHORT", "1")
            }
        };
    }
}
