//! How an Active instance leaves without a gap: it shortens, resigns, and keeps serving until
//! another router is heard (docs/adr/0009).
//!
//! 1. *Shorten.* Advertisements with our usual priority and the shortest interval: Backups learn
//!    Active_Adver_Interval = 10 ms (RFC 9568 §6.4.2), so that their Skew_Time is below 10 ms.
//! 2. *Resign.* Priority 0: the Active_Down_Timer of each Backup becomes that Skew_Time. It is
//!    repeated in case it was lost. An Active answers a repetition at once (§6.4.3), which shows a
//!    successor whose first advertisement was lost.
//! 3. *Serve on.* The addresses stay until the successor is heard, and until hosts have switched to
//!    it ([`super::addresses`]).
//!
//! What is said is a script ([`VersionRules`]); when the hand-over ends is decided by the router
//! (`router::handover`), because both families of a router let go together.

use crate::protocol::version_rules::{LeaveLine, VersionRules};
use crate::types::{MonoTime, Version};
use crate::wire::ChecksumFlavour;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// After a crash: how long an Active has to answer the resignation that asks whether there is one.
pub(in crate::protocol) const PROBE_TIMEOUT: Duration = Duration::from_millis(30);

/// Backups that heard a shortened advertisement take over three of the shortest interval later. An
/// instance that was stalled between two of them resigns instead: another advertisement with our
/// usual priority would make a successor step back that may already be there.
const STALLED: Duration = Duration::from_millis(10);

/// A router whose message could be older than our resignation must still be advertising this much
/// later: longer than it takes to shorten and resign.
const CONFIRMED_AFTER: Duration = Duration::from_millis(12);

/// The leave of one instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Leaving {
    version: Version,
    began: MonoTime,
    /// How many lines of the script were said.
    said: usize,
    /// When a resignation asks whether a candidate really serves.
    probe_at: Option<MonoTime>,
    resigned: Resigned,
    run: Run,
    proof: Proof,
    succession: KnownSuccessor,
}

/// Whether priority 0 was sent, so that a router that speaks now may know that we leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Resigned {
    No,
    Yes,
}

/// Which run of vrrpd became Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Run {
    /// This one, which has listened all the time.
    This,
    /// One that crashed: which other routers there are is not known.
    Crashed,
}

/// Whether another router serves now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum KnownSuccessor {
    /// None was heard.
    Nobody,
    /// One was heard, which may not mean that it serves.
    Candidate { address: IpAddr, heard: MonoTime, unproven: Unproven },
    /// This one does.
    Successor(Successor),
}

/// Why a message does not show that its sender serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Unproven {
    /// Any machine on the LAN can send one message.
    OneMessage,
    /// The message may be older than our resignation, or from a router that leaves as well.
    MayBeOlder,
}

/// What it takes to believe that a router took over (docs/adr/0019).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) enum Proof {
    /// We would stay Active otherwise: the addresses announced, or another message.
    Demanded,
    /// We let go whatever happens, and one message only says how soon.
    Waived,
}

/// The router that serves now, and since when we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) struct Successor {
    pub(in crate::protocol) address: IpAddr,
    pub(in crate::protocol) heard: MonoTime,
}

/// How sure an advertisement with a priority makes us that its sender serves and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The sender did not advertise before: it took over because of our resignation.
    Fresh,
    /// The sender may be leaving itself, or was Active before we resigned: wait for another
    /// message.
    Doubtful,
}

impl Leaving {
    pub(super) const fn new(now: MonoTime, version: Version, proof: Proof) -> Self {
        Self {
            version,
            began: now,
            said: 0,
            probe_at: None,
            resigned: Resigned::No,
            run: Run::This,
            proof,
            succession: KnownSuccessor::Nobody,
        }
    }

    /// The leave of a crashed run. Another router may be Active already, and a shortened
    /// advertisement would make it yield. So a resignation comes first: an Active answers it at
    /// once, and it harms nobody.
    pub(super) fn after_crash(now: MonoTime, version: Version) -> Self {
        let begins = now + PROBE_TIMEOUT;
        Self { probe_at: Some(now), run: Run::Crashed, ..Self::new(begins, version, Proof::Waived) }
    }

