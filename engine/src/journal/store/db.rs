//! The one place that names sled. Its errors and its panics are the same to us: the store is damaged.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{SendError, sync_channel};
use std::time::Duration;

use super::super::frame::RecordHash;
use super::super::heads::Head;
use super::super::segment::Position;
use crate::codec;
use crate::ids::RunId;

/// sled's default of 1 GiB is more than a journal is worth.
const CACHE_BYTES: u64 = 64 << 20;

const HEAD_PREFIX: &[u8] = b"head/";
const CHECKPOINT: &[u8] = b"checkpoint";

/// Why the store can't be used.
#[derive(Debug)]
pub(super) struct Damaged(pub(super) String);

/// How far the store has followed the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Checkpoint {
    /// The last record applied.
    pub(super) global: u64,
    pub(super) hash: RecordHash,
    /// Where it begins.
    pub(super) begins: Position,
    /// Where it ends.
    pub(super) ends: Position,
}

/// A chunk of records that becomes visible as one.
#[derive(Default)]
pub(super) struct Chunk(sled::Batch);

/// The open store.
pub(super) struct Db {
    sled: sled::Db,
    events: sled::Tree,
    ops: sled::Tree,
}

/// Looks at a key and its value.
type Look<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Damaged>;

type HeadLayout = (u64, u64, u64, u64, u8);
type CheckpointLayout = (u64, RecordHash, (u64, u64), (u64, u64));
const HEAD_BYTES: usize = 33;
const CHECKPOINT_BYTES: usize = 72;

impl Db {
    /// Opens the store, or makes an empty one, on a thread that can be left behind: sled hangs on some damaged files.
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, Damaged> {
        let (done, opened) = sync_channel(1);
        let path = path.to_owned();
        let open = move || {
            // Nobody waits any more, and another store may stand at this place by now.
            if let Err(SendError(Ok(late))) = done.send(Self::open_here(&path)) {
                late.abandon();
            }
        };
        let started = std::thread::Builder::new().name("windlass-store-opener".to_owned()).spawn(open);
        started.map_err(|e| Damaged(format!("opening it: {e}")))?;
        opened.recv_timeout(patience).unwrap_or_else(|_| Err(Damaged(format!("opening it did not end within {patience:?}"))))
    }

    fn open_here(path: &Path) -> Result<Self, Damaged> {
        let opened = guard("opening it", || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            // A thread of sled's may still hold the file of a store that was closed a moment ago; sled itself would not wait.
            if let Ok(file) = fs::File::open(path.join("db")) {
                file.lock()?;
            }
            let sled = sled::Config::new().path(path).flush_every_ms(None).cache_capacity(CACHE_BYTES).open()?;
            Ok(Self { events: sled.open_tree("events")?, ops: sled.open_tree("ops")?, sled })
        })?;
        // sled makes its files readable for all; the directory keeps others out, this keeps copies tidy.
        for file in fs::read_dir(path).into_iter().flatten().flatten().filter(|entry| entry.path().is_file()) {
            let _ = fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600));
        }
        Ok(opened)
    }

    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>, Damaged> {
        let Some(value) = guard("reading its checkpoint", || self.events.get(CHECKPOINT))? else { return Ok(None) };
        let layout: CheckpointLayout = unsealed(CHECKPOINT, &value)?;
        let (global, hash, begins, ends) = layout;
        Ok(Some(Checkpoint { global, hash, begins: position(begins), ends: position(ends) }))
    }

    pub(super) fn heads(&self) -> Result<Vec<Head>, Damaged> {
        let pairs = guard("reading its heads", || self.events.scan_prefix(HEAD_PREFIX).collect::<sled::Result<Vec<_>>>())?;
        // A run id may begin with these letters too, but then its keys are longer.
        let heads = pairs.iter().filter(|(key, _)| key.len() == HEAD_PREFIX.len() + 16);
        heads.map(|(key, value)| head(key, value)).collect()
    }

    /// How many events there are, which takes a walk over all of them; `each` looks at every one.
    pub(super) fn walk(&self, each: Look<'_>) -> Result<u64, Damaged> {
        let mut count = 0;
        let mut damage = None;
        guard("reading its events", || {
            for pair in &self.events {
                let (key, value) = pair?;
                if key.len() != KEY_BYTES {
                    continue;
                }
                if let Err(found) = each(&key, &value) {
                    damage = Some(found);
                    break;
                }
                count += 1;
            }
            Ok(())
        })?;
        damage.map_or(Ok(count), Err)
    }

    pub(super) fn apply(&self, chunk: Chunk) -> Result<(), Damaged> {
        guard("writing to it", || self.events.apply_batch(chunk.0))
    }

    /// Up to `most` of a run's events from one on, each with the place its key says.
    pub(super) fn page(&self, run: RunId, from: u64, most: usize) -> Result<Vec<(u64, Vec<u8>)>, Damaged> {
        guard("reading a run", || {
            let range = key(run, from)..=key(run, u64::MAX);
            let pairs = self.events.range(range).take(most);
            pairs.map(|pair| pair.map(|(key, value)| (seq_of(&key), value.to_vec()))).collect()
        })
    }

    /// Adds a note and removes the one that falls off the end.
    pub(super) fn add_note(&self, run: RunId, number: u64, most: usize, note: &[u8]) -> Result<(), Damaged> {
        guard("writing a note", || {
            self.ops.insert(key(run, number), note)?;
            if let Some(old) = number.checked_sub(most as u64) {
                self.ops.remove(key(run, old))?;
            }
            Ok(())
        })
    }

    /// The number of a run's next note.
    pub(super) fn next_note(&self, run: RunId) -> Result<u64, Damaged> {
        let last = guard("reading notes", || self.ops.scan_prefix(run.as_bytes()).next_back().transpose())?;
        Ok(last.map_or(0, |(key, _)| seq_of(&key) + 1))
    }

    pub(super) fn notes(&self, run: RunId) -> Result<Vec<Vec<u8>>, Damaged> {
        guard("reading notes", || self.ops.scan_prefix(run.as_bytes()).values().map(|v| v.map(|v| v.to_vec())).collect())
    }

    /// Hands sled's buffers to the system. Not a sync, and not relied on.
    pub(super) fn flush(&self) -> Result<(), Damaged> {
        guard("flushing it", || self.sled.flush().map(|_| ()))
    }

    /// Closes a sound store.
    pub(super) fn close(self) -> Result<(), Damaged> {
        guard("closing it", move || {
            drop(self);
            Ok(())
        })
    }

    /// Leaves a damaged store as it is: dropping it would flush, and might panic or hang.
    pub(super) fn abandon(self) {
        std::mem::forget(self);
    }
}

