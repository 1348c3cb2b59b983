//! A small seeded generator, so that the same seed gives the same cluster on every machine.

use std::ops::Range;

/// xoshiro256++, seeded through splitmix64 (both public domain, Blackman and Vigna).
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator that depends on `seed` alone.
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        Self { state: std::array::from_fn(|_| splitmix64(&mut mix)) }
    }

    /// A generator for one purpose; it neither disturbs this one nor depends on how far this one has run on other purposes.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        let mut seed = self.state[0];
        for byte in label.bytes() {
            seed = splitmix64(&mut seed) ^ u64::from(byte);
        }
        Self::new(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A number in `range`; its start when the range is empty.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + self.next_u64() % width
    }

    /// A number in 0.0..1.0.
    #[expect(clippy::cast_precision_loss, reason = "the top 53 bits are exactly what an f64 holds")]
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// A draw from a log-normal distribution with this median; `sigma` is the spread of its logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        median * (sigma * normal).exp()
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next_u64().to_le_bytes()[0])
    }

    /// A random uuid (version 4).
    pub fn uuid(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A suffix of five letters as `generateName` makes it.
    pub fn suffix(&mut self) -> String {
        // The alphabet of the real server: no vowels and nothing that reads like another letter.
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(ALPHABET[usize::from(self.bytes::<1>()[0]) % ALPHABET.len()])).collect()
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw =
            |seed| (0..4).map(|_| 0).fold((Rng::new(seed), vec![]), |(mut r, mut v), _| (v.push(r.next_u64()), (r, v)).1).1;
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn forks_are_apart_and_leave_their_parent_alone() {
        let parent = Rng::new(1);
        assert_ne!(parent.fork("a").next_u64(), parent.fork("b").next_u64());
        assert_eq!(parent.fork("a").next_u64(), parent.fork("a").next_u64());
    }

    #[test]
    fn distributions_have_the_shape_they_promise() {
        let mut rng = Rng::new(3);
        assert!((0..1000).all(|_| (5..9).contains(&rng.range(5..9))));
        assert_eq!(rng.range(4..4), 4);
        let hits = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        let below = (0..10_000).filter(|_| rng.lognormal(300.0, 0.5) < 300.0).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }
}
