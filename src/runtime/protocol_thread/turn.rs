//! The order of a turn of the protocol thread: hear before you judge, always.
//!
//! A process can be stopped anywhere: between two of its instructions, for seconds (SIGSTOP, a busy
//! machine, a hypervisor). What its peers say meanwhile waits in its sockets. Two rules make every
//! such stop harmless:
//!
//! 1. Deadlines are judged by a clock that was read *before* everything that waits was heard.
//!    Whatever arrived until then has been heard, so that a deadline which has passed by this clock
//!    has really passed in silence.
//! 2. What is heard is stamped with a clock that is read *after* it was taken from its socket. No
//!    stamp is older than the arrival, so that no deadline which follows from it is too early.
//!
//! Hence nothing is judged in a round that heard something: the clock is read again, and it is
//! listened again, until nothing waits. Time then never steps back from what was heard to what is
//! judged.

use crate::types::MonoTime;

/// Rounds of listening in one turn. Under a flood every round hears something; then it is judged
/// all the same, and what has waited since the turn began has been heard by then ([`super::engine`]
/// reads more in so many rounds than a socket's buffer holds).
const ROUNDS: usize = 4;

/// What a turn is made of.
pub(super) trait TurnSteps {
    /// Reads the clock.
    fn now(&mut self) -> MonoTime;
    /// Takes in everything that waits, in sockets and in the mailbox, up to a bound.
    fn hear(&mut self) -> RoundResult;
    /// Does what is due at `now`, and carries out what follows from that and from what was heard.
    fn judge(&mut self, now: MonoTime);
}

/// What a round of listening met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoundResult {
    /// Nothing waited anywhere.
    Nothing,
    /// Something did.
    Something,
}

/// One turn. Says what the last round of listening met: after [`RoundResult::Something`] more may
/// wait, so that there is no time to sleep.
pub(super) fn turn(steps: &mut impl TurnSteps) -> RoundResult {
    for _ in 0..ROUNDS {
        let now = steps.now();
        match steps.hear() {
            RoundResult::Something => {}
            RoundResult::Nothing => {
                steps.judge(now);
                return RoundResult::Nothing;
            }
        }
    }
    let now = steps.now();
    steps.judge(now);
    RoundResult::Something
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Between two words of the living Active.
    const INTERVAL: Duration = Duration::from_secs(1);
    /// A Backup's Active_Down_Interval.
    const PATIENCE: Duration = Duration::from_millis(3600);
    /// What each step of a turn takes.
    const STEP: Duration = Duration::from_micros(3);

    /// A Backup that hears a living Active through several sockets, in a process that is stopped
    /// once.
    struct Backup {
        clock: MonoTime,
        /// When the Active speaks next, by socket.
        speaks: Vec<MonoTime>,
        /// When it was last heard, by socket, as stamped.
        heard: Vec<MonoTime>,
        /// The process is stopped before this step, for so long.
        stop: (usize, Duration),
        steps: usize,
        judged: Vec<MonoTime>,
        /// Whether it believed a living Active dead.
        usurped: bool,
        /// Judged by a clock older than what it has heard.
        stepped_back: bool,
    }

    impl Backup {
        fn new(sockets: usize, stop: (usize, Duration)) -> Self {
            let clock = MonoTime::from_nanos(1_000_000_000_000);
            Self {
                clock,
                speaks: (0..sockets)
                    .map(|at| clock + INTERVAL * u32::try_from(at % 7).unwrap() / 7)
                    .collect(),
                heard: vec![clock; sockets],
                stop,
                steps: 0,
                judged: Vec::new(),
                usurped: false,
                stepped_back: false,
            }
        }

        /// Between any two of these the process may be stopped.
        fn step(&mut self) {
            if self.steps == self.stop.0 {
                self.clock = self.clock + self.stop.1;
            }
            self.steps += 1;
            self.clock = self.clock + STEP;
        }

        /// Until its deadline, or until something arrives.
        fn rest(&mut self) {
            let deadline = self.heard.iter().map(|heard| *heard + PATIENCE).min().unwrap();
            let arrival = self.speaks.iter().min().copied().unwrap();
            self.clock = self.clock.max(deadline.min(arrival));
        }
    }

    impl TurnSteps for Backup {
        fn now(&mut self) -> MonoTime {
            self.step();
            self.clock
        }

        fn hear(&mut self) -> RoundResult {
            let mut met = RoundResult::Nothing;
            for at in 0..self.speaks.len() {
                self.step();
                while self.speaks[at] <= self.clock {
                    self.speaks[at] = self.speaks[at] + INTERVAL;
                    met = RoundResult::Something;
                    // The stamp comes later than the reading, perhaps much later.
                    self.step();
                    self.heard[at] = self.clock;
                }
            }
            met
        }

        fn judge(&mut self, now: MonoTime) {
            self.step();
            self.judged.push(now);
            self.usurped |= self.heard.iter().any(|heard| *heard + PATIENCE <= now);
            self.stepped_back |= self.heard.iter().any(|heard| *heard > now);
        }
    }

    #[test]
    fn a_living_active_is_not_believed_dead_wherever_the_process_is_stopped() {
        for sockets in [1, 3, 12] {
            for millis in [900, 2700, 3599, 3950, 10_000] {
                for step in 0..12 * sockets {
                    let mut backup = Backup::new(sockets, (step, Duration::from_millis(millis)));
                    for _ in 0..20 {
                        backup.rest();
                        turn(&mut backup);
                        assert!(!backup.usurped, "{sockets} sockets, {millis} ms before step {step}");
                        assert!(!backup.stepped_back, "{sockets} sockets, {millis} ms before step {step}");
                    }
                }
            }
        }
    }

    /// The test above can fail: whoever judges by a clock that was read after it listened usurps.
    #[test]
    fn a_clock_that_is_read_after_listening_is_no_good() {
        let usurps = |step| {
            let mut backup = Backup::new(3, (step, Duration::from_millis(3950)));
            for _ in 0..40 {
                backup.rest();
                backup.hear();
                let now = backup.now();
                backup.judge(now);
            }
            backup.usurped
        };
        assert!((0..36).any(usurps));
    }

    /// Who speaks in every round.
    struct Flood {
        now: u64,
        rounds: usize,
        judged: Vec<u64>,
    }

    impl TurnSteps for Flood {
        fn now(&mut self) -> MonoTime {
            self.now += 1;
            MonoTime::from_nanos(self.now)
        }

        fn hear(&mut self) -> RoundResult {
            self.rounds += 1;
            RoundResult::Something
        }

        fn judge(&mut self, now: MonoTime) {
            self.judged.push(now.as_nanos());
        }
    }

    #[test]
    fn a_flood_keeps_nobody_from_judging() {
        let mut flood = Flood { now: 0, rounds: 0, judged: Vec::new() };
        assert_eq!(turn(&mut flood), RoundResult::Something, "there may be more");
        assert_eq!((flood.rounds, &flood.judged[..]), (ROUNDS, &[5][..]));
    }
}
