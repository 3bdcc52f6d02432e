//! Randomness that costs next to nothing, for events and not for secrets.

use crate::cli::failure::Failure;
use crate::cli::random::random;

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A generator that begins where the system says.
    pub(super) fn new() -> Result<Self, Failure> {
        let seed = random()?;
        Ok(Self(u64::from_le_bytes(seed)))
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, 0 if that is 0; each about as often as another.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        // The upper half is below the bound.
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number below `bound`, the small ones far more often than the large ones.
    pub(super) fn skewed(&mut self, bound: u64) -> u64 {
        let first = self.below(bound).saturating_add(1);
        let second = self.below(first).saturating_add(1);
        self.below(second)
    }

    /// Any bytes.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(word) {
                *byte = random;
            }
        }
    }
}
