//! The windlass command itself, as a process that can be killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The command, built by cargo in the profile of the tests; beside the test binaries.
///
/// `WINDLASS_BUILT` says that it is there already: a test of the whole workspace begins with it, and a second build, of the command
/// alone, would build its dependencies again with other features.
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
    assert!(build.status().expect("cargo runs").success(), "the command builds");
}