    /// The script, with the time of each line after the beginning in milliseconds.
    const fn lines(&self) -> &'static [(u64, LeaveLine)] {
        let rules = VersionRules::of(self.version);
        match self.run {
            Run::This => rules.leave().lines(),
            Run::Crashed => rules.leave_after_crash().lines(),
        }
    }

    /// The lines that were said.
    fn said(&self) -> impl DoubleEndedIterator<Item = LeaveLine> {
        self.lines().iter().take(self.said).map(|(_, line)| *line)
    }

    fn due(&self, at: u64) -> MonoTime {
        self.began + Duration::from_millis(at)
    }

    /// What is due at `now`, one line at a time.
    pub(super) fn next_line(&mut self, now: MonoTime) -> Option<LeaveLine> {
        if matches!(self.succession, KnownSuccessor::Successor(_)) {
            return None;
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe_at = None;
            self.resigned = Resigned::Yes;
            return Some(LeaveLine::Resign);
        }
        let (at, _) = *self.lines().get(self.said)?;
        if self.due(at) > now {
            return None;
        }
        if now.since(self.due(at)) >= STALLED && self.said().next_back() == Some(LeaveLine::Shorten) {
            let unsaid = self.lines().get(self.said..).unwrap_or_default();
            self.said += unsaid.iter().take_while(|(_, line)| *line == LeaveLine::Shorten).count();
        }
        let (at, line) = *self.lines().get(self.said)?;
        self.said += 1;
        match line {
            LeaveLine::Shorten => {}
            LeaveLine::Resign => self.resigned = Resigned::Yes,
        }
        // A stall must not turn the rest of the script into a burst without gaps.
        self.began = self.began + now.since(self.due(at));
        Some(line)
    }

    /// When the next line is due.
    pub(super) fn next_at(&self) -> Option<MonoTime> {
        if matches!(self.succession, KnownSuccessor::Successor(_)) {
            return None;
        }
        let line = self.lines().get(self.said).map(|(at, _)| self.due(*at));
        line.into_iter().chain(self.probe_at).min()
    }

    /// Whether nothing was said yet.
    pub(super) const fn is_unspoken(&self) -> bool {
        self.said == 0 && matches!(self.resigned, Resigned::No)
    }

    pub(super) fn has_resigned(&self) -> bool {
        self.resigned == Resigned::Yes
    }

    /// The checksum flavour to send with, where no peer was heard and the configuration leaves it
    /// open.
    pub(super) fn flavour(&self, first: ChecksumFlavour) -> ChecksumFlavour {
        match (self.run, first) {
            (Run::Crashed, ChecksumFlavour::Rfc9568) if self.has_repeated() => ChecksumFlavour::Rfc5798,
            (Run::This | Run::Crashed, _) => first,
        }
    }

    /// Whether the second round has begun, which shortens after a resignation: a router that took
    /// over meanwhile, and was not heard, yields to that.
    pub(super) fn has_repeated(&self) -> bool {
        self.said().skip_while(|line| *line == LeaveLine::Shorten).any(|line| line == LeaveLine::Shorten)
    }

    /// Another router advertised with a nonzero priority after we resigned, or outranks us.
    pub(super) fn on_advert(&mut self, now: MonoTime, from: IpAddr, evidence: Evidence) {
        let unproven = match evidence {
            Evidence::Fresh => Unproven::OneMessage,
            Evidence::Doubtful => Unproven::MayBeOlder,
        };
        self.succession = match self.succession {
            KnownSuccessor::Successor(successor) => KnownSuccessor::Successor(successor),
            KnownSuccessor::Nobody | KnownSuccessor::Candidate { .. }
                if evidence == Evidence::Fresh && self.proof == Proof::Waived =>
            {
                KnownSuccessor::Successor(Successor { address: from, heard: now })
            }
            KnownSuccessor::Candidate { address, heard, unproven: first } if address == from => {
                if now.since(heard) < CONFIRMED_AFTER {
                    return;
                }
                match first {
                    Unproven::OneMessage => KnownSuccessor::Successor(Successor { address, heard }),
                    Unproven::MayBeOlder => KnownSuccessor::Successor(Successor { address, heard: now }),
                }
            }
            KnownSuccessor::Nobody | KnownSuccessor::Candidate { .. } => {
                // An Active that serves answers a resignation at once. A router that leaves, or
                // that does not serve, does not.
                self.probe_at = Some(now + CONFIRMED_AFTER);
                KnownSuccessor::Candidate { address: from, heard: now, unproven }
            }
        };
    }

    /// Another station has announced every one of our addresses: the router that said that it took
    /// over did.
    pub(super) fn on_all_announced(&mut self) {
        self.succession = match self.succession {
            KnownSuccessor::Candidate { address, heard, unproven: Unproven::OneMessage } => {
                KnownSuccessor::Successor(Successor { address, heard })
            }
            KnownSuccessor::Candidate { unproven: Unproven::MayBeOlder, .. }
            | KnownSuccessor::Successor(_)
            | KnownSuccessor::Nobody => return,
        };
        self.probe_at = None;
    }

    /// `from` resigned as well: it does not serve any more.
    pub(super) fn on_resignation(&mut self, from: IpAddr) {
        match self.succession {
            KnownSuccessor::Successor(Successor { address, .. })
            | KnownSuccessor::Candidate { address, .. }
                if address == from =>
            {
                self.succession = KnownSuccessor::Nobody;
                self.probe_at = None;
            }
            KnownSuccessor::Successor(_) | KnownSuccessor::Candidate { .. } | KnownSuccessor::Nobody => {}
        }
    }

    /// What it takes to believe in a successor may change while the instance leaves.
    pub(super) const fn demand(&mut self, proof: Proof) {
        self.proof = proof;
    }

    /// Whether a crashed run is left. That leave begins with a resignation, which an Active that
    /// serves has answered.
    pub(super) fn is_after_crash(&self) -> bool {
        self.run == Run::Crashed
    }

    /// The router that serves now, as far as the demanded proof says.
    pub(super) const fn successor(&self) -> Option<Successor> {
        match (self.succession, self.proof) {
            (KnownSuccessor::Successor(successor), _) => Some(successor),
            (KnownSuccessor::Candidate { address, heard, unproven: Unproven::OneMessage }, Proof::Waived) => {
                Some(Successor { address, heard })
            }
            (KnownSuccessor::Candidate { .. }, Proof::Demanded | Proof::Waived)
            | (KnownSuccessor::Nobody, _) => None,
        }
    }
}
