//! The windlass command itself, as a process that can be killed.
#![expect(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// From nothing it takes some minutes; while another build holds the target directory, cargo itself would wait for ever.
const LONGEST_BUILD: Duration = Duration::from_secs(30 * 60);

/// The command, built by cargo in the profile of the tests; beside the test binaries.
///
/// `WINDLASS_BUILT` says that it is there already: a test of the whole workspace begins with it, and a second build, of the command
/// alone, would build its dependencies again with other features. Whoever measures or bounds time asks for the command before that.
pub fn windlass() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os("WINDLASS_BUILT").is_none() {
            build();
        }
        let tests = std::env::current_exe().expect("a test has a path");
        let folder = tests.ancestors().nth(2).expect("test binaries lie in a folder of the target directory");
        folder.join("windlass")
    })
}

fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "windlass"]).stdin(Stdio::null());
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let mut build = build.spawn().expect("cargo runs");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = build.try_wait().expect("a child can be asked") {
            break status;
        }
        if begun.elapsed() > LONGEST_BUILD {
            build.kill().expect("a running child can be killed");
            build.wait().expect("a child that was killed ends");
            panic!("the command was not built within {LONGEST_BUILD:?}: does another build hold the target directory?");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "the command builds");
}
