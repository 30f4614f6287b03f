//! The documents of the JSON contract: what `--json` prints and the control socket carries.
//!
//! Owns names and units. The schemas under `docs/json-schema/` are generated from these types
//! (`control/schema.rs`), and the comments here are their descriptions, written for operators.
//! Names of durations end in `_ms`: milliseconds as a number. Reading is lenient, so that `vrrpctl`
//! of one release understands the daemon of the next.

use crate::types::{Authentication, MacAddr, Version};
use crate::words::{EventDoc, Stamp, Word};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The version of all documents. Fields may be added under it; none changes or goes.
pub const VERSION: u32 = 1;

/// Counters by name: those of RFC 8347 with underscores, the reasons of discarded messages, and
/// those of vrrpd.
pub type CountersDoc = BTreeMap<Word, u64>;

/// The answer to `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct StatusDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// The time at which this state was read.
    pub time: Stamp,
    /// One entry for each router and family, in the order of the names, IPv4 before IPv6.
    pub virtual_routers: Vec<VirtualRouterDoc>,
    /// The other nodes, in the order of their names; null: the nodes do not talk to one another
    /// (`peer_key_file`).
    #[serde(default)]
    pub nodes: Option<Vec<NodeDoc>>,
    /// The warnings about this node that are about no router of it.
    #[serde(default)]
    pub warnings: Vec<WarningDoc>,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct NodeDoc {
    /// The name of the node.
    pub name: String,
    /// The addresses that it sends from.
    pub addresses: Vec<IpAddr>,
    /// Whether it is there: `present`, `silent` (it is not heard any more) or `left` (it said that
    /// vrrpd stops).
    pub presence: Word,
    /// The time at which it was last heard.
    pub heard: Stamp,
    /// The version of vrrpd that it runs.
    pub software: String,
}

/// What a daemon speaks that does not say it, because it is older.
const fn usual_version() -> u8 {
    Version::V3.number()
}

/// What a daemon uses that does not say it, because it is older.
fn usual_authentication() -> Word {
    Authentication::None.as_str().into()
}

/// Another node that has a router, and whether it would take over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct StandbyDoc {
    /// The name of the node.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
    /// Whether it is Active.
    pub active: bool,
    /// The priority of its router after tracking.
    pub priority: u8,
    /// Why it would not take over, for people; null: it would, or it is Active.
    pub obstacle: Option<String>,
    /// The time at which it was last heard.
    pub heard: Stamp,
    /// The time since then.
    pub age_ms: f64,
}

/// Connections that this node still serves although another node has the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct DrainingDoc {
    /// The time at which the other node took over; after a restart of vrrpd, the time of the
    /// restart.
    pub since: Stamp,
    /// The time at which connections that are left then are reset.
    pub until: Stamp,
    /// How many connections are left; null: they were not counted yet.
    pub left: Option<u32>,
    /// The time since which the oldest of them has been known; null: none is left.
    pub oldest: Option<Stamp>,
    /// The address of the node that serves now; null: it is not known yet.
    pub to: Option<IpAddr>,
    /// The name of that node; null: it is not known.
    pub to_node: Option<String>,
    /// How their packets get here: `link`.
    pub via: Word,
}

/// Packets that this node passes on to one that drains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ForwardingDoc {
    /// The name of the node that drains.
    #[serde(rename = "for")]
    pub leaver: String,
    /// Its address.
    pub address: IpAddr,
    /// How many connections it has left, as it says.
    pub connections: u32,
    /// How many of its connections this node knows, with those that are about to end.
    pub listed: u32,
    /// How many packets were passed on since this node took over.
    pub packets: u64,
    /// The time at which connections that are left then are reset.
    pub until: Stamp,
}

