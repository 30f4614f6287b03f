//! Gives memory that the process does not need any more back to the kernel.
//!
//! What the C library has received from the kernel it keeps, even when the program has freed it. At
//! the start and at a reload vrrpd needs more than afterwards: the text of the configuration, what
//! was read from it, its comparison with the one before, a message for each address. With 255
//! virtual routers that is a quarter of all private memory.

use super::sys;

/// Gives back every page on which nothing is allocated. This takes less than a millisecond for each
/// MiB. Only threads that allocate or free at that moment wait for it, and those of the protocol
/// do not while nothing happens. Memory that is locked (`realtime`) stays.
pub fn give_back() {
    sys::trim_heap();
}

#[cfg(test)]
#[cfg(target_env = "gnu")]
mod tests {
    use super::*;
    use std::fs;

    const PAGE: usize = 4096;

    /// Resident pages of this process, in octets.
    fn resident() -> usize {
        let text = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * PAGE
    }

    #[test]
    fn what_is_free_between_what_is_not_goes_back_to_the_kernel() {
        const PIECES: usize = 10_000;
        let pieces: Vec<Box<[u8]>> = (0..PIECES).map(|_| vec![1; PAGE].into_boxed_slice()).collect();
        // One in a hundred stays, the last one too: what is free at the end of the heap goes back
        // without being asked for.
        let kept: Vec<_> = pieces.into_iter().skip(99).step_by(100).collect();
        let before = resident();
        give_back();
        let after = resident();
        assert!(after + PIECES * PAGE / 2 < before, "{before} octets before, {after} after");
        assert_eq!(kept.len(), PIECES / 100);
    }
}
