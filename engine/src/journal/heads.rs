//! Where each run stands: kept in memory by the worker, and checked against the records that it is made from.

use std::collections::HashMap;

use super::RunHead;
use super::frame::FrameHeader;
use super::segment::Position;
use crate::event::NewEvent;
use crate::ids::RunId;

/// Where a run begins in the log, and how far it got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) run: RunId,
    /// Where the first record that was seen begins.
    pub(crate) first: Position,
    pub(crate) first_global: u64,
    /// 1, unless only a part of the log was read.
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) ended: bool,
}

/// The heads of all runs.
#[derive(Clone, Default, Debug)]
pub(crate) struct Heads {
    by_run: HashMap<RunId, Head>,
}

impl Heads {
    pub(crate) fn get(&self, run: RunId) -> Option<&Head> {
        self.by_run.get(&run)
    }

    /// The place that the run's next event must take.
    pub(crate) fn next_seq(&self, run: RunId) -> u64 {
        self.by_run.get(&run).map_or(1, |head| head.last_seq + 1)
    }

    /// Takes in the next record of the log; refuses one that leaves a gap in its run.
    pub(crate) fn absorb(&mut self, header: &FrameHeader, at: Position) -> Result<(), String> {
        match self.by_run.get_mut(&header.run) {
            Some(head) if header.seq == head.last_seq + 1 => {
                head.last_seq = header.seq;
                head.ended = header.ends_run;
                Ok(())
            }
            Some(head) => Err(format!("event {} of run {} where event {} must stand", header.seq, head.run, head.last_seq + 1)),
            None => {
                let head = Head {
                    run: header.run,
                    first: at,
                    first_global: header.global,
                    first_seq: header.seq,
                    last_seq: header.seq,
                    ended: header.ends_run,
                };
                self.by_run.insert(header.run, head);
                Ok(())
            }
        }
    }

    /// Takes in an event that was just appended in its right place.
    pub(crate) fn advance(&mut self, event: &NewEvent, global: u64, at: Position) {
        let (run, seq, ended) = (event.run, event.seq, event.event.ends_run());
        let head =
            self.by_run.entry(run).or_insert(Head { run, first: at, first_global: global, first_seq: seq, last_seq: seq, ended });
        head.last_seq = seq;
        head.ended = ended;
    }

    /// Adds what an earlier part of the log says; the parts may overlap.
    pub(crate) fn extend_back(&mut self, earlier: impl IntoIterator<Item = Head>) {
        for old in earlier {
            self.by_run
                .entry(old.run)
                .and_modify(|head| {
                    // Overlap is fine and a gap is not; a gap leaves `first_seq` above 1 and so shows in `complete`.
                    if old.first_seq < head.first_seq && old.last_seq + 1 >= head.first_seq {
                        *head = Head { last_seq: head.last_seq, ended: head.ended, ..old };
                    }
                })
                .or_insert(old);
        }
    }

    /// Whether these heads account for each of the log's records: every record raises exactly one run's last sequence by one.
    pub(crate) fn complete(&self, records: u64) -> bool {
        self.by_run.values().all(|head| head.first_seq == 1)
            && self.by_run.values().try_fold(0_u64, |sum, head| sum.checked_add(head.last_seq)) == Some(records)
    }

    pub(crate) fn insert(&mut self, head: Head) {
        self.by_run.insert(head.run, head);
    }

    pub(crate) fn into_all(self) -> impl Iterator<Item = Head> {
        self.by_run.into_values()
    }

    /// The runs, oldest first.
    pub(crate) fn sorted(&self) -> Vec<RunHead> {
        let mut heads: Vec<&Head> = self.by_run.values().collect();
        heads.sort_unstable_by_key(|head| head.first_global);
        heads.iter().map(|head| RunHead { run: head.run, last_seq: head.last_seq, ended: head.ended }).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_run.len()
    }
}