/// One family of one router, in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct VirtualRouterDoc {
    /// The name of the router.
    pub name: Word,
    /// The interface that the router runs on.
    pub interface: Word,
    /// The address family: `ipv4` or `ipv6`.
    pub family: Word,
    /// The Virtual Router ID.
    pub vrid: u8,
    /// The version of VRRP that it speaks: 2 or 3.
    #[serde(default = "usual_version")]
    pub vrrp_version: u8,
    /// The state of RFC 9568: `initialize`, `backup` or `active`.
    pub state: Word,
    /// The priorities of the router.
    pub priority: PriorityDoc,
    /// The router that is Active now; null: this node does not know of one.
    pub active: Option<ActiveDoc>,
    /// The addresses that the router advertises, with prefix length, in the order of the
    /// advertisement.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Vec<String>"))]
    pub addresses: Vec<IpNet>,
    /// The time at which the router came into this state.
    pub since: Stamp,
    /// The cause of this state, as a fixed name.
    pub cause: Word,
    /// The reason for this state, for people: faults and a demotion come before the cause. The
    /// wording may change.
    pub why: String,
    /// The faults for which the router does not take part, as names.
    pub faults: Vec<String>,
    /// The demotion by an operator; null: the router is not demoted.
    pub demoted: Option<DemotedDoc>,
    /// Whether a hand-over to another router is under way.
    pub handing_over: bool,
    /// How long a planned hand-over would take: the Skew_Time of the node that would take over, and of
    /// the lowest priority if that node is not known. In VRRPv3 a few milliseconds, in VRRPv2 up to a
    /// second. This node serves meanwhile.
    #[serde(default)]
    pub handover_up_to_ms: f64,
    /// Whether a node would take over if the Active failed now; null: that is not known, because the
    /// nodes do not talk to one another, or have not had the time to.
    #[serde(default)]
    pub redundant: Option<bool>,
    /// The other nodes that have the router, those that would take over first.
    #[serde(default)]
    pub standbys: Vec<StandbyDoc>,
    /// The nodes to which open connections could be left: they would pass on the packets, and the way
    /// from them was tried.
    #[serde(default)]
    pub drain_partners: Vec<String>,
    /// Connections that are served on although another node has the addresses; null: there is no
    /// such thing.
    #[serde(default)]
    pub draining: Option<DrainingDoc>,
    /// The nodes that drain, and whose packets this node passes on to them.
    #[serde(default)]
    pub forwarding: Vec<ForwardingDoc>,
    /// The warnings about other routers and about this node, and whether no router serves. The
    /// worst comes first.
    #[serde(default)]
    pub warnings: Vec<WarningDoc>,
    /// The counters since the router was configured.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "super::schema::CountersSchema"))]
    pub counters: CountersDoc,
}

/// Something that an operator should look at now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct WarningDoc {
    /// The kind of the warning: `nobody_serves`; `not_redundant` or `setting_differs`, from what the
    /// nodes tell one another; `channel` if they cannot; `draining` if open connections cannot be kept
    /// or passed on; `metrics` if the endpoint for monitoring cannot listen; of this node
    /// `foreign_addresses`, `mtu_too_small`,
    /// `source_of_own_connections` or `not_sent`; of another router one of the names of `suspicion`
    /// of an event.
    pub kind: Word,
    /// How urgent the warning is: `warning` or `error`.
    pub severity: Word,
    /// The router that the warning is about; null: it is about no other router, or its address is
    /// not known.
    pub peer: Option<IpAddr>,
    /// The name of the node that `peer` is; null: it is not known.
    #[serde(default)]
    pub peer_node: Option<String>,
    /// The hardware address that the warning is about; null: it is about none.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<String>"))]
    pub mac: Option<MacAddr>,
    /// The time since which this has been so.
    pub since: Stamp,
    /// One sentence for people. The wording may change.
    pub message: String,
}

/// The priorities of a router. 255 is the priority of the owner of the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PriorityDoc {
    /// The priority of the configuration.
    pub configured: u8,
    /// The priority that is advertised: the configured one changed by what is tracked.
    pub effective: u8,
}

/// The router that is Active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ActiveDoc {
    /// The source address of its advertisements.
    pub address: IpAddr,
    /// Whether the router is this node.
    pub local: bool,
    /// The name of the node; null: it is not known.
    #[serde(default)]
    pub node: Option<String>,
}

/// A demotion: an operator has taken the router out of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct DemotedDoc {
    /// The time of the command.
    pub since: String,
    /// The time at which the demotion ends by itself; null: it ends with `promote` only.
    pub until: Option<String>,
    /// The reason that the operator gave; it may be empty.
    pub reason: String,
    /// The name of the operator.
    pub by: String,
    /// Whether the router stays Backup at priority 1, to serve if nobody else does.
    pub last_resort: bool,
}

