//! `windlass export`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use windlass_engine::RunId;
use windlass_engine::archive::{Export, ExportError, Exported, Redactor, export};
use windlass_engine::journal::{JournalReader, refuse_newer};

use crate::app::App;
use crate::books::{Books, no_such_run};
use crate::failure::{Exit, Failure, Kind, Outcome};
use crate::plan_file::SigningKey;
use crate::ui::Ui;
use crate::words;

/// Write the history of a run as JSON lines that prove themselves: linked, and signed with the key beside the journal.
///
/// `windlass verify FILE` checks it and `windlass replay FILE` replays it, on any machine and without this journal. What looks
/// like a secret (private keys, tokens, passwords) is replaced by a placeholder, the same one wherever the value stands.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run: its id, or a unique beginning or end of it
    run: String,
    /// The file to write; stdout if absent
    file: Option<PathBuf>,
    /// Replace this value, too, wherever it stands; as often as needed
    #[arg(long, value_name = "TEXT")]
    redact: Vec<String>,
    /// Keep even what looks like a secret
    #[arg(long, conflicts_with = "redact")]
    no_redact: bool,
}

pub(crate) fn run(app: &App, args: &Args) -> Outcome {
    let dir = app.journal()?;
    let books = Books::open(&dir)?;
    let run = books.resolve(&args.run)?;
    // What begins behind damage is not there for us.
    books.records_of(run).next().ok_or_else(|| no_such_run(&args.run))??;
    let redactor = if args.no_redact { None } else { Some(Redactor::new(&args.redact).map_err(|e| refused(e, None))?) };
    let source = Source { reader: JournalReader::open(&dir)?, run, key: key_of(&dir)? };
    let Some(path) = &args.file else {
        let exported = source.write(redactor, &mut Stdout(&app.ui)).map_err(|e| refused(e, None))?;
        return conclude(exported);
    };
    let mut file = beside(path)?;
    let exported = source.write(redactor, &mut file).map_err(|e| refused(e, Some(path)))?;
    publish(file, path)?;
    let redacted = match exported.redacted {
        0 => String::new(),
        some => format!(", something in {some} of them redacted"),
    };
    let events = usize::try_from(exported.events).unwrap_or(usize::MAX);
    app.ui.talk(&format!("{} written to {}{redacted}", words::count(events, "event"), path.display()));
    app.ui.talk(&format!("`windlass verify {} --signer {}` proves it on any machine", path.display(), source.key.public()));
    conclude(exported)
}

/// The key beside the journal. None is made in the journal of a newer windlass, in which nothing may change.
fn key_of(dir: &Path) -> Result<SigningKey, Failure> {
    if let Some(key) = SigningKey::known(dir)? {
        return Ok(key);
    }
    refuse_newer(dir)?;
    SigningKey::of(dir)
}

/// A run in its journal, and the key that vouches for what is written of it.
struct Source {
    reader: JournalReader,
    run: RunId,
    key: SigningKey,
}

impl Source {
    fn write(&self, redactor: Option<Redactor>, out: &mut dyn Write) -> Result<Exported, ExportError> {
        let sign = |bytes: &[u8]| self.key.sign(bytes);
        let (build, key) = (env!("CARGO_PKG_VERSION"), self.key.public());
        export(&self.reader, Export { run: self.run, build, journal: None, key, sign: &sign, redactor }, out)
    }
}

/// A file that only its owner can read, in the folder in which it shall have its name.
fn beside(path: &Path) -> Result<NamedTempFile, Failure> {
    if path.exists() {
        return Err(exists(path));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(folder).map_err(|e| Failure::io("creating", path, &e))
}

/// Gives the file its name once all of it is on disk; never takes the name of another.
fn publish(file: NamedTempFile, path: &Path) -> Result<(), Failure> {
    file.as_file().sync_all().map_err(|e| Failure::io("writing", path, &e))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(e) => Err(Failure::io("creating", path, &e.error)),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} exists already", path.display()), "name another file, or remove this one first")
}

/// What could not be read is not in the file, and that is an error.
fn conclude(exported: Exported) -> Outcome {
    exported.damage.map_or(Ok(Exit::Done), |damage| Err(damage.into()))
}

fn refused(error: ExportError, path: Option<&Path>) -> Failure {
    match error {
        ExportError::Write(e) => Failure::io("writing", path.unwrap_or(Path::new("stdout")), &e),
        ExportError::Journal(e) => e.into(),
        ExportError::Unredactable { .. } => {
            Failure::usage(error.to_string(), "name a longer TEXT, or keep everything with --no-redact and the file to yourself")
        }
        ExportError::Redaction(_) => Failure::usage(error.to_string(), "name a value behind --redact"),
        ExportError::Unwritable { .. } => Failure::new(Kind::Failed, error.to_string(), "windlass verify"),
    }
}

/// Stdout as a place to write lines to.
struct Stdout<'a>(&'a Ui);

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.data(text).map_err(|failure| io::Error::other(failure.message))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
