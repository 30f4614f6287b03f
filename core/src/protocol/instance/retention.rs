//! How hosts turn to another router: it announces each address, and we hear it too (docs/adr/0016).
//!
//! Whoever serves now speaks before the hosts know of it, and some speak before they hold the addresses at all. An
//! Active that is replaced therefore keeps them a little longer: until it has heard each of them announced.

use crate::protocol::effect::{Effect, Effects};
use crate::protocol::instance::{Active, Instance, State, Tenure};
use crate::protocol::router::Router;
use crate::protocol::spec::InstanceSpec;
use crate::types::{Family, InterfaceName, MacAddr, MonoTime};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// What a host takes to obey an announcement, what is on its way to us by then, and what the one who announced may
/// still need to answer: Linux delivers to a new IPv6 address when a worker has made its route, and keepalived does not
/// wait for that (13 ms later seen here, 70 ms on a busy machine).
const fn obeyed(family: Family) -> Duration {
    match family {
        Family::Ipv4 => Duration::from_millis(20),
        Family::Ipv6 => Duration::from_millis(80),
    }
}

/// Whoever serves now may announce nothing that we can hear. Longer than the slowest that was measured: keepalived
/// announces 1 to 10 ms after it spoke, on a busy machine 23 ms, on a starved one more than 50 ms.
pub(in crate::protocol) const UNHEARD: Duration = Duration::from_millis(250);

/// Two routers that took over at the same moment announce at the same moment, and who of them was last differs from
/// host to host: what we have decided to announce leaves when the thread of the addresses gets to it, 7 ms later on a
/// busy machine. What is heard so soon after our own announcement does not count; the winner repeats its own, 30 ms
/// after the first.
const CROSSING: Duration = Duration::from_millis(20);

/// Of the addresses of one virtual router: which of them others have announced since we listen.
#[derive(Debug, Clone, Default)]
pub(in crate::protocol) struct Turning {
    announced: BTreeSet<IpAddr>,
    last: Option<MonoTime>,
    /// When we yielded, if that is why; `None`: we are leaving, and still serve.
    yielded: Option<MonoTime>,
}

impl Turning {
    /// Somebody else announced `address`, which is one of them.
    pub(in crate::protocol) fn on_announced(&mut self, now: MonoTime, address: IpAddr) {
        if self.announced.insert(address) {
            self.last = Some(now);
        }
    }

    /// Whether all `count` of them were announced.
    pub(in crate::protocol) fn is_complete(&self, count: usize) -> bool {
        self.announced.len() >= count
    }

    /// When hosts have turned away from all `count` of them, if somebody else serves since `served`.
    pub(in crate::protocol) fn over(&self, served: MonoTime, family: Family, count: usize) -> MonoTime {
        match self.last {
            Some(last) if self.is_complete(count) => last.max(served) + obeyed(family),
            Some(_) | None => served + UNHEARD,
        }
    }
}

impl Instance {
    /// Active no more, it keeps the addresses for a while.
    pub(in crate::protocol) fn part(&mut self, now: MonoTime, out: &mut Effects) {
        self.listen(out);
        if let Some(turning) = &mut self.turning {
            turning.yielded = Some(now);
        }
    }

    /// Whether it has yielded, and keeps the addresses for a while.
    pub(in crate::protocol) fn is_parting(&self) -> bool {
        self.turning.as_ref().is_some_and(|turning| turning.yielded.is_some())
    }

    /// When the addresses go that it still has though it is Active no more.
    pub(in crate::protocol) fn lets_go_at(&self) -> Option<MonoTime> {
        let turning = self.turning.as_ref()?;
        turning.yielded.map(|yielded| turning.over(yielded, self.key.family, self.width))
    }

    /// When hosts have turned away from us, to somebody who serves since `served`.
    pub(in crate::protocol) fn turned_at(&self, served: MonoTime) -> MonoTime {
        self.turning.as_ref().map_or(served, |turning| turning.over(served, self.key.family, self.width))
    }

    /// Whether it leaves to somebody who has not announced every address since it began to.
    pub(in crate::protocol) fn leaves_hosts_behind(&self) -> bool {
        let State::Active(Active { tenure: Tenure::Leaving(leaving), .. }) = &self.state else {
            return false;
        };
        !leaving.is_inherited()
            && self.turning.as_ref().is_some_and(|turning| !turning.is_complete(self.width))
    }