/// The answer to `show`: everything about one router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ShowDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// The time at which this state was read.
    pub time: Stamp,
    /// The name of the router.
    pub name: Word,
    /// The interface that the router runs on.
    pub interface: Word,
    /// The Virtual Router ID, which all families of the router share.
    pub vrid: u8,
    /// The priorities of the router.
    pub priority: PriorityDoc,
    /// The settings of the router.
    pub configuration: ConfigurationDoc,
    /// The faults for which the router does not take part, as names.
    pub faults: Vec<String>,
    /// The demotion by an operator; null: the router is not demoted.
    pub demoted: Option<DemotedDoc>,
    /// Whether a hand-over to another router is under way.
    pub handing_over: bool,
    /// Whether a node would take over if the Active failed now; null: that is not known, because the
    /// nodes do not talk to one another, or have not had the time to.
    #[serde(default)]
    pub redundant: Option<bool>,
    /// The other nodes that have the router, those that would take over first.
    #[serde(default)]
    pub standbys: Vec<StandbyDoc>,
    /// The checks and interfaces that the router tracks.
    pub tracks: Vec<TrackDoc>,
    /// The commands that are run when the router takes over, changes its state or releases its
    /// addresses, in the order in which they are run. An older daemon leaves this out.
    #[serde(default)]
    pub hooks: Vec<HookDoc>,
    /// One entry for each family.
    pub instances: Vec<InstanceDoc>,
    /// Messages on the interface that named no virtual router of this node, one entry for each
    /// family.
    pub unattributed: Vec<UnattributedDoc>,
    /// The last ten events of the router, oldest first.
    pub events: Vec<EventDoc>,
}

/// The settings of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ConfigurationDoc {
    /// Whether the router owns its addresses: `owner` or `contender`.
    pub role: Word,
    /// Whether the router takes over from an Active of lower priority (Preempt_Mode).
    pub preempt: bool,
    /// How long the router waits after its start or its recovery before it takes over from an
    /// Active of lower priority.
    pub preempt_delay_ms: f64,
    /// The time between two advertisements (Advertisement_Interval).
    pub advertise_interval_ms: f64,
    /// How many advertisements are missed before the router takes over.
    pub down_adverts: u8,
    /// The checksum that the router sends in IPv4: `auto`, `rfc9568` or `rfc5798`.
    pub checksum: Word,
    /// Whether the first IPv6 address must be link-local: `require` or `none`.
    pub link_local: Word,
    /// The source address of its advertisements; null: an address of the interface.
    pub source_address: Option<IpAddr>,
    /// How often the addresses are announced by gratuitous ARP and unsolicited Neighbor
    /// Advertisements.
    pub announce: AnnounceDoc,
}

/// How often hosts are told where the addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct AnnounceDoc {
    /// How many rounds of announcements a burst has.
    pub repeat: u8,
    /// The time from the first burst to the second; 0: there is no second burst.
    pub delay_ms: f64,
    /// The time between two single rounds while the router is Active; 0: there are none.
    pub refresh_ms: f64,
}

/// A check or an interface that the router tracks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct TrackDoc {
    /// The kind of the track: `check` or `interface`.
    pub kind: Word,
    /// The name of the check or of the interface.
    pub name: Word,
    /// The number that is added to the priority; null: the router has a fault while this fails.
    pub weight: Option<i16>,
    /// The present result: `passing`, `failing` or `pending`.
    pub health: Word,
    /// The runs of the check; null: this is not a check, or the daemon is too old to tell.
    #[serde(default)]
    pub check: Option<CheckStatusDoc>,
}

/// The runs of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct CheckStatusDoc {
    /// The time since which the check has had its result; null: it has no result yet.
    pub since: Option<Stamp>,
    /// The time from one run to the next.
    pub interval_ms: f64,
    /// How many runs in a row must pass before the result is `passing`.
    pub rise: u8,
    /// How many runs in a row must fail before the result is `failing`.
    pub fall: u8,
    /// How many runs have ended since the check was configured.
    pub runs: u64,
    /// The result of the latest runs: `passing` or `failing`; null: no run has ended yet.
    pub latest: Option<Word>,
    /// How many of the latest runs had this result.
    pub in_a_row: u32,
    /// The latest run; null: no run has ended yet.
    pub last: Option<CheckRunDoc>,
}

/// One run of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct CheckRunDoc {
    /// The time at which the run started.
    pub time: Stamp,
    /// How long the command ran.
    pub took_ms: f64,
    /// The exit code of the command; null: the run passed, or the command did not end by itself.
    pub exit_code: Option<i32>,
    /// The kind of the failure, in words; null: the run passed.
    pub failure: Option<String>,
    /// The first line that the command wrote to standard error, or else to standard output; null:
    /// the run passed, or wrote nothing.
    pub output: Option<String>,
}