impl Chunk {
    pub(super) fn event(&mut self, run: RunId, seq: u64, frame: &[u8]) {
        self.0.insert(&key(run, seq)[..], frame);
    }

    pub(super) fn head(&mut self, head: &Head) -> Result<(), Damaged> {
        let key = [HEAD_PREFIX, head.run.as_bytes()].concat();
        let layout: HeadLayout = (head.last_seq, head.first.segment, head.first.offset, head.first_global, u8::from(head.ended));
        let value = sealed::<HEAD_BYTES>(&key, layout)?;
        self.0.insert(key, value);
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, at: &Checkpoint) -> Result<(), Damaged> {
        let layout: CheckpointLayout =
            (at.global, at.hash, (at.begins.segment, at.begins.offset), (at.ends.segment, at.ends.offset));
        let value = sealed::<CHECKPOINT_BYTES>(CHECKPOINT, layout)?;
        self.0.insert(CHECKPOINT, value);
        Ok(())
    }
}

const KEY_BYTES: usize = 24;

fn key(run: RunId, seq: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..16].copy_from_slice(run.as_bytes());
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

fn seq_of(key: &[u8]) -> u64 {
    key.iter().skip(16).fold(0, |seq, byte| seq << 8 | u64::from(*byte))
}

/// The run and sequence that an event's key says.
pub(super) fn parse_key(key: &[u8]) -> Option<(RunId, u64)> {
    let run: [u8; 16] = key.get(..16)?.try_into().ok()?;
    Some((RunId::from_bytes(run), seq_of(key)))
}

fn head(key: &[u8], value: &[u8]) -> Result<Head, Damaged> {
    let (last_seq, segment, offset, first_global, ended): HeadLayout = unsealed(key, value)?;
    let run: [u8; 16] = key[HEAD_PREFIX.len()..].try_into().map_err(|_| Damaged("a head's key is damaged".to_owned()))?;
    let first = Position { segment, offset };
    Ok(Head { run: RunId::from_bytes(run), first, first_global, first_seq: 1, last_seq, ended: ended != 0 })
}

fn position((segment, offset): (u64, u64)) -> Position {
    Position { segment, offset }
}

/// A value behind its checksum, which covers its key too.
fn sealed<const LENGTH: usize>(key: &[u8], layout: impl bincode::Encode) -> Result<Vec<u8>, Damaged> {
    let mut value = vec![0; 4 + LENGTH];
    codec::encode_into(layout, &mut value[4..]).map_err(|e| Damaged(e.to_string()))?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[4..]);
    value[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(value)
}

fn unsealed<T: bincode::Decode<()>>(key: &[u8], value: &[u8]) -> Result<T, Damaged> {
    let damaged = || Damaged(format!("its {} is damaged", String::from_utf8_lossy(&key[..key.len().min(10)])));
    let (crc, layout) = value.split_at_checked(4).ok_or_else(damaged)?;
    if crc != crc32c::crc32c_append(crc32c::crc32c(key), layout).to_le_bytes() {
        return Err(damaged());
    }
    codec::decode(layout).map_err(|_| damaged())
}

fn guard<T>(what: &str, act: impl FnOnce() -> sled::Result<T>) -> Result<T, Damaged> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Damaged(format!("{what}: {error}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Damaged(format!("{what}: sled panicked: {}", text.unwrap_or_default())))
        }
    }
}
