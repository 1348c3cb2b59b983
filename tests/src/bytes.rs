//! Valid inputs, damaged at random: what every reader of foreign bytes must withstand.
//!
//! A case is one of the seeds with a few edits, so that it gets past the first check of a reader and into its depth. Cases are
//! drawn from a number, which is printed when one fails: `WINDLASS_SEED` repeats it, `WINDLASS_SOAK` multiplies the cases, and
//! `WINDLASS_FIRST` begins a storm with another one.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How hard a reader is attacked.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// How many cases are tried in an ordinary run.
    pub cases: u32,
    /// The largest input.
    pub most_bytes: usize,
}

/// Attacks a reader with damaged seeds; a panic in it is a failure, and so is whatever it says with `Err`.
///
/// # Panics
/// When a case fails: with the smallest input that was found, and with what repeats it.
#[expect(clippy::panic, reason = "the helper of a test fails as the test does")]
pub fn withstand(name: &str, storm: Storm, seeds: &[Vec<u8>], reader: impl Fn(&[u8]) -> Result<(), String>) {
    assert!(!seeds.is_empty(), "{name}: without a valid input nothing beyond the first check is reached");
    for seed in seeds {
        reader(seed).unwrap_or_else(|why| panic!("{name}: a valid input: {why}"));
    }
    let seed = number("WINDLASS_SEED").or_else(|| number("WINDLASS_FIRST")).unwrap_or(20_261_121);
    let cases = storm.cases.saturating_mul(u32::try_from(number("WINDLASS_SOAK").unwrap_or(1)).unwrap_or(u32::MAX));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tried = Cell::new(0_u32);
    let outcome = runner.run(&(0..seeds.len(), prop::collection::vec(edit(seeds), 0..6)), |(of, edits)| {
        let mut input = seeds[of].clone();
        for edit in &edits {
            edit.make(&mut input);
        }
        input.truncate(storm.most_bytes);
        tried.set(tried.get() + 1);
        reader(&input).map_err(|why| {
            let shown: String = input.escape_ascii().take(4_000).map(char::from).collect();
            TestCaseError::fail(format!("{why}\ninput ({} bytes): {shown}", input.len()))
        })
    });
    if let Err(failure) = outcome {
        panic!("{name} failed after {} cases; repeat with WINDLASS_SEED={seed}\n{failure}", tried.get());
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// One change of an input; places are shares of its length, so that they stay valid while a failure is made smaller.
#[derive(Clone, Debug)]
enum Edit {
    Flip {
        at: u16,
        bit: u8,
    },
    Set {
        at: u16,
        byte: u8,
    },
    /// A number of two, four or eight bytes, at the extremes that counts and lengths break at.
    Number {
        at: u16,
        width: u8,
        value: u64,
    },
    Remove {
        at: u16,
        length: u16,
    },
    Double {
        at: u16,
        length: u16,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Cut {
        at: u16,
    },
}

/// What text formats break at.
const TOKENS: [&str; 14] = [
    "null",
    "{}",
    "[]",
    "\"\"",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "\\u0000",
    "\u{feff}",
    "\u{202e}",
    "\n",
    ": ",
    "&a [*a,*a]",
];

fn edit(seeds: &[Vec<u8>]) -> impl Strategy<Value = Edit> + use<> {
    let parts: Vec<Vec<u8>> = seeds.iter().flat_map(|seed| seed.chunks(97).take(40).map(<[u8]>::to_vec)).collect();
    let extremes = prop_oneof![
        Just(0_u64),
        Just(1),
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        Just(1 << 31),
        Just(1 << 63),
        Just((4 << 20) + 1),
        any::<u64>()
    ];
    let inserted = prop_oneof![
        prop::sample::select(&TOKENS[..]).prop_map(|token| token.as_bytes().to_vec()),
        prop::sample::select(parts),
        prop::collection::vec(any::<u8>(), 1..20),
        (prop::sample::select(&b"[{(\"- "[..]), 1_usize..3_000).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop_oneof![
        4 => (any::<u16>(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip { at, bit }),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        2 => (any::<u16>(), prop::sample::select(&[2_u8, 4, 8][..]), extremes).prop_map(|(at, width, value)| Edit::Number { at, width, value }),
        2 => (any::<u16>(), 1_u16..2_000).prop_map(|(at, length)| Edit::Remove { at, length }),
        2 => (any::<u16>(), 1_u16..2_000).prop_map(|(at, length)| Edit::Double { at, length }),
        4 => (any::<u16>(), inserted).prop_map(|(at, bytes)| Edit::Insert { at, bytes }),
        1 => any::<u16>().prop_map(|at| Edit::Cut { at }),
    ]
}

impl Edit {
    fn make(&self, input: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) * input.len() / usize::from(u16::MAX);
        let span = |at: u16, length: u16| {
            let begin = place(at);
            begin..(begin + usize::from(length)).min(input.len())
        };
        match self {
            Self::Flip { at, bit } => {
                let at = place(*at);
                input.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            Self::Set { at, byte } => {
                let at = place(*at);
                input.get_mut(at).into_iter().for_each(|old| *old = *byte);
            }
            Self::Number { at, width, value } => {
                let at = place(*at);
                let bytes = value.to_le_bytes();
                input.iter_mut().skip(at).take(usize::from(*width)).zip(bytes).for_each(|(old, new)| *old = new);
            }
            Self::Remove { at, length } => drop(input.drain(span(*at, *length))),
            Self::Double { at, length } => {
                let part = span(*at, *length);
                let (end, copy) = (part.end, input[part].to_vec());
                input.splice(end..end, copy);
            }
            Self::Insert { at, bytes } => {
                let at = place(*at);
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Cut { at } => {
                let at = place(*at);
                input.truncate(at);
            }
        }
    }
}
