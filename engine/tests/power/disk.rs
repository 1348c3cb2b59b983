//! A disk that can lose its power and its health: a [`Media`] that keeps a real directory in step with what the system
//! would show, and knows beside it what is really on disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;
use windlass_engine::journal::{Media, MediaFile};

use crate::file::{Aftermath, Content};
use crate::seeds::Chance;

/// The disk; clones share it.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

struct State {
    root: PathBuf,
    files: Vec<Content>,
    shown: Names,
    stable: Names,
    /// The changes of names that no sync has covered, oldest first.
    renames: Vec<(PathBuf, Option<Node>)>,
    calls: Vec<Call>,
    handles: usize,
    trouble: Option<Trouble>,
    off: bool,
    chance: Chance,
    on_sync: Arc<dyn Fn() + Send + Sync>,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// What was asked of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) path: PathBuf,
    /// Which opening of the file it came through.
    pub(crate) handle: Option<usize>,
    pub(crate) failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    CreateDir,
    Create,
    Open,
    Remove,
    SyncDir,
    Write,
    Sync,
    Truncate,
}

/// What goes wrong, and from which call on, counted from now and from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) what: What,
    pub(crate) at: usize,
    /// Whether it stays.
    pub(crate) lasting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Everything stops, in the middle of that call; with the power or only the process.
    Freeze,
    /// `ENOSPC`; a write may get a part of its bytes out before.
    Full,
    /// `EROFS`.
    ReadOnly,
    /// `EIO` on writing and cutting.
    WriteFails,
    /// `EIO` on syncing.
    SyncFails(Aftermath),
    /// A sync that is reported and not made.
    SyncLies,
    /// `EMFILE`.
    NoHandles,
}

impl What {
    fn errno(self) -> Errno {
        match self {
            Self::Full => Errno::NOSPC,
            Self::ReadOnly => Errno::ROFS,
            Self::Freeze | Self::WriteFails | Self::SyncFails(_) | Self::SyncLies => Errno::IO,
            Self::NoHandles => Errno::MFILE,
        }
    }

    /// Whether it shows in such a call.
    fn strikes(self, op: Op) -> bool {
        match self {
            Self::Freeze => true,
            Self::Full => matches!(op, Op::CreateDir | Op::Create | Op::Write),
            Self::ReadOnly => !matches!(op, Op::SyncDir | Op::Sync),
            Self::WriteFails => matches!(op, Op::Write | Op::Truncate),
            Self::SyncFails(_) => matches!(op, Op::Sync | Op::SyncDir),
            Self::SyncLies => op == Op::Sync,
            // A directory is opened to be synced.
            Self::NoHandles => matches!(op, Op::Create | Op::Open | Op::SyncDir),
        }
    }
}

impl Disk {
    /// An empty disk below a real directory, which is durable itself.
    pub(crate) fn below(root: &Path, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            root: root.to_owned(),
            files: Vec::new(),
            shown: Names::new(),
            stable: Names::new(),
            renames: Vec::new(),
            calls: Vec::new(),
            handles: 0,
            trouble: None,
            off: false,
            chance: Chance::of(seed),
            on_sync: Arc::new(|| {}),
        })))
    }

    /// Sets what goes wrong from now on.
    pub(crate) fn trouble(&self, what: What, at: usize, lasting: bool) {
        self.lock().trouble = Some(Trouble { what, at, lasting });
    }

    /// The cause is gone; what it did stays done.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        (state.trouble, state.off) = (None, false);
    }

    /// Is called at each sync; a slow disk moves the clock here.
    pub(crate) fn at_each_sync(&self, act: impl Fn() + Send + Sync + 'static) {
        self.lock().on_sync = Arc::new(act);
    }

    /// Whether the freeze has come.
    pub(crate) fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Everything that was asked so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Cuts the power: what reading shows from now on is what was synced, and chance's part of the rest.
    pub(crate) fn cut_power(&self) {
        let mut state = self.lock();
        state.lose_power();
        state.show_all();
    }

    /// What a power cut now would leave at the least: everything synced and nothing else.
    pub(crate) fn stable_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.lock();
        let files = state.stable.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path.clone(), state.files[*file].stable.clone())),
            Node::Directory => None,
        });
        files.filter(|(path, _)| state.is_reachable(path, &state.stable)).collect()
    }

    fn handle(&self, state: &mut State, path: &Path, file: usize) -> Box<dyn MediaFile> {
        state.handles += 1;
        Box::new(OpenFile { disk: self.clone(), path: path.to_owned(), file, handle: state.handles - 1 })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts a call and decides whether it goes wrong.
    fn begin(&mut self, op: Op, path: &Path, handle: Option<usize>) -> Result<(), What> {
        let wrong = if self.off { Some(What::Freeze) } else { self.strike(op) };
        self.calls.push(Call { op, path: path.to_owned(), handle, failed: wrong.is_some() });
        wrong.map_or(Ok(()), Err)
    }

    fn strike(&mut self, op: Op) -> Option<What> {
        let trouble = self.trouble.as_mut()?;
        if !trouble.what.strikes(op) {
            return None;
        }
        if trouble.at > 0 {
            trouble.at -= 1;
            return None;
        }
        let what = trouble.what;
        if !trouble.lasting {
            self.trouble = None;
        }
        self.off = what == What::Freeze;
        Some(what)
    }

    fn name(&mut self, path: &Path, node: Option<Node>) {
        match node {
            Some(node) => self.shown.insert(path.to_owned(), node),
            None => self.shown.remove(path),
        };
        self.renames.push((path.to_owned(), node));
    }

    fn is_reachable(&self, path: &Path, names: &Names) -> bool {
        path.ancestors().skip(1).take_while(|dir| *dir != self.root).all(|dir| names.contains_key(dir))
    }

    fn fail_sync(&mut self, file: usize, aftermath: Aftermath) {
        self.files[file].fail_sync(aftermath, &mut self.chance);
    }

    fn lose_power(&mut self) {
        let mut left = self.stable.clone();
        // Of each name's changes the disk has the first few, whatever it has of the others.
        let mut stopped = Vec::new();
        for (path, node) in std::mem::take(&mut self.renames) {
            if stopped.contains(&path) || self.chance.once_in(2) {
                stopped.push(path);
                continue;
            }
            match node {
                Some(node) => left.insert(path, node),
                None => left.remove(&path),
            };
        }
        left = left.iter().filter(|(path, _)| self.is_reachable(path, &left)).map(|(path, node)| (path.clone(), *node)).collect();
        for file in &mut self.files {
            file.lose_power(&mut self.chance);
        }
        (self.shown, self.stable) = (left.clone(), left);
    }

    /// Makes the real directory show what the disk shows; the store, which is no part of the model, may survive or not.
    fn show_all(&mut self) {
        let keep_store = self.chance.once_in(4);
        clear(&self.root, &self.shown, keep_store);
        for (path, node) in &self.shown {
            match node {
                Node::Directory => {
                    let _ = fs::create_dir(path);
                }
                Node::File(_) => self.show(path),
            }
        }
    }

    /// Makes the real file show what the disk shows; in place, because readers may be there.
    fn show(&self, path: &Path) {
        let Some(Node::File(file)) = self.shown.get(path) else { return };
        let bytes = &self.files[*file].shown;
        let real = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
        real.write_all_at(bytes, 0).unwrap();
        real.set_len(bytes.len() as u64).unwrap();
    }
}