/// One hook: an operator's command, and its runs since the daemon started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct HookDoc {
    /// The moment at which the command is run: `before_active`, `on_transition`,
    /// `on_drain` or `after_release`.
    pub hook: Word,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The time after which the command is killed.
    pub timeout_ms: f64,
    /// Whether the command is running now.
    pub running: bool,
    /// How many runs have ended, in whatever way.
    pub runs: u64,
    /// How many of these runs failed or timed out.
    pub failures: u64,
    /// How many runs were left out or cancelled because the state changed again.
    pub skipped: u64,
    /// The latest run; null: no run has ended yet.
    pub last: Option<HookRunDoc>,
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct HookRunDoc {
    /// The time at which the run ended.
    pub time: Stamp,
    /// The state that the command was told: `initialize`, `backup` or `active`.
    pub state: Word,
    /// How the run ended: `passed`, `failed`, `timed_out` or `cancelled`.
    pub outcome: Word,
    /// The failure, in words; null: the run did not fail.
    pub error: Option<String>,
    /// How long the command ran.
    pub took_ms: f64,
}

/// One family of the router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct InstanceDoc {
    /// The address family: `ipv4` or `ipv6`.
    pub family: Word,
    /// The version of VRRP that it speaks: 2 or 3.
    #[serde(default = "usual_version")]
    pub vrrp_version: u8,
    /// The authentication of its messages: `none` or `password` (VRRPv2 only).
    #[serde(default = "usual_authentication")]
    pub authentication: Word,
    /// The state of RFC 9568: `initialize`, `backup` or `active`.
    pub state: Word,
    /// The time at which the router came into this state.
    pub since: Stamp,
    /// The cause of this state, as a fixed name.
    pub cause: Word,
    /// The reason for this state, for people. The wording may change.
    pub why: String,
    /// The router that is Active now; null: this node does not know of one.
    pub active: Option<ActiveDoc>,
    /// The source address of the advertisements of this node; null: the node has none.
    pub source: Option<IpAddr>,
    /// The addresses that the router advertises, with prefix length, in the order of the
    /// advertisement.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Vec<String>"))]
    pub addresses: Vec<IpNet>,
    /// The addresses that the router holds while it is Active, but does not advertise.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Vec<String>"))]
    pub excluded_addresses: Vec<IpNet>,
    /// The checksum that this node sends: `rfc9568` or `rfc5798`.
    pub checksum: Word,
    /// The intervals of the protocol and the next deadline.
    pub timers: TimersDoc,
    /// The other routers that were heard, the latest first.
    pub peers: Vec<PeerDoc>,
    /// The nodes in `unicast_peers` that were never heard. A node is heard only while it is Active.
    #[serde(default)]
    pub unheard_peers: Vec<IpAddr>,
    /// The warnings about other routers and about this node, and whether no router serves. The
    /// worst comes first.
    #[serde(default)]
    pub warnings: Vec<WarningDoc>,
    /// The counters since the router was configured.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "super::schema::CountersSchema"))]
    pub counters: CountersDoc,
}

/// The intervals of RFC 9568 §6.1 and §6.2 and the next deadline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct TimersDoc {
    /// Active_Adver_Interval: the interval that the Active advertises.
    pub active_adver_interval_ms: f64,
    /// Skew_Time: by how much a lower priority waits longer.
    pub skew_time_ms: f64,
    /// Active_Down_Interval: how long the Active must be silent before this node takes over.
    pub active_down_interval_ms: f64,
    /// The time from `time` of this document until this instance acts by itself; null: it waits for
    /// others.
    pub next_in_ms: Option<f64>,
}

/// Another router, as it was last heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PeerDoc {
    /// The source address of its advertisements.
    pub address: IpAddr,
    /// The name of the node; null: it is not known.
    #[serde(default)]
    pub node: Option<String>,
    /// The priority that the other router advertised.
    pub priority: u8,
    /// The interval that the other router advertised.
    pub advertise_interval_ms: f64,
    /// The checksum that the other router sent: `rfc9568` or `rfc5798`.
    pub checksum: Word,
    /// The time at which the other router was last heard.
    pub heard: Stamp,
    /// The time since then.
    pub age_ms: f64,
}

/// Messages that named no virtual router of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct UnattributedDoc {
    /// The address family: `ipv4` or `ipv6`.
    pub family: Word,
    /// How many messages were discarded, by reason. A reason that has not occurred is absent.
    pub rejected: CountersDoc,
}

