//! What one family sends while its router leaves, and what is needed to believe that another router
//! took over (docs/adr/0009, 0014, 0019).

use crate::sim::documents::{
    CRASHED_RUN_ASKS, GOES_ON_ADVERTISING, LEAVING, LEAVING_FOR_A_CRASHED_RUN, LEAVING_IN_VERSION_2,
    STALLED_WHILE_SHORTENING, ScriptLine,
};
use crate::types::{MonoTime, Version};
use std::net::IpAddr;
use std::time::Duration;

/// What follows when no router takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithoutSuccessor {
    /// The router stays Active, so it asks for a proof that another router took over.
    Stay,
    /// The addresses are let go in any case.
    LetGo,
}

/// What an advertisement of another router shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The sender was silent before, so it took over.
    New,
    /// The advertisement may be older than our resignation, or its sender is leaving too.
    MayBeOld,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OtherRouter {
    None,
    Advertised(IpAddr, MonoTime, Evidence),
    Serves(IpAddr, MonoTime),
}

#[derive(Debug, Clone)]
pub(super) struct Leave {
    began: MonoTime,
    lines: &'static [(u64, ScriptLine)],
    sent: usize,
    /// When priority 0 is sent once more, so that the router that serves answers.
    ask_at: Option<MonoTime>,
    resigned: bool,
    shortened_again: bool,
    last: Option<ScriptLine>,
    of_crashed_run: bool,
    without_successor: WithoutSuccessor,
    other: OtherRouter,
}

impl Leave {
    /// The version is that of now: a reload does not change what is sent.
    pub(super) const fn new(began: MonoTime, version: Version, without_successor: WithoutSuccessor) -> Self {
        Self {
            began,
            lines: match version {
                Version::V2 => &LEAVING_IN_VERSION_2,
                Version::V3 => &LEAVING,
            },
            sent: 0,
            ask_at: None,
            resigned: false,
            shortened_again: false,
            last: None,
            of_crashed_run: false,
            without_successor,
            other: OtherRouter::None,
        }
    }

    pub(super) fn of_crashed_run(now: MonoTime, version: Version) -> Self {
        Self {
            lines: match version {
                Version::V2 => &LEAVING_IN_VERSION_2,
                Version::V3 => &LEAVING_FOR_A_CRASHED_RUN,
            },
            ask_at: Some(now),
            of_crashed_run: true,
            ..Self::new(now + CRASHED_RUN_ASKS, version, WithoutSuccessor::LetGo)
        }
    }

    fn line(&self) -> Option<(MonoTime, ScriptLine)> {
        self.lines.get(self.sent).map(|(millis, line)| (self.began + Duration::from_millis(*millis), *line))
    }

    /// The line that is sent now, if one is due.
    pub(super) fn next_line(&mut self, now: MonoTime) -> Option<ScriptLine> {
        if self.serves().is_some() {
            return None;
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.resigned = true;
            return Some(ScriptLine::Resign);
        }
        let (mut at, mut line) = self.line().filter(|(at, _)| *at <= now)?;
        if self.last == Some(ScriptLine::Shorten) && now.since(at) >= STALLED_WHILE_SHORTENING {
            while line == ScriptLine::Shorten {
                self.sent += 1;
                (at, line) = self.line()?;
            }
        }
        // If a line is late, the lines after it are delayed as well, so that no burst follows.
        self.began = self.began + now.since(at);
        self.sent += 1;
        self.last = Some(line);
        match line {
            ScriptLine::Shorten => self.shortened_again |= self.resigned_by_script(),
            ScriptLine::Resign => self.resigned = true,
        }
        Some(line)
    }

    fn resigned_by_script(&self) -> bool {
        let said = self.lines.get(..self.sent).unwrap_or_default();
        said.iter().any(|(_, line)| *line == ScriptLine::Resign)
    }

    pub(super) fn next(&self) -> Option<MonoTime> {
        if self.serves().is_some() {
            return None;
        }
        self.line().map(|(at, _)| at).into_iter().chain(self.ask_at).min()
    }

    pub(super) const fn has_sent_nothing(&self) -> bool {
        self.sent == 0 && !self.resigned
    }

    pub(super) const fn has_resigned(&self) -> bool {
        self.resigned
    }

    pub(super) const fn has_shortened_again(&self) -> bool {
        self.shortened_again
    }

    pub(super) const fn is_of_crashed_run(&self) -> bool {
        self.of_crashed_run
    }

    pub(super) const fn set_without_successor(&mut self, without_successor: WithoutSuccessor) {
        self.without_successor = without_successor;
    }

    const fn serves(&self) -> Option<(IpAddr, MonoTime)> {
        match self.other {
            OtherRouter::Serves(who, since) => Some((who, since)),
            OtherRouter::Advertised(..) | OtherRouter::None => None,
        }
    }

    /// Which router took over, and since when that is known.
    pub(super) fn successor(&self) -> Option<(IpAddr, MonoTime)> {
        match (self.other, self.without_successor) {
            (OtherRouter::Serves(who, since), _)
            | (OtherRouter::Advertised(who, since, Evidence::New), WithoutSuccessor::LetGo) => {
                Some((who, since))
            }
            (OtherRouter::Advertised(..), _) | (OtherRouter::None, _) => None,
        }
    }

    pub(super) fn on_advert(&mut self, now: MonoTime, from: IpAddr, evidence: Evidence) {
        match self.other {
            OtherRouter::Serves(..) => {}
            OtherRouter::None | OtherRouter::Advertised(..)
                if evidence == Evidence::New && self.without_successor == WithoutSuccessor::LetGo =>
            {
                self.other = OtherRouter::Serves(from, now);
            }
            OtherRouter::Advertised(who, at, first) if who == from => {
                if now.since(at) >= GOES_ON_ADVERTISING {
                    let since = match first {
                        Evidence::New => at,
                        Evidence::MayBeOld => now,
                    };
                    self.other = OtherRouter::Serves(who, since);
                }
            }
            OtherRouter::None | OtherRouter::Advertised(..) => {
                self.other = OtherRouter::Advertised(from, now, evidence);
                self.ask_at = Some(now + GOES_ON_ADVERTISING);
            }
        }
    }

    /// Other routers have announced each of the addresses.
    pub(super) const fn on_all_announced(&mut self) {
        if let OtherRouter::Advertised(who, at, Evidence::New) = self.other {
            self.other = OtherRouter::Serves(who, at);
            self.ask_at = None;
        }
    }

    /// `from` resigned, so it does not serve.
    pub(super) fn on_resignation(&mut self, from: IpAddr) {
        match self.other {
            OtherRouter::Serves(who, _) | OtherRouter::Advertised(who, ..) if who == from => {
                self.other = OtherRouter::None;
                self.ask_at = None;
            }
            OtherRouter::Serves(..) | OtherRouter::Advertised(..) | OtherRouter::None => {}
        }
    }
}
