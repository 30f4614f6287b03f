//! Logs the reports of the address thread that the protocol does not decide about, each with its
//! remedy.

use crate::kernel::keeper::KeeperEvent;

pub(super) fn log_notice(notice: &KeeperEvent) {
    match notice {
        KeeperEvent::Released { key, outcome: Err(why), .. } => {
            tracing::error!(%key, why, "addresses could not be removed; trying again");
        }
        KeeperEvent::Contested { key, count } => tracing::warn!(
            %key, count, "another program keeps changing the virtual addresses, perhaps a network manager; vrrpd restores them once a second"
        ),
        KeeperEvent::GuardRestored { interface } => tracing::warn!(
            "another program changed net.ipv4.conf.{interface}.arp_ignore or arp_announce while addresses drain; vrrpd has set them \
             again. Until then this node may have answered for an address that another node has"
        ),
        KeeperEvent::StaleRemoved { interface, addresses } => {
            tracing::warn!(interface, ?addresses, "removed addresses that a previous run left behind");
        }
        KeeperEvent::PromotionNotSet { interface, why } => tracing::warn!(
            "cannot set net.ipv4.conf.{interface}.promote_secondaries to 1: {why}. When vrrpd removes a virtual address that is the \
             first of its network, the kernel removes the other addresses of that network as well, until vrrpd restores them a \
             moment later. To avoid that, set net.ipv4.conf.all.promote_secondaries=1 for the container (docker or podman: \
             --sysctl net.ipv4.conf.all.promote_secondaries=1), or on the host before the container starts"
        ),
        KeeperEvent::ForeignReinstalled { interface, address, outcome: Ok(()) } => tracing::warn!(
            "the kernel removed {address} from {interface} together with a virtual address, because \
             promote_secondaries cannot be set there. vrrpd has restored it"
        ),
        KeeperEvent::ForeignReinstalled { interface, address, outcome: Err(why) } => tracing::error!(
            "the kernel removed {address} from {interface} together with a virtual address, and refuses to restore it: {why}. Run: \
             ip address add {address} dev {interface}"
        ),
        KeeperEvent::NotAnnounced { key, why } => {
            tracing::warn!(%key, why, "an announcement could not be sent")
        }
        KeeperEvent::Stopped { outcome: Err(why), .. } => {
            tracing::error!(why, "addresses may be left behind (vrrpd --clean-up removes them)");
        }
        KeeperEvent::Held { .. }
        | KeeperEvent::Draining { .. }
        | KeeperEvent::Released { .. }
        | KeeperEvent::Restored { .. }
        | KeeperEvent::Reinstalled { .. }
        | KeeperEvent::NotRestored { .. }
        | KeeperEvent::Stopped { .. } => {}
    }
}