/// The answer to `demote`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct DemoteDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// The demotion that was asked for. It is recorded for each router whose outcome is not
    /// `refused`.
    pub demotion: DemotedDoc,
    /// Whether all of it is on the disk, and so survives a restart.
    pub persisted: bool,
    /// A problem that the operator should know of, for people; null: there is none. `vrrpctl`
    /// prints it on standard error as well.
    pub warning: Option<String>,
    /// One entry for each router and family.
    pub results: Vec<DemoteResultDoc>,
}

/// The result of a demotion for one family of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct DemoteResultDoc {
    /// The name of the router.
    pub name: Word,
    /// The address family: `ipv4` or `ipv6`.
    pub family: Word,
    /// The outcome. `handed_over`: another router serves. `was_backup`: this node did not serve.
    /// `already_demoted`: nothing changed. `refused`: nobody took over and this node is still
    /// Active, or `refusal` says why nothing was tried (exit code 4). `last_resort`: nobody took over and this node still serves, at
    /// priority 1. `forced`: nobody took over and the addresses were released.
    pub outcome: Word,
    /// Why it was refused before anything moved; null: it was tried, or was not refused.
    #[serde(default)]
    pub refusal: Option<String>,
    /// The router that serves now; null unless `handed_over`.
    pub taken_over_by: Option<IpAddr>,
    /// The name of the node that serves now; null: it is not known.
    #[serde(default)]
    pub taken_over_by_node: Option<String>,
    /// The time from the command to the first advertisement of the router that took over; null
    /// unless `handed_over`.
    pub handover_ms: Option<f64>,
    /// How long this node waited for another router without success; null unless `refused`,
    /// `last_resort` or `forced`.
    pub waited_ms: Option<f64>,
    /// How long open connections are kept here at most; null: they are not kept, or the outcome is not
    /// `handed_over`.
    #[serde(default)]
    pub kept_ms: Option<f64>,
    /// The demotion that this one replaced; null: there was none.
    pub replaced: Option<DemotedDoc>,
    /// The other router that was heard last before the command; null: none was heard.
    #[serde(default)]
    pub last_heard: Option<LastHeardDoc>,
    /// The addresses that it advertises, with prefix length.
    #[serde(default)]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Vec<String>"))]
    pub addresses: Vec<IpNet>,
}

/// Another router, and when it was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct LastHeardDoc {
    /// The source address of its advertisements.
    pub address: IpAddr,
    /// The name of the node; null: it is not known.
    #[serde(default)]
    pub node: Option<String>,
    /// The priority that the other router advertised; if it resigned, its priority before that.
    pub priority: u8,
    /// The time at which the other router was last heard.
    pub time: Stamp,
}

/// The answer to `promote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PromoteDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// Whether all of it is on the disk, and so survives a restart.
    pub persisted: bool,
    /// A problem that the operator should know of, for people; null: there is none. `vrrpctl`
    /// prints it on standard error as well.
    pub warning: Option<String>,
    /// One entry for each router.
    pub results: Vec<PromoteResultDoc>,
}

/// The result of a promotion for a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PromoteResultDoc {
    /// The name of the router.
    pub name: Word,
    /// The outcome: `promoted` or `was_not_demoted`.
    pub outcome: Word,
    /// The state of the router now, and its reason, for people. The wording may change.
    #[serde(default)]
    pub outlook: String,
}

/// The answer to `take`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct TakeDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// The name of the router.
    pub name: Word,
    /// The outcome. `handed_over`: this node serves now. `refused`: nothing was done (exit code 4).
    /// `no_answer`: the Active was asked and did not answer (exit code 5).
    pub outcome: Word,
    /// The address of the node that handed over; null unless `handed_over`.
    pub taken_from: Option<IpAddr>,
    /// The name of the node that was asked; null: none was.
    pub taken_from_node: Option<String>,
    /// The time that the hand-over took; null unless `handed_over`.
    pub handover_ms: Option<f64>,
    /// Whether the node that handed over is demoted as the last resort now, because it would take
    /// over again otherwise; null unless `handed_over`.
    pub last_resort: Option<bool>,
    /// The reason of `refused` or `no_answer`, for people; null unless one of these.
    pub reason: Option<String>,
}

/// The answer to `events`; with `--follow` there is one such document in each line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct EventsDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// How many events were missed before these, because the reader was too slow.
    pub lost: u64,
    /// The events, oldest first.
    pub events: Vec<EventDoc>,
}

