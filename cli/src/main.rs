//! The `windlass` command: one file per command in `commands/`, everything else serves them.

mod app;
mod archive_file;
mod books;
mod calendar_args;
mod clock;
mod commands;
mod drive;
mod failure;
mod intake;
mod live;
mod mirror;
mod ownership;
mod plan_file;
mod procedure;
mod render;
mod simulation;
mod tell;
mod ui;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main()
}