    /// Another station announced one of our addresses.
    pub(in crate::protocol) fn on_announced(&mut self, now: MonoTime, address: IpAddr) {
        let crossed = self.announced.is_some_and(|ours| now < ours + CROSSING);
        if let Some(turning) = self.turning.as_mut().filter(|_| !crossed) {
            turning.on_announced(now, address);
            if let State::Active(Active { tenure: Tenure::Leaving(leaving), .. }) = &mut self.state
                && turning.is_complete(self.width)
            {
                leaving.on_all_announced();
            }
        }
    }

    /// Whether it is of interest what others announce.
    pub(in crate::protocol) const fn is_listening(&self) -> bool {
        self.turning.is_some()
    }

    pub(in crate::protocol) fn listen(&mut self, out: &mut Effects) {
        if self.turning.is_none() {
            self.turning = Some(Turning::default());
            out.push(Effect::WatchAnnouncements { key: self.key });
        }
    }

    pub(in crate::protocol) fn unlisten(&mut self, out: &mut Effects) {
        if self.turning.take().is_some() {
            out.push(Effect::IgnoreAnnouncements { key: self.key });
        }
    }

    /// The address list changed: what is held must follow, without a transition.
    pub(in crate::protocol) fn readdress(&mut self, out: &mut Effects) {
        if let State::Active(active) = &self.state {
            let leaving = matches!(active.tenure, Tenure::Leaving(_));
            self.own(out);
            if leaving {
                self.listen(out);
            }
        }
    }

    pub(in crate::protocol) fn own(&mut self, out: &mut Effects) {
        self.unlisten(out);
        self.epoch += 1;
        // RFC9568-6.4.3-2, RFC9568-6.4.3-6: the kernel joins, answers and accepts.
        out.push(Effect::HoldAddresses { key: self.key, epoch: self.epoch });
    }

    pub(in crate::protocol) fn disown(&mut self, out: &mut Effects) {
        self.unlisten(out);
        self.epoch += 1;
        // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: what the kernel does not hold, it neither answers nor accepts.
        out.push(Effect::ReleaseAddresses { key: self.key, epoch: self.epoch });
    }
}

impl Router {
    /// Whether it is of interest that another station announces this address there.
    pub(in crate::protocol) fn is_listening(&self, interface: InterfaceName, address: IpAddr) -> bool {
        let cares = |m: &Instance| m.is_listening() || matches!(m.state, State::Active(_));
        let has = |spec: &InstanceSpec| spec.held().any(|ours| ours.addr() == address);
        self.spec.interface == interface
            && self
                .instances
                .iter()
                .zip(&self.spec.instances)
                .any(|(instance, spec)| cares(instance) && has(spec))
    }

    /// Another station announced an address.
    pub(in crate::protocol) fn on_announced(&mut self, now: MonoTime, address: IpAddr, mac: MacAddr) {
        for (instance, spec) in self.instances.iter_mut().zip(&self.spec.instances) {
            if spec.held().any(|ours| ours.addr() == address) {
                instance.on_announced(now, address);
                instance.note_conflict(now, address, mac);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: MonoTime = MonoTime::from_nanos(1_000_000_000);

    fn after(announcements: &[(u64, &str)], count: usize) -> Duration {
        let mut turning = Turning::default();
        for (millis, address) in announcements {
            turning.on_announced(SERVED + Duration::from_millis(*millis), address.parse().unwrap());
        }
        turning.over(SERVED, Family::Ipv4, count).since(SERVED)
    }

    #[test]
    fn the_last_address_to_be_announced_decides() {
        assert_eq!(after(&[(3, "192.0.2.1"), (9, "192.0.2.2")], 2), Duration::from_millis(29));
        assert_eq!(
            after(&[(3, "192.0.2.1"), (9, "192.0.2.1")], 1),
            Duration::from_millis(23),
            "a repetition"
        );
    }

    #[test]
    fn until_all_are_announced_the_wait_has_an_end() {
        assert_eq!(after(&[], 1), UNHEARD);
        assert_eq!(after(&[(3, "192.0.2.1")], 2), UNHEARD);
    }

    #[test]
    fn what_was_announced_before_the_first_word_counts() {
        let mut turning = Turning::default();
        turning.on_announced(MonoTime::from_nanos(999_000_000), "192.0.2.1".parse().unwrap());
        for family in [Family::Ipv4, Family::Ipv6] {
            assert_eq!(turning.over(SERVED, family, 1).since(SERVED), obeyed(family));
        }
    }
}
