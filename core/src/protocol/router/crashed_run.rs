//! A run of vrrpd that crashed or was killed while it was Active: its successor finishes what it
//! could not, and hands over (docs/adr/0014).
//!
//! The addresses are still on the interface and the kernel still serves them, while every peer
//! believes in an Active that will never advertise again. The router begins as that Active,
//! leaving: what follows is the ordinary hand-over. It says nothing but that it leaves, and
//! announces nothing.

use super::handover::Handover;
use super::{FollowUp, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::Cause;
use crate::types::MonoTime;

impl Router {
    /// A router that was just made becomes the Active that the crashed run was.
    pub(in crate::protocol) fn finish_crashed_run(&mut self, now: MonoTime, out: &mut Effects) -> FollowUp {
        self.move_each(out, |instance, _, out| Some(instance.finish_crashed_run(now, out)));
        self.handover = Some(Handover::of_crashed_run(now, self.policy.interval, self.rules()));
        // What can be sent, and with which priority, follows from facts.
        FollowUp::Evaluate { cause_if_started: Cause::Startup }
    }
}
