//! What a bounded queue had no room for: kept in order, and offered again.
//!
//! The protocol thread must not wait for those who read its queues. It keeps what they had no room
//! for, and offers it again soon. What bounds the length is said where a queue is made.

use std::collections::VecDeque;

/// Items that wait for room in another queue, oldest first.
#[derive(Debug)]
pub(super) struct RetryQueue<T> {
    waiting: VecDeque<T>,
}

/// What became of an item that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer<T> {
    /// There was room for it.
    Taken,
    /// There is no room now; the item is returned.
    Full(T),
    /// Nobody reads the queue any more: the agent ends, and the item is dropped.
    Ended,
}

impl<T> RetryQueue<T> {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    pub(super) fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    pub(super) fn extend(&mut self, items: impl IntoIterator<Item = T>) {
        self.waiting.extend(items);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Hands over as many items as there is room for, in order.
    pub(super) fn offer(&mut self, mut send: impl FnMut(T) -> Offer<T>) {
        while let Some(item) = self.waiting.pop_front() {
            match send(item) {
                Offer::Taken => {}
                Offer::Full(item) => {
                    self.waiting.push_front(item);
                    return;
                }
                Offer::Ended => return,
            }
        }
    }

    /// Takes everything that waits, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.waiting.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(items: &[u8]) -> RetryQueue<u8> {
        let mut queue = RetryQueue::new();
        queue.extend(items.iter().copied());
        queue
    }

    #[test]
    fn what_had_no_room_is_offered_again_in_order() {
        let mut queue = queue(&[1, 2, 3, 4]);
        let (mut taken, mut room) = (Vec::new(), 2);
        let mut offer = |queue: &mut RetryQueue<u8>, more: usize| {
            room = more;
            queue.offer(|item| {
                if room == 0 {
                    return Offer::Full(item);
                }
                room -= 1;
                taken.push(item);
                Offer::Taken
            });
            taken.clone()
        };
        assert_eq!(offer(&mut queue, 2), [1, 2]);
        queue.push(5);
        assert_eq!(offer(&mut queue, 0), [1, 2], "nothing is lost while there is no room");
        assert_eq!(offer(&mut queue, 9), [1, 2, 3, 4, 5]);
        assert!(queue.is_empty());
    }

    #[test]
    fn nothing_is_offered_to_a_reader_that_has_ended() {
        let mut queue = queue(&[1, 2, 3]);
        let mut offers = 0;
        queue.offer(|_| {
            offers += 1;
            Offer::Ended
        });
        assert_eq!(offers, 1, "one attempt tells it");
        assert_eq!(queue.drain().collect::<Vec<_>>(), [2, 3]);
    }
}
