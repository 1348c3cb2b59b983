//! A disk, made from a trace: what is on it, and what a power cut would leave.
//!
//! Nothing is assumed of the medium but what docs/journal.md says: a sync makes the file's data and length durable, the sync of a
//! directory the names in it. Everything else may arrive in any order, in part, as zeros, or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use windlass_sim::Rng;

use super::trace::{Call, Change};

/// What a disk writes at once, whole or not at all.
const SECTOR: usize = 512;

/// A directory tree with what of it is durable.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    files: Vec<File>,
    names: Names,
    durable_names: Names,
    unsynced_names: Vec<NameChange>,
}

/// What becomes of what was not synced.
pub enum Unsynced {
    /// All of it is lost.
    Lost,
    /// Some of it is on disk all the same.
    Some(Rng),
}

#[derive(Clone, Default, Debug)]
struct File {
    content: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    Put(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Node {
    Dir,
    File(usize),
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Debug)]
enum NameChange {
    Put(PathBuf, Node),
    Drop(PathBuf),
    Move(PathBuf, PathBuf),
}

impl Disk {
    /// The folder as it is now, all of it durable. Sockets are not on a disk.
    pub fn load(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            files: Vec::new(),
            names: Names::new(),
            durable_names: Names::new(),
            unsynced_names: Vec::new(),
        };
        disk.load_below(root);
        disk.durable_names = disk.names.clone();
        disk
    }

    fn load_below(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                self.names.insert(path.clone(), Node::Dir);
                self.load_below(&path);
            } else if path.is_file() {
                let content = fs::read(&path).expect("the file can be read");
                self.names.insert(path, Node::File(self.files.len()));
                self.files.push(File { durable: content.clone(), content, unsynced: Vec::new() });
            }
        }
    }

    /// Makes the calls of a trace; those that failed and those elsewhere change nothing.
    pub fn apply(&mut self, calls: &[Call]) {
        let root = self.root.clone();
        for call in calls.iter().filter(|call| call.error == 0 && call.path.starts_with(&root)) {
            self.make(call);
        }
    }

    fn make(&mut self, call: &Call) {
        let path = &call.path;
        match (&call.change, self.names.get(path).copied()) {
            (Change::Create { .. }, None) => {
                let file = self.files.len();
                self.files.push(File::default());
                self.rename(NameChange::Put(path.clone(), Node::File(file)));
            }
            (Change::Create { empties: true }, Some(Node::File(file))) => self.files[file].edit(Edit::Resize(0)),
            (Change::Write { offset, bytes }, Some(Node::File(file))) => self.files[file].edit(Edit::Put(*offset, bytes.clone())),
            (Change::Truncate(length), Some(Node::File(file))) => self.files[file].edit(Edit::Resize(*length)),
            (Change::Sync, Some(Node::File(file))) => self.files[file].sync(),
            (Change::Sync, _) => self.sync_names(path),
            (Change::Rename(to), Some(_)) => self.rename(NameChange::Move(path.clone(), to.clone())),
            (Change::Remove, Some(_)) => self.rename(NameChange::Drop(path.clone())),
            (Change::MakeDir, None) => self.rename(NameChange::Put(path.clone(), Node::Dir)),
            // A file that lost its name while it was open, a directory that is opened, a socket that is removed.
            _ => {}
        }
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn sync_names(&mut self, folder: &Path) {
        let all = std::mem::take(&mut self.unsynced_names);
        let (synced, left) = all.into_iter().partition(|change| change.is_in(folder));
        self.unsynced_names = left;
        for change in synced {
            change.apply(&mut self.durable_names);
        }
    }

    /// The disk after a power cut: what was synced, and what is left of the rest.
    #[must_use]
    pub fn cut(&self, unsynced: Unsynced) -> Self {
        let mut disk = self.clone();
        let mut rng = match unsynced {
            Unsynced::Lost => None,
            Unsynced::Some(rng) => Some(rng),
        };
        for change in std::mem::take(&mut disk.unsynced_names) {
            if coin(&mut rng) {
                change.apply(&mut disk.durable_names);
            }
        }
        for file in &mut disk.files {
            file.cut(&mut rng);
        }
        disk.names = disk.durable_names.clone();
        disk.durable_names.retain(|path, _| {
            let mut folders = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
            folders.all(|folder| disk.names.get(folder) == Some(&Node::Dir))
        });
        disk.names = disk.durable_names.clone();
        disk
    }

    /// What the files hold, by their paths below the root.
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let file = |(path, node): (&PathBuf, &Node)| match node {
            Node::File(file) => Some((self.below_root(path).to_owned(), self.files[*file].content.clone())),
            Node::Dir => None,
        };
        self.names.iter().filter_map(file).collect()
    }

    fn below_root<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Makes a folder look as the disk does.
    pub fn store(&self, folder: &Path) {
        fs::remove_dir_all(folder).and_then(|()| fs::create_dir(folder)).expect("the folder can be emptied");
        // Sorted: a folder stands before what is in it.
        for (path, node) in &self.names {
            let path = folder.join(self.below_root(path));
            match node {
                Node::Dir => fs::create_dir(path),
                Node::File(file) => fs::write(path, &self.files[*file].content),
            }
            .expect("the folder can be filled");
        }
    }
}

impl NameChange {
    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Put(path, _) | Self::Drop(path) | Self::Move(_, path) => path.parent() == Some(folder),
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Drop(path) => {
                names.remove(path);
            }
            Self::Move(from, to) => {
                let moved: Vec<PathBuf> = names.keys().filter(|name| name.starts_with(from)).cloned().collect();
                for name in moved {
                    if let (Some(node), Ok(rest)) = (names.remove(&name), name.strip_prefix(from)) {
                        // `join` with nothing would append a slash.
                        names.insert(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) }, node);
                    }
                }
            }
        }
    }
}

impl File {
    fn edit(&mut self, edit: Edit) {
        match &edit {
            Edit::Put(offset, bytes) => put(&mut self.content, *offset, bytes),
            Edit::Resize(length) => self.content.resize(*length, 0),
        }
        self.unsynced.push(edit);
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.content);
        self.unsynced.clear();
    }

    fn cut(&mut self, rng: &mut Option<Rng>) {
        for edit in std::mem::take(&mut self.unsynced) {
            match edit {
                Edit::Put(offset, bytes) => self.write_some(offset, &bytes, rng),
                Edit::Resize(length) if coin(rng) => self.durable.resize(length, 0),
                Edit::Resize(_) => {}
            }
        }
        // The length may be on disk before the data is.
        if self.content.len() > self.durable.len() && coin(rng) {
            self.durable.resize(self.content.len(), 0);
        }
        self.content.clone_from(&self.durable);
    }

    fn write_some(&mut self, offset: usize, bytes: &[u8], rng: &mut Option<Rng>) {
        let mut begin = 0;
        while begin < bytes.len() {
            let end = (begin + SECTOR - (offset + begin) % SECTOR).min(bytes.len());
            if coin(rng) {
                put(&mut self.durable, offset + begin, &bytes[begin..end]);
            }
            begin = end;
        }
    }
}

fn coin(rng: &mut Option<Rng>) -> bool {
    rng.as_mut().is_some_and(|rng| rng.chance(0.5))
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}