/// Removes from the real directory what the disk no longer has.
fn clear(dir: &Path, shown: &Names, keep_store: bool) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if shown.contains_key(&path) {
            if path.is_dir() {
                clear(&path, shown, keep_store);
            }
        } else if path.is_dir() {
            if !(keep_store && path.ends_with("store")) {
                fs::remove_dir_all(&path).unwrap();
            }
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
}

impl Media for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(Op::CreateDir, path, None).map_err(What::errno)?;
        fs::create_dir(path)?;
        state.name(path, Some(Node::Directory));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        let mut state = self.lock();
        let handle = state.handles;
        state.begin(Op::Create, path, Some(handle)).map_err(What::errno)?;
        if state.shown.contains_key(path) {
            return Err(Errno::EXIST.into());
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.name(path, Some(Node::File(file)));
        state.show(path);
        Ok(self.handle(&mut state, path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        let mut state = self.lock();
        let handle = state.handles;
        state.begin(Op::Open, path, Some(handle)).map_err(What::errno)?;
        let Some(Node::File(file)) = state.shown.get(path).copied() else { return Err(Errno::NOENT.into()) };
        Ok(self.handle(&mut state, path, file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(Op::Remove, path, None).map_err(What::errno)?;
        fs::remove_file(path)?;
        state.name(path, None);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.begin(Op::SyncDir, path, None).map_err(What::errno)?;
        let renames = std::mem::take(&mut state.renames);
        for (name, node) in renames {
            match node {
                _ if name.parent() != Some(path) => state.renames.push((name, node)),
                Some(node) => drop(state.stable.insert(name, node)),
                None => drop(state.stable.remove(&name)),
            }
        }
        Ok(())
    }
}

struct OpenFile {
    disk: Disk,
    path: PathBuf,
    file: usize,
    handle: usize,
}

impl OpenFile {
    fn begin(&self, op: Op) -> (MutexGuard<'_, State>, Result<(), What>) {
        let mut state = self.disk.lock();
        let begun = state.begin(op, &self.path, Some(self.handle));
        (state, begun)
    }
}

impl MediaFile for OpenFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let was_off = self.disk.is_off();
        let (mut state, begun) = self.begin(Op::Write);
        let out = match begun {
            Ok(()) => bytes.len(),
            Err(What::Freeze | What::Full | What::WriteFails) if !was_off => state.chance.below(bytes.len() + 1),
            Err(_) => 0,
        };
        if out > 0 {
            state.files[self.file].write(&bytes[..out], usize::try_from(offset).unwrap());
            state.show(&self.path);
        }
        begun.map_err(|what| what.errno().into())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let (mut state, begun) = self.begin(Op::Sync);
        match begun {
            Ok(()) => state.files[self.file].sync(),
            Err(What::SyncFails(aftermath)) => state.fail_sync(self.file, aftermath),
            Err(What::SyncLies) => state.fail_sync(self.file, Aftermath::CalledClean),
            Err(_) => {}
        }
        state.show(&self.path);
        let on_sync = Arc::clone(&state.on_sync);
        drop(state);
        on_sync();
        if begun == Err(What::SyncLies) { Ok(()) } else { begun.map_err(|what| what.errno().into()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let (mut state, begun) = self.begin(Op::Truncate);
        begun.map_err(What::errno)?;
        state.files[self.file].truncate(usize::try_from(length).unwrap());
        state.show(&self.path);
        Ok(())
    }
}
