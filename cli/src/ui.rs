//! Where words go: stdout is data, stderr is talk; no colour and no drawing when not a terminal.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use console::{Style, Term};
use serde::Serialize;

use crate::failure::{Failure, Kind};

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

/// The two streams, and what may be done with them.
#[derive(Clone, Debug)]
pub(crate) struct Ui {
    pub(crate) format: Format,
    /// Whether stderr is a terminal that may be drawn on.
    pub(crate) draws: bool,
    /// Whether a person can be asked.
    pub(crate) asks: bool,
    out: Stream,
    err: Stream,
}

/// One of the two streams.
#[derive(Clone, Debug)]
struct Stream {
    term: Term,
    coloured: bool,
}

impl Ui {
    /// Looks at the streams and the environment.
    pub(crate) fn new(format: Format) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let of = |term: Term| Stream { coloured: colour && !dumb && term.is_term(), term };
        let (out, err) = (of(Term::stdout()), of(Term::stderr()));
        let attended = err.term.is_term();
        Self { format, draws: attended && !dumb, asks: attended && std::io::stdin().is_terminal(), out, err }
    }

    /// Writes data to stdout. A reader that has gone (`| head`) ends the program quietly.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut out = &self.out.term;
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(e) => Err(Failure::new(
                Kind::Failed,
                format!("writing to stdout: {e}"),
                "make room or choose another place, then retry",
            )),
        }
    }

    /// Writes a value to stdout in the structured format that was asked for; as JSON if it was a table.
    pub(crate) fn value<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        match self.format {
            Format::Yaml => self.yaml(value),
            Format::Table | Format::Json => {
                let text = serde_json::to_string_pretty(value).map_err(|e| unprintable(&e))?;
                self.data(&format!("{text}\n"))
            }
        }
    }

    /// Writes a value to stdout as YAML.
    pub(crate) fn yaml<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.data(&serde_saphyr::to_string(value).map_err(|e| unprintable(&e))?)
    }

    /// Writes one line to stderr.
    pub(crate) fn talk(&self, line: &str) {
        // With stderr gone there is nobody left to tell.
        let _ = self.err.term.write_line(line);
    }

    /// Asks the person at the terminal; only a clear yes is one. Reads beside the event loop, so that Ctrl-C works.
    pub(crate) async fn agrees(&self, question: &str) -> bool {
        self.talk(question);
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
        });
        read.await.unwrap_or(false)
    }

    /// Prints an error and the way out of it.
    pub(crate) fn fail(&self, failure: &Failure) {
        let red = self.on_err(Style::new().red().bold());
        self.talk(&format!("{} {}", red.apply_to("error:"), failure.message));
        self.talk(&format!("next: {}", failure.next));
    }

    /// A style that holds on stdout only if that shows colours.
    pub(crate) fn on_out(&self, style: Style) -> Style {
        style.force_styling(self.out.coloured)
    }

    /// A style that holds on stderr only if that shows colours.
    pub(crate) fn on_err(&self, style: Style) -> Style {
        style.for_stderr().force_styling(self.err.coloured)
    }

    /// The columns of the terminal behind stdout; `None` when it is none, so that nothing is cut.
    pub(crate) fn out_width(&self) -> Option<usize> {
        self.out.term.is_term().then(|| usize::from(self.out.term.size().1))
    }
}

fn unprintable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Failed, format!("the data can't be printed: {error}"), "try another format with -o")
}
