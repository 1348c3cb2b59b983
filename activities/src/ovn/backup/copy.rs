//! The file of a copy: private, whole to its last record, on the disk before it has its name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use serde::Deserialize;
use tokio::fs;
use windlass_engine::ActivityError;

use crate::ovn::hex;

/// A record's line with its length and hash is some sixty bytes.
const LONGEST_LINE: u64 = 256;
/// OVN's schemas have some twenty kilobytes.
const LARGEST_SCHEMA: u64 = 16 << 20;
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A copy that is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Creates the file, or empties the one that an attempt before left.
pub(super) async fn create(path: &Path) -> Result<fs::File, ActivityError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await.map_err(|error| not_written(path, &error))
}

/// Ends the writing of a file; what it has is on the disk then.
pub(super) async fn close(file: fs::File, path: &Path) -> Result<(), ActivityError> {
    file.sync_all().await.map_err(|error| not_written(path, &error))
}

/// Gives a file its name, for good.
pub(super) async fn publish(from: &Path, to: &Path, folder: &Path) -> Result<(), ActivityError> {
    fs::rename(from, to).await.map_err(|error| not_written(to, &error))?;
    let synced = async { fs::File::open(folder).await?.sync_all().await };
    synced.await.map_err(|error| not_written(to, &error))
}

fn not_written(path: &Path, error: &std::io::Error) -> ActivityError {
    let message = format!("{} can't be written: {error}; make room or name another journal, then retry", path.display());
    ActivityError::transient("backup-not-written", message)
}

/// Whether a file has the same content as a copy.
pub(super) async fn is_same(path: &Path, copy: &Copy) -> bool {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut whole = Reader::open(&path)?;
        whole.skip()?;
        Ok::<_, std::io::Error>(whole.end())
    });
    read.await.is_ok_and(|read| read.is_ok_and(|(bytes, sha256)| bytes == copy.bytes && sha256 == copy.sha256))
}

/// Reads a copy to its end; the inner error says why it is not a whole database of this schema.
pub(super) async fn examine(path: PathBuf, schema: &'static str) -> Result<Result<Copy, String>, ActivityError> {
    let examined = tokio::task::spawn_blocking(move || (examine_file(&path, schema), path));
    match examined.await {
        Ok((examined, path)) => Ok(examined.map(|(bytes, sha256)| Copy { path, bytes, sha256 })),
        Err(error) => Err(ActivityError::transient("backup-not-read", format!("the copy can't be read back: {error}"))),
    }
}

fn examine_file(path: &Path, schema: &str) -> Result<(u64, String), String> {
    let unread = |error: std::io::Error| format!("the copy can't be read back: {error}");
    let mut whole = Reader::open(path).map_err(unread)?;
    let mut records = 0_u64;
    while let Some(header) = whole.line().map_err(unread)? {
        let wrong = || format!("what came is not a whole database: record {} is damaged", records + 1);
        let (length, hash) = parse(&header).ok_or_else(wrong)?;
        let keep = if records == 0 { LARGEST_SCHEMA } else { 0 };
        let (found, text) = whole.record(length, keep).map_err(|_| wrong())?;
        if found != hash {
            return Err(wrong());
        }
        if records == 0 {
            is_schema(&text, schema)?;
        }
        records += 1;
    }
    if records < 2 {
        return Err(format!("what came is not a whole database: it has {records} records, its schema and its content are two"));
    }
    Ok(whole.end())
}

/// `OVSDB JSON 14411 50d10d93980859ae89306dae6418f19d1ad3e3eb`: the bytes that follow, and their SHA-1.
fn parse(header: &str) -> Option<(u64, String)> {
    let (length, hash) = header.strip_suffix('\n')?.strip_prefix("OVSDB JSON ")?.split_once(' ')?;
    Some((length.parse().ok()?, hash.to_owned()))
}

fn is_schema(text: &[u8], schema: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Schema {
        name: String,
    }
    let found = serde_json::from_slice::<Schema>(text).map_err(|error| format!("the schema that came can't be read: {error}"))?;
    if found.name == schema { Ok(()) } else { Err(format!("what came is the database {}, not {schema}", found.name)) }
}

/// A file that is read once from its begin to its end, with the hash of all of it.
struct Reader {
    file: BufReader<File>,
    sha256: Context,
    bytes: u64,
}

impl Reader {
    fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(PIECE, File::open(path)?), sha256: Context::new(&SHA256), bytes: 0 })
    }

    fn note(&mut self, read: &[u8]) {
        self.sha256.update(read);
        self.bytes += read.len() as u64;
    }

    /// The next line; none at the end.
    fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        (&mut self.file).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        self.note(&line);
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned()))
    }

    /// The next bytes: their SHA-1, and themselves as far as they are to be kept.
    fn record(&mut self, length: u64, keep: u64) -> std::io::Result<(String, Vec<u8>)> {
        let (mut sha1, mut kept) = (Context::new(&SHA1_FOR_LEGACY_USE_ONLY), Vec::new());
        let (mut left, mut piece) = (length, vec![0; PIECE]);
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.file.read_exact(&mut piece[..wanted])?;
            sha1.update(&piece[..wanted]);
            self.note(&piece[..wanted]);
            if (kept.len() as u64) < keep {
                kept.extend_from_slice(&piece[..wanted]);
            }
            left -= wanted as u64;
        }
        Ok((hex(&sha1.finish()), kept))
    }

    fn skip(&mut self) -> std::io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = self.file.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            self.note(&piece[..read]);
        }
    }

    fn end(self) -> (u64, String) {
        (self.bytes, hex(&self.sha256.finish()))
    }
}
