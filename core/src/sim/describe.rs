//! Inputs and effects, written as lines of a trace.

use crate::protocol::{DrainId, Effect, Input};

pub(super) fn input(input: &Input<'_>) -> String {
    match input {
        Input::Deadline => "deadline".to_owned(),
        Input::Configure(_) => "configured".to_owned(),
        Input::Received { carrier, advertisement, .. } => {
            let (priority, interval) = (advertisement.priority, advertisement.interval);
            format!("hears {priority} every {interval} from {}", carrier.source)
        }
        Input::Rejected { reject, .. } => format!("rejects a packet: {}", reject.reason.as_str()),
        Input::Link(_, facts) => format!("link up: {}", facts.as_ref().is_some_and(|f| f.up && f.carrier)),
        Input::AnnouncementHeard { address, .. } => format!("hears {address} announced"),
        Input::AddressesHeld(held) => {
            format!("kernel: {} epoch {}: {:?}", held.key, held.epoch, held.outcome)
        }
        Input::AddressesDraining(result) => {
            format!("kernel: {} epoch {} drains: {:?}", result.key, result.epoch, result.outcome)
        }
        Input::BetterBackups(ahead) => format!("better Backups: {ahead:?}"),
        Input::DrainPartners(partners) => format!("connections can be left to {partners:?}"),
        Input::DrainOfEarlierRun { key, until } => format!("{key} drained before, until {until:?}"),
        Input::ConnectionsEnded { drain: DrainId { key, .. }, reset } => {
            format!("{key} has no connection left, {reset} reset")
        }
        Input::ForwardingLost(DrainId { key, .. }) => format!("nobody forwards for {key}"),
        Input::AddressesReinstalled { .. } => "addresses are back with their link".to_owned(),
        Input::OtherName(name, real) => format!("{name} is another name of {real}"),
        Input::AddressesRestored { count, .. } => format!("{count} addresses restored"),
        Input::AddressesNotRestored { why, .. } => format!("addresses gone: {why}"),
        Input::Sockets(_, family, outcome) => format!("sockets of {family}: {outcome:?}"),
        Input::AdvertisementUnsent { key, destination, errno, .. } => {
            format!("could not send for {key} to {destination}: {errno:?}")
        }
        Input::AdvertisementSentAgain(key, to) => format!("sends again for {key} to {to}"),
        Input::CheckResult(name, result) => format!("check {}: {result:?}", name.0),
        Input::CheckRemoved(name) => format!("check {} is gone", name.0),
        Input::SavedDemotion(router, _) => format!("{router} was demoted before"),
        Input::Command(id, command) => format!("command {}: {command:?}", id.0),
        Input::FinishCrashedRun(_) => "finishes a crashed run".to_owned(),
        Input::Shutdown => "shutdown".to_owned(),
    }
}

pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::HoldAddresses { key, epoch, relieved: None } => format!("hold {key} epoch {epoch}"),
        Effect::HoldAddresses { key, epoch, relieved: Some(relieved) } => {
            format!("hold {key} epoch {epoch}, relieving {relieved}")
        }
        Effect::DrainAddresses { key, epoch, until } => format!("drain {key} epoch {epoch} until {until:?}"),
        Effect::ResetConnections(DrainId { key, .. }) => format!("reset the connections of {key}"),
        Effect::ReleaseAddresses { key, epoch } => format!("release {key} epoch {epoch}"),
        Effect::Advertise { source, destination, priority, interval, .. } => {
            let to = if destination.is_multicast() { String::new() } else { format!(" to {destination}") };
            format!("sends {priority} every {interval} as {source}{to}")
        }
        Effect::Announce { key, rounds } => format!("announces {key}, {rounds} rounds"),
        Effect::WatchAnnouncements { key } => format!("listens what others announce of {key}"),
        Effect::IgnoreAnnouncements { key } => format!("listens no more for {key}"),
        Effect::Report(event) => format!("reports {:?}", event.kind),
        Effect::Answer { id, answer } => format!("answers {}: {answer:?}", id.0),
        Effect::SaveDemotion { demotion, .. } => format!("remembers demotion: {}", demotion.is_some()),
        Effect::Stopped => "stopped".to_owned(),
    }
}
