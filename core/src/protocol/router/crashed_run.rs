//! The service of a run that died (SIGKILL, a crash), handed over by its successor (docs/adr/0014).
//!
//! Its addresses are still on the interface and the kernel still serves them, while every peer believes in an
//! Active that will never speak again. The router begins as that Active, leaving: what follows is the
//! ordinary hand-over. It says nothing but that it leaves, and announces nothing.

use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, HandoverCause};
use crate::protocol::instance::transition::Moved;
use crate::protocol::instance::{Active, Instance, State, Tenure};
use crate::protocol::router::handover::{ENQUIRY, Handover, Leaving};
use crate::protocol::router::{Again, Router};
use crate::protocol::timing::Taking;
use crate::types::MonoTime;
use crate::wire::ChecksumFlavour;

impl Router {
    /// A router that was just made takes the place of one that died as Active. The addresses are in place
    /// and known to whoever holds them: they are not asked for, only let go.
    pub(in crate::protocol) fn inherit(&mut self, now: MonoTime, out: &mut Effects) -> Again {
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let moved = instance.inherit(now, out);
            let key = instance.key;
            self.report_move(key, moved, out);
        }
        let handover = Handover::new(now, HandoverCause::Shutdown, self.policy.interval);
        self.handover = Some(Handover { until: handover.until + ENQUIRY, ..handover });
        // What can be said, and with which priority, follows from facts.
        Again::Evaluate(Cause::Startup)
    }
}

impl Instance {
    fn inherit(&mut self, now: MonoTime, out: &mut Effects) -> Moved {
        self.listen(out);
        let active = Active {
            advertise_at: now,
            tenure: Tenure::Leaving(Leaving::inherited(now)),
            taking: Taking::FromNobody,
            held: true,
            announce: None,
            immediate_after: now,
            resignation_after: now,
            tie_lost: None,
            displaced_until: now,
            contested_until: now,
        };
        self.enter(now, State::Active(active), Cause::Startup)
    }

    /// The checksum where the configuration leaves it open: that of the peers, if there are any.
    pub(in crate::protocol) fn open_flavour(&self) -> ChecksumFlavour {
        let known = self.flavour.unwrap_or(ChecksumFlavour::Rfc9568);
        match &self.state {
            State::Active(Active { tenure: Tenure::Leaving(leaving), .. }) if self.peers.is_empty() => {
                leaving.flavour(known)
            }
            State::Initialize | State::Backup(_) | State::Active(_) => known,
        }
    }
}
