//! One file of the test medium: what the system shows, what is on disk, and what may be.

use std::collections::BTreeSet;

use crate::seeds::Chance;

/// What a disk writes as a whole or not at all.
pub(crate) const SECTOR: usize = 512;

/// A file's content. Only `stable` is sure to be there after a power cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// What reading shows: the page cache.
    pub(crate) shown: Vec<u8>,
    /// What the last successful sync left on disk.
    pub(crate) stable: Vec<u8>,
    /// What reading showed after each change since then; the disk may have written any of them, sector by sector.
    versions: Vec<Vec<u8>>,
    /// The sectors that were changed since then. A clean one is not written by a sync, whatever it shows.
    dirty: BTreeSet<usize>,
}

/// What a failed sync does to the changes that it should have written; systems differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// They are shown and called clean, so that the next sync passes them over: ext4, XFS.
    CalledClean,
    /// They are gone, also from what is shown: Btrfs.
    Dropped,
    /// They are still to be written.
    Kept,
}

impl Content {
    pub(crate) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        self.touch(offset.min(self.shown.len()), end);
        if self.shown.len() < end {
            self.shown.resize(end, 0);
        }
        self.shown[offset..end].copy_from_slice(bytes);
        self.versions.push(self.shown.clone());
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.touch(length, self.shown.len());
        self.shown.resize(length, 0);
        self.versions.push(self.shown.clone());
    }

    pub(crate) fn sync(&mut self) {
        self.stable.resize(self.shown.len(), 0);
        for at in std::mem::take(&mut self.dirty) {
            copy_sector(&self.shown, &mut self.stable, at);
        }
        self.versions.clear();
    }

    pub(crate) fn fail_sync(&mut self, aftermath: Aftermath, chance: &mut Chance) {
        if aftermath == Aftermath::Kept {
            return;
        }
        self.stable = self.survivor(chance);
        if aftermath == Aftermath::Dropped {
            self.shown = self.stable.clone();
        }
        self.dirty.clear();
        self.versions.clear();
    }

    pub(crate) fn lose_power(&mut self, chance: &mut Chance) {
        self.fail_sync(Aftermath::Dropped, chance);
    }

    /// What a power cut leaves: each changed sector in any of its versions, at any length that the file had or passed through.
    fn survivor(&self, chance: &mut Chance) -> Vec<u8> {
        let lengths: Vec<usize> = self.versions.iter().chain([&self.stable]).map(Vec::len).collect();
        let (least, most) = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
        let between = least + chance.below(most - least + 1);
        let length = match chance.below(4) {
            0 => between,
            1 => between.next_multiple_of(SECTOR).min(most),
            _ => lengths[chance.below(lengths.len())],
        };
        let mut found = self.stable.clone();
        found.resize(length, 0);
        // From none to all of the changed sectors were written.
        let share = chance.below(5);
        for at in &self.dirty {
            if chance.below(4) < share {
                let version = &self.versions[chance.below(self.versions.len())];
                copy_sector(version, &mut found, *at);
            }
        }
        found
    }

    fn touch(&mut self, begin: usize, end: usize) {
        self.dirty.extend(begin / SECTOR..end.div_ceil(SECTOR));
    }
}

/// Copies what `from` has of a sector into what `to` has of it; where `from` is shorter there are zeros.
fn copy_sector(from: &[u8], to: &mut [u8], at: usize) {
    let begin = (at * SECTOR).min(to.len());
    let end = (begin + SECTOR).min(to.len());
    for (place, byte) in to[begin..end].iter_mut().enumerate() {
        *byte = from.get(begin + place).copied().unwrap_or(0);
    }
}
