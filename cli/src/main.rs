//! The `windlass` command: one file per command in `commands/`, everything else serves them.

mod app;
mod books;
mod commands;
mod failure;
mod render;
mod tell;
mod ui;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main()
}
