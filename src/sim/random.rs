//! Random numbers that are the same on every machine and with every version of every crate: SplitMix64. They are for
//! simulations; nothing that must not be guessed may come from here.

/// The increment of SplitMix64: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

const fn mix(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of a seed for one purpose (a word of the caller's) and one time, unlike that of any other.
    pub const fn of(seed: u64, purpose: u64, time: u64) -> Self {
        Self(mix(mix(mix(seed.wrapping_add(GOLDEN)) ^ purpose).wrapping_add(GOLDEN) ^ time))
    }

    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `[from, to)`.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number from 0 to `below - 1`; 0 when there is none.
    pub const fn below(&mut self, below: u64) -> u64 {
        // The bias is below 2^-50 for the small numbers of a simulation.
        if below == 0 { 0 } else { self.number() % below }
    }

    /// The wait for the next of events that come once in `mean` on average.
    pub fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal: half of the numbers are below `median`; `sigma` is the spread of their logarithms.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box and Muller; one of their two numbers is enough here.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_their_names_say() {
        let mut random = Random::of(1, 2, 3);
        let mut lengths: Vec<_> = (0..10_001).map(|_| random.log_normal(150.0, 0.6)).collect();
        lengths.sort_by(f64::total_cmp);
        assert!((145.0..155.0).contains(&lengths[5_000]), "{}", lengths[5_000]);
        let mean = (0..10_000).map(|_| random.wait(3.0)).sum::<f64>() / 10_000.0;
        assert!((2.9..3.1).contains(&mean), "{mean}");
        assert!((0..1_000).all(|_| random.below(7) < 7 && (2.0..5.0).contains(&random.between(2.0, 5.0))));
    }

    #[test]
    fn a_stream_is_the_same_again_and_unlike_its_neighbours() {
        let mut first = Random::of(7, 1, 0);
        assert_eq!((first.number(), first.number()), (213_789_597_315_338_653, 14_463_162_469_029_450_353));
        assert_ne!(Random::of(7, 1, 0).number(), Random::of(7, 1, 1).number());
        assert_ne!(Random::of(7, 1, 0).number(), Random::of(7, 2, 0).number());
    }
}