/// The answer to `reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ReloadDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// The file that the daemon read.
    pub file: String,
    /// Whether the daemon was only asked what would change.
    pub dry_run: bool,
    /// Whether the file is a valid configuration. If it is not, nothing was changed and the exit
    /// code is 2.
    pub valid: bool,
    /// Whether the plan is carried out.
    pub applied: bool,
    /// Why a valid file is not carried out: it would harm this machine. Each entry says how to
    /// remedy it. Nothing was changed and the exit code is 4.
    #[serde(default)]
    pub refused: Vec<String>,
    /// The errors in the file, in its order.
    pub errors: Vec<FindingDoc>,
    /// The warnings: what is allowed, but probably not meant.
    pub warnings: Vec<FindingDoc>,
    /// Errors and warnings as `check` shows them, for people. The wording may change.
    pub report: String,
    /// Every router of the old and of the new configuration, in the order of the names.
    pub virtual_routers: Vec<PlannedRouterDoc>,
    /// Every check of the old and of the new configuration, in the order of the names.
    pub checks: Vec<PlannedCheckDoc>,
    /// The changes in the table `[agent]`.
    pub agent: Vec<AgentChangeDoc>,
}

/// The part of a reload that is about one router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PlannedRouterDoc {
    /// The name of the router.
    pub name: Word,
    /// The interface that the router is to run on; of a router that is removed, the interface that
    /// it runs on.
    pub interface: Word,
    /// The Virtual Router ID that the router is to have; of a router that is removed, the one that
    /// it has.
    pub vrid: u8,
    /// The action: `add`, `remove`, `retune` (it keeps its state and timers), `rebuild` (it hands
    /// over and starts again) or `unchanged`.
    pub action: Word,
    /// The differences, for `retune` and `rebuild`.
    pub changes: Vec<ChangeDoc>,
}

/// The part of a reload that is about one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct PlannedCheckDoc {
    /// The name of the check.
    pub name: Word,
    /// The action: `add`, `remove`, `restart` (its last result stands until the first run has
    /// ended) or `unchanged`.
    pub action: Word,
    /// The differences, for `restart`.
    pub changes: Vec<ChangeDoc>,
}

/// A key of the table `[agent]` that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct AgentChangeDoc {
    /// The difference.
    #[serde(flatten)]
    pub change: ChangeDoc,
    /// The moment at which the new value takes effect: `now`, or at the next `restart` of the
    /// daemon.
    pub takes_effect: Word,
}

/// A key that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ChangeDoc {
    /// The key as in the configuration; `announce.delay` is the key `delay` of the table
    /// `announce`.
    pub key: Word,
    /// The value before; null: the value is a list.
    pub from: Option<String>,
    /// The value after; null: the value is a list.
    pub to: Option<String>,
    /// The values that were added to the list; null: the value is not a list.
    pub added: Option<Vec<String>>,
    /// The values that were removed from the list; null: the value is not a list. If nothing was
    /// added and nothing removed, the order differs.
    pub removed: Option<Vec<String>>,
}

/// The answer to `check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct CheckDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The file that was read.
    pub file: String,
    /// Whether a daemon would start with this file.
    pub valid: bool,
    /// The errors in the file, in its order.
    pub errors: Vec<FindingDoc>,
    /// The warnings: what is allowed, but probably not meant.
    pub warnings: Vec<FindingDoc>,
}

/// Something that was found in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct FindingDoc {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// The place in the line in characters, counted from 1.
    pub column: usize,
    /// The problem.
    pub message: String,
    /// The remedy: what to write instead.
    pub help: String,
}

/// The answer to `health`: how well this node is, for monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct HealthDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The name of the node that answers.
    pub node: String,
    /// The level of the worst finding: `ok`, `warning` or `critical`.
    pub level: Word,
    /// One line for people, without the level. The wording may change.
    pub summary: String,
    /// Everything that is wrong, the worst first; empty if the level is `ok`.
    pub findings: Vec<HealthFindingDoc>,
}

/// Something that is wrong with a router, or with the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct HealthFindingDoc {
    /// The name of the router; null: this is about the node.
    pub name: Option<String>,
    /// How urgent it is: `warning` or `critical`.
    pub level: Word,
    /// One sentence for people. The wording may change.
    pub message: String,
}

/// The answer of any command that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ErrorDoc {
    /// The version of this document. Fields may be added under it; none changes or goes.
    pub version: u32,
    /// The error.
    pub error: ErrorDetailDoc,
}

/// The error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct ErrorDetailDoc {
    /// The kind of the error, as a fixed name.
    pub kind: Word,
    /// The error, for people. The wording may change.
    pub message: String,
}
