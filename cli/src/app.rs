//! From the command line to the command and back to an exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser};

use crate::commands::Command;
use crate::failure::{Failure, Kind, Outcome};
use crate::ui::{Format, Ui};

/// Durable cluster maintenance: workflows that take hours or weeks, can be killed at any moment, and go on from the exact step.
#[derive(Parser)]
#[command(name = "windlass", version, max_term_width = 110, after_help = EXIT_CODES, subcommand_required = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 the run failed or the cluster did not answer; 2 usage; 3 parked, waiting for a person, \
or interrupted and resumable; 4 not found; 5 another worker holds the journal or the cluster; 6 the journal is damaged.";

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The directory of the journal [env: WINDLASS_JOURNAL] [default: windlass under the XDG state directory]
    #[arg(long, value_name = "DIR", env = "WINDLASS_JOURNAL", hide_env = true, global = true, help_heading = EVERYWHERE)]
    pub(crate) journal: Option<PathBuf>,
    /// The kubeconfig file [default: as kubectl]
    #[arg(long, value_name = "FILE", global = true, help_heading = EVERYWHERE)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", global = true, help_heading = EVERYWHERE)]
    pub(crate) context: Option<String>,
    /// How data is printed: table, json or yaml
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t, hide_possible_values = true, global = true, help_heading = EVERYWHERE)]
    output: Format,
}

/// The heading of the options that every command takes.
const EVERYWHERE: &str = "Everywhere";

/// What every command is given.
pub(crate) struct App {
    pub(crate) ui: Ui,
    pub(crate) global: Global,
}

impl App {
    /// The journal's directory: as named, else under the XDG state directory.
    pub(crate) fn journal(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.global.journal {
            return Ok(dir.clone());
        }
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        state.map(|state| state.join("windlass")).ok_or_else(|| {
            Failure::usage("there is no home directory to keep the journal in", "name a directory with --journal DIR")
        })
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    log_to_stderr();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let app = App { ui: Ui::new(cli.global.output), global: cli.global };
    let code = match block_on(cli.command.run(&app)) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            app.ui.fail(&failure);
            failure.kind.code()
        }
    };
    ExitCode::from(code)
}

/// One thread: the engine syncs on the thread of its loop, and a paused clock must not run ahead of that.
fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| {
        Failure::new(Kind::Failed, format!("no event loop: {e}"), "raise the limits on open files (ulimit -n), then retry")
    })?;
    let outcome = runtime.block_on(command);
    // A thread that still reads the terminal must not hold the program.
    runtime.shutdown_background();
    outcome
}

/// Diagnostics, only when asked for: the journal is the record, not the log.
fn log_to_stderr() {
    let asked = std::env::var("WINDLASS_LOG").or_else(|_| std::env::var("RUST_LOG"));
    if let Ok(filter) = asked {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}

/// Help and version go to stdout; everything else is one line and what to type.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // With stdout gone there is nobody left to read it.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let ui = Ui::new(Format::Table);
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(Kind::Usage.code());
    }
    let failure = usage_failure(error);
    ui.fail(&failure);
    ExitCode::from(failure.kind.code())
}

fn usage_failure(error: &clap::Error) -> Failure {
    let path = command_path();
    let help = format!("{path} --help");
    let text = error.to_string();
    let mut paragraph = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let mut message = paragraph.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let more: Vec<&str> = paragraph.collect();
    if !more.is_empty() {
        message = format!("{message} {}", more.join(" "));
    }
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(name))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
    {
        let close = match error.get(ContextKind::SuggestedSubcommand) {
            Some(ContextValue::Strings(close)) => close.first().cloned(),
            Some(ContextValue::String(close)) => Some(close.clone()),
            Some(_) | None => None,
        };
        let (what, there) =
            if path == "windlass" { ("command", "") } else { ("workflow", "; there are cluster-update and eus-update") };
        let next = close.map_or(help, |close| format!("{path} {close}    if that is what you meant"));
        return Failure::usage(format!("there is no {what} {name}{there}"), next);
    }
    Failure::usage(message, help)
}

/// The words of the command line that named a command, for the advice.
fn command_path() -> String {
    let known = Cli::command();
    let first = std::env::args().skip(1).find(|word| known.find_subcommand(word).is_some());
    first.map_or_else(|| "windlass".to_owned(), |word| format!("windlass {word}"))
}
