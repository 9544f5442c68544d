//! Capture files that were changed at random, or anonymised: reading them never panics and loses no packet.
//!
//! `fuzz/` looks for more with the same function, for as long as one likes. Here a few thousand changes of
//! traces, always the same ones, are tried.
#![cfg(target_os = "linux")]

mod anonymised;
mod said;
mod seeds;
mod take;

/// Small numbers by xorshift: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    fn range(&mut self, length: usize, longest: usize) -> std::ops::Range<usize> {
        let begin = self.below(length);
        begin..(begin + self.below(longest)).min(length)
    }

    /// Changes a file in one to four places.
    fn mangle(&mut self, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..=self.below(4) {
            let place = self.range(file.len(), 40);
            match self.below(7) {
                0 => file.truncate(place.start),
                1 => drop(file.drain(place)),
                2 => {
                    let copy = file[place.clone()].to_vec();
                    drop(file.splice(place.start..place.start, copy));
                }
                3 => {
                    let other = &others[self.below(others.len())];
                    let part = other[self.range(other.len(), 200)].to_vec();
                    drop(file.splice(place, part));
                }
                4 => {
                    let value = [0, 1, 0x7f, 0x80, 0xff][self.below(5)];
                    let end = place.end.min(place.start + 4);
                    file[place.start..end].fill(value);
                }
                _ => {
                    let bit = 1 << self.below(8);
                    if let Some(byte) = file.get_mut(place.start) {
                        *byte ^= bit;
                    }
                }
            }
        }
        file
    }
}

#[test]
fn files_that_are_not_mangled_have_packets() {
    for (index, file) in seeds::files().iter().enumerate() {
        assert!(take::take(file) > 0, "file {index}");
    }
}

#[test]
fn mangled_files_are_read_without_harm() {
    let files = seeds::files();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut packets = 0;
    for round in 0..ROUNDS {
        let file = &files[round % files.len()];
        packets += take::take(&random.mangle(file, &files));
    }
    assert!(packets > 5 * ROUNDS as u64, "the changes leave much to read: {packets} packets");
}

/// Takes a few seconds where it is compiled without optimisation.
const ROUNDS: usize = 3000;
