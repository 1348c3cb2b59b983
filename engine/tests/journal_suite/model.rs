//! Random commits, reopenings, crashes and losses against a plain list.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use windlass_engine::journal::{DiskJournal, Journal, JournalError, JournalOptions, JournalReader, ReplaySource, verify};
use windlass_engine::{NewEvent, Record};

use crate::support::{ending, event, history, run, try_open};

#[derive(Clone, Debug)]
enum Act {
    /// The runs that get an event each, all in one commit.
    Append(Vec<u8>),
    /// An event in a place that is not free.
    Conflict(u8),
    Reopen,
    /// The last bytes of the log were never written.
    Tear(u8),
    LoseStore,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => prop::collection::vec(0_u8..4, 1..5).prop_map(Act::Append),
        1 => (0_u8..4).prop_map(Act::Conflict),
        1 => Just(Act::Reopen),
        1 => (1_u8..80).prop_map(Act::Tear),
        1 => Just(Act::LoseStore),
    ];
    prop::collection::vec(act, 1..25)
}

struct Model {
    records: Vec<NewEvent>,
    source: ReplaySource,
}

impl Model {
    fn next(&self, of: u8) -> u64 {
        self.records.iter().filter(|record| record.run == run(of)).count() as u64 + 1
    }

    fn open(&self, dir: &Path) -> DiskJournal {
        let options = JournalOptions { segment_bytes: 2_000, replay_from: self.source, ..JournalOptions::default() };
        try_open(dir, options).unwrap()
    }

    fn append(&mut self, journal: &mut DiskJournal, runs: &[u8]) {
        let before = self.records.len();
        for of in runs {
            let seq = self.next(*of);
            self.records.push(if seq == 9 { ending(run(*of), seq) } else { event(run(*of), seq) });
        }
        journal.append(&self.records[before..]).unwrap();
    }

    /// Cuts the log inside its last record, if that has so many bytes.
    fn tear(&mut self, dir: &Path, bytes: u8) {
        let last = fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
        let length = fs::metadata(&last).unwrap().len();
        if length > 76 {
            // A record is longer than the longest tear, so this takes exactly one.
            fs::OpenOptions::new().write(true).open(last).unwrap().set_len(length - u64::from(bytes)).unwrap();
            self.records.pop();
        }
    }

    fn check(&self, dir: &Path, journal: &mut DiskJournal) {
        let plain = |record: Record| NewEvent { run: record.run, seq: record.seq, at: record.at, event: record.event };
        let read: Vec<Record> = JournalReader::open(dir).unwrap().records().collect::<Result<_, _>>().unwrap();
        assert!(read.iter().map(|record| record.global).eq(1..=self.records.len() as u64));
        assert_eq!(read.into_iter().map(plain).collect::<Vec<_>>(), self.records);
        for of in 0..4 {
            let expect: Vec<&NewEvent> = self.records.iter().filter(|record| record.run == run(of)).collect();
            let found: Vec<NewEvent> = history(journal, run(of)).into_iter().map(plain).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expect);
            let head = journal.runs().unwrap().into_iter().find(|head| head.run == run(of));
            assert_eq!(head.map(|head| (head.last_seq, head.ended)), expect.last().map(|e| (e.seq, e.event.ends_run())));
        }
        assert_eq!(verify(dir).unwrap().damage, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_is_a_list(acts in acts(), from_store in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let source = if from_store { ReplaySource::Store } else { ReplaySource::Log };
        let mut model = Model { records: Vec::new(), source };
        let mut journal = model.open(dir.path());
        for act in acts {
            match act {
                Act::Append(runs) => model.append(&mut journal, &runs),
                Act::Conflict(of) => {
                    let refused = journal.append(&[event(run(of), model.next(of) + 1)]);
                    assert!(matches!(refused, Err(JournalError::Conflict { .. })));
                }
                Act::Reopen | Act::Tear(_) | Act::LoseStore => {
                    drop(journal);
                    if let Act::Tear(bytes) = act {
                        model.tear(dir.path(), bytes);
                    }
                    // Where nothing was appended or asked for, there is none.
                    let store = dir.path().join("store");
                    if matches!(act, Act::LoseStore) && store.exists() {
                        fs::remove_dir_all(store).unwrap();
                    }
                    journal = model.open(dir.path());
                }
            }
        }
        model.check(dir.path(), &mut journal);
    }
}
