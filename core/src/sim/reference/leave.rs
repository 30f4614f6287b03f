//! What one family sends while its router leaves, and what is needed to believe that another router
//! took over (docs/adr/0009, 0014, 0019).

use crate::sim::documents::{
    DEAD_RUN_ASKS, GOES_ON_SPEAKING, LEAVING, LEAVING_FOR_A_DEAD_RUN, Line, STALLED_WHILE_SHORTENING,
};
use crate::types::MonoTime;
use std::net::IpAddr;
use std::time::Duration;

/// What follows when no router takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The router stays Active, so it asks for a proof that another router took over.
    Stay,
    /// The addresses are let go in any case.
    LetGo,
}

/// What an advertisement of another router shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The sender was silent before, so it took over.
    New,
    /// The advertisement may be older than our resignation, or its sender is leaving too.
    MayBeOld,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    None,
    Spoke(IpAddr, MonoTime, Word),
    Serves(IpAddr, MonoTime),
}

#[derive(Debug, Clone)]
pub(super) struct Leave {
    began: MonoTime,
    lines: &'static [(u64, Line)],
    spoken: usize,
    /// When priority 0 is sent once more, so that the router that serves answers.
    ask_at: Option<MonoTime>,
    resigned: bool,
    shortened_again: bool,
    last: Option<Line>,
    of_dead_run: bool,
    ending: Ending,
    other: Other,
}

impl Leave {
    pub(super) const fn new(began: MonoTime, ending: Ending) -> Self {
        Self {
            began,
            lines: &LEAVING,
            spoken: 0,
            ask_at: None,
            resigned: false,
            shortened_again: false,
            last: None,
            of_dead_run: false,
            ending,
            other: Other::None,
        }
    }

    pub(super) fn of_dead_run(now: MonoTime) -> Self {
        Self {
            lines: &LEAVING_FOR_A_DEAD_RUN,
            ask_at: Some(now),
            of_dead_run: true,
            ..Self::new(now + DEAD_RUN_ASKS, Ending::LetGo)
        }
    }

    fn line(&self) -> Option<(MonoTime, Line)> {
        self.lines.get(self.spoken).map(|(millis, line)| (self.began + Duration::from_millis(*millis), *line))
    }

    /// The line that is sent now, if one is due.
    pub(super) fn say(&mut self, now: MonoTime) -> Option<Line> {
        if self.serves().is_some() {
            return None;
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.resigned = true;
            return Some(Line::Resign);
        }
        let (mut at, mut line) = self.line().filter(|(at, _)| *at <= now)?;
        if self.last == Some(Line::Shorten) && now.since(at) >= STALLED_WHILE_SHORTENING {
            while line == Line::Shorten {
                self.spoken += 1;
                (at, line) = self.line()?;
            }
        }
        // If a line is late, the lines after it are delayed as well, so that no burst follows.
        self.began = self.began + now.since(at);
        self.spoken += 1;
        self.last = Some(line);
        match line {
            Line::Shorten => self.shortened_again |= self.resigned_by_script(),
            Line::Resign => self.resigned = true,
        }
        Some(line)
    }

    fn resigned_by_script(&self) -> bool {
        let said = self.lines.get(..self.spoken).unwrap_or_default();
        said.iter().any(|(_, line)| *line == Line::Resign)
    }

    pub(super) fn next(&self) -> Option<MonoTime> {
        if self.serves().is_some() {
            return None;
        }
        self.line().map(|(at, _)| at).into_iter().chain(self.ask_at).min()
    }

    pub(super) const fn is_unspoken(&self) -> bool {
        self.spoken == 0 && !self.resigned
    }

    pub(super) const fn has_resigned(&self) -> bool {
        self.resigned
    }

    pub(super) const fn has_shortened_again(&self) -> bool {
        self.shortened_again
    }

    pub(super) const fn is_of_dead_run(&self) -> bool {
        self.of_dead_run
    }

    pub(super) const fn set_ending(&mut self, ending: Ending) {
        self.ending = ending;
    }

    const fn serves(&self) -> Option<(IpAddr, MonoTime)> {
        match self.other {
            Other::Serves(who, since) => Some((who, since)),
            Other::Spoke(..) | Other::None => None,
        }
    }

    /// Which router took over, and since when that is known.
    pub(super) fn taker(&self) -> Option<(IpAddr, MonoTime)> {
        match (self.other, self.ending) {
            (Other::Serves(who, since), _) | (Other::Spoke(who, since, Word::New), Ending::LetGo) => {
                Some((who, since))
            }
            (Other::Spoke(..), _) | (Other::None, _) => None,
        }
    }

    pub(super) fn on_word(&mut self, now: MonoTime, from: IpAddr, word: Word) {
        match self.other {
            Other::Serves(..) => {}
            Other::None | Other::Spoke(..) if word == Word::New && self.ending == Ending::LetGo => {
                self.other = Other::Serves(from, now);
            }
            Other::Spoke(who, at, first) if who == from => {
                if now.since(at) >= GOES_ON_SPEAKING {
                    let since = match first {
                        Word::New => at,
                        Word::MayBeOld => now,
                    };
                    self.other = Other::Serves(who, since);
                }
            }
            Other::None | Other::Spoke(..) => {
                self.other = Other::Spoke(from, now, word);
                self.ask_at = Some(now + GOES_ON_SPEAKING);
            }
        }
    }

    /// Other routers have announced each of the addresses.
    pub(super) const fn on_all_announced(&mut self) {
        if let Other::Spoke(who, at, Word::New) = self.other {
            self.other = Other::Serves(who, at);
            self.ask_at = None;
        }
    }

    /// `from` resigned, so it does not serve.
    pub(super) fn on_resignation(&mut self, from: IpAddr) {
        match self.other {
            Other::Serves(who, _) | Other::Spoke(who, ..) if who == from => {
                self.other = Other::None;
                self.ask_at = None;
            }
            Other::Serves(..) | Other::Spoke(..) | Other::None => {}
        }
    }
}
