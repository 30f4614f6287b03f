//! The documents of the JSON contract: what `--json` prints and the control socket carries.
//!
//! Owns names and units; the schemas are under `docs/json-schema/`. Names of durations end in
//! `_ms`: milliseconds as a number. Reading is lenient, so that `vrrpctl` of one release
//! understands the daemon of the next.

use crate::telemetry::{EventDoc, Stamp, Word};
use crate::types::MacAddr;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The version of all documents. Fields may be added under it; none changes or goes.
pub const VERSION: u32 = 1;

/// Counters by name: those of RFC 8347 with underscores, the reasons of discarded messages, and
/// ours.
pub type CountersDoc = BTreeMap<Word, u64>;

/// `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What the node calls itself.
    pub node: String,
    /// When this was so.
    pub time: Stamp,
    /// One entry per router and family, in the order of their names.
    pub virtual_routers: Vec<VirtualRouterDoc>,
}

/// One family of one router, in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VirtualRouterDoc {
    /// The router.
    pub name: Word,
    /// Its interface.
    pub interface: Word,
    /// `ipv4` or `ipv6`.
    pub family: Word,
    /// VRID.
    pub vrid: u8,
    /// `initialize`, `backup` or `active`.
    pub state: Word,
    /// Priorities.
    pub priority: PriorityDoc,
    /// Who is Active; null: not known.
    pub active: Option<ActiveDoc>,
    /// What it advertises, in order.
    pub addresses: Vec<IpNet>,
    /// When it came into this state.
    pub since: Stamp,
    /// Why: a fixed name.
    pub cause: Word,
    /// Why, for people: faults and demotion before the cause. Its wording may change.
    pub why: String,
    /// Named reasons for which it does not take part.
    pub faults: Vec<String>,
    /// Its demotion; null: none.
    pub demoted: Option<DemotedDoc>,
    /// Whether a hand-over is under way.
    pub handing_over: bool,
    /// What stands against its neighbours, and that nobody serves.
    #[serde(default)]
    pub warnings: Vec<WarningDoc>,
    /// Counters since it was configured.
    pub counters: CountersDoc,
}

/// Something that deserves a look now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningDoc {
    /// What: `nobody_serves`; `foreign_addresses`, `mtu_too_small`, `source_of_own_connections`, `not_sent`; or as in
    /// `suspicion` of an event.
    pub kind: Word,
    /// `warning` or `error`.
    pub severity: Word,
    /// Which router it is about; null: none, or its address is not known.
    pub peer: Option<IpAddr>,
    /// The hardware address that it is about; null: none.
    pub mac: Option<MacAddr>,
    /// Since when.
    pub since: Stamp,
    /// One sentence for people; its wording may change.
    pub message: String,
}

/// Priorities; 255 is the owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorityDoc {
    /// Of the configuration.
    pub configured: u8,
    /// After tracking.
    pub effective: u8,
}

/// The Active router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveDoc {
    /// Its source address.
    pub address: IpAddr,
    /// Whether it is this node.
    pub local: bool,
}

/// A demotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemotedDoc {
    /// RFC 3339.
    pub since: String,
    /// When it ends by itself; null: at `promote`.
    pub until: Option<String>,
    /// The operator's words, may be empty.
    pub reason: String,
    /// The operator.
    pub by: String,
    /// Whether it stays Backup at priority 1.
    pub last_resort: bool,
}

/// `show`: everything about one router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShowDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What the node calls itself.
    pub node: String,
    /// When this was so.
    pub time: Stamp,
    /// The router.
    pub name: Word,
    /// Its interface.
    pub interface: Word,
    /// VRID of all families.
    pub vrid: u8,
    /// Priorities.
    pub priority: PriorityDoc,
    /// What was configured.
    pub configuration: ConfigurationDoc,
    /// Named reasons for which it does not take part.
    pub faults: Vec<String>,
    /// Its demotion; null: none.
    pub demoted: Option<DemotedDoc>,
    /// Whether a hand-over is under way.
    pub handing_over: bool,
    /// What is watched on its behalf.
    pub tracks: Vec<TrackDoc>,
    /// The operator's commands at its turning points; a daemon before them says nothing.
    #[serde(default)]
    pub hooks: Vec<HookDoc>,
    /// One a family.
    pub instances: Vec<InstanceDoc>,
    /// Messages on its interface that named no virtual router of this node, one entry a family.
    pub unattributed: Vec<UnattributedDoc>,
    /// Its last events, oldest first.
    pub events: Vec<EventDoc>,
}

/// The settings of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationDoc {
    /// `owner` or `contender`.
    pub role: Word,
    /// Preempt_Mode.
    pub preempt: bool,
    /// From start or recovery to a preemption.
    pub preempt_delay_ms: f64,
    /// Advertisement_Interval.
    pub advertise_interval_ms: f64,
    /// Missed advertisements before it takes over.
    pub down_adverts: u8,
    /// `auto`, `rfc9568` or `rfc5798`.
    pub checksum: Word,
    /// `require` or `none`: whether the first IPv6 address must be link-local.
    pub link_local: Word,
    /// Source address of advertisements; null: the interface's.
    pub source_address: Option<IpAddr>,
    /// Gratuitous ARP and unsolicited NA.
    pub announce: AnnounceDoc,
}

/// When the LAN is told where the addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AnnounceDoc {
    /// Rounds of a burst.
    pub repeat: u8,
    /// From the first burst to the second; 0: no second.
    pub delay_ms: f64,
    /// Period of single rounds while Active; 0: never.
    pub refresh_ms: f64,
}

/// One thing that is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackDoc {
    /// `check` or `interface`.
    pub kind: Word,
    /// Its name.
    pub name: Word,
    /// Added to the priority; null: failing is a fault.
    pub weight: Option<i16>,
    /// `passing`, `failing` or `pending`.
    pub health: Word,
    /// Of a check: how it is doing. Null: it is none, or the daemon is older than this.
    #[serde(default)]
    pub check: Option<CheckStatusDoc>,
}

/// How a check is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckStatusDoc {
    /// Since when its verdict stands; null: it has none yet.
    pub since: Option<Stamp>,
    /// From one run to the next.
    pub interval_ms: f64,
    /// Runs in a row that must pass before it passes.
    pub rise: u8,
    /// Runs in a row that must fail before it fails.
    pub fall: u8,
    /// Runs since it was configured.
    pub runs: u64,
    /// The latest runs that ended alike: `passing` or `failing`; null: none yet.
    pub latest: Option<Word>,
    /// How many of them in a row.
    pub in_a_row: u32,
    /// The latest run; null: none yet.
    pub last: Option<CheckRunDoc>,
}

/// One run of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRunDoc {
    /// When it started.
    pub time: Stamp,
    /// How long it took.
    pub took_ms: f64,
    /// Its exit code; null: it passed, or it did not end by itself.
    pub exit_code: Option<i32>,
    /// How it failed; null: it passed.
    pub failure: Option<String>,
    /// The first line that it wrote to standard error, else to standard output; null: it passed, or wrote none.
    pub output: Option<String>,
}

/// One hook: a command, and what became of it since the daemon started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookDoc {
    /// `before_active`, `on_transition` or `after_release`.
    pub hook: Word,
    /// Program and arguments.
    pub command: Vec<String>,
    /// After this it is killed.
    pub timeout_ms: f64,
    /// Whether it runs now.
    pub running: bool,
    /// Runs that ended, however they did.
    pub runs: u64,
    /// Of these, those that failed or timed out.
    pub failures: u64,
    /// Runs left out or given up, because the state changed again.
    pub skipped: u64,
    /// The last run; null: none yet.
    pub last: Option<HookRunDoc>,
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRunDoc {
    /// When it ended.
    pub time: Stamp,
    /// The state that it was told: `initialize`, `backup` or `active`.
    pub state: Word,
    /// `passed`, `failed`, `timed_out` or `cancelled`.
    pub outcome: Word,
    /// What went wrong; null: nothing.
    pub error: Option<String>,
    /// How long it ran.
    pub took_ms: f64,
}

/// One protocol instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceDoc {
    /// `ipv4` or `ipv6`.
    pub family: Word,
    /// `initialize`, `backup` or `active`.
    pub state: Word,
    /// When it came into this state.
    pub since: Stamp,
    /// Why: a fixed name.
    pub cause: Word,
    /// Why, for people. Its wording may change.
    pub why: String,
    /// Who is Active; null: not known.
    pub active: Option<ActiveDoc>,
    /// Our source address; null: none.
    pub source: Option<IpAddr>,
    /// What it advertises, in order.
    pub addresses: Vec<IpNet>,
    /// What it holds besides.
    pub excluded_addresses: Vec<IpNet>,
    /// Checksum that it sends: `rfc9568` or `rfc5798`.
    pub checksum: Word,
    /// Timers.
    pub timers: TimersDoc,
    /// Other routers heard, the last first.
    pub peers: Vec<PeerDoc>,
    /// What stands against its neighbours, and that nobody serves.
    #[serde(default)]
    pub warnings: Vec<WarningDoc>,
    /// Counters since it was configured.
    pub counters: CountersDoc,
}

/// The timers of RFC 9568 §6.1 and §6.2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimersDoc {
    /// Active_Adver_Interval.
    pub active_adver_interval_ms: f64,
    /// Skew_Time.
    pub skew_time_ms: f64,
    /// Active_Down_Interval.
    pub active_down_interval_ms: f64,
    /// From `time` to when this instance acts next by itself; null: it waits for others.
    pub next_in_ms: Option<f64>,
}

/// Another router, as last heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerDoc {
    /// Its source address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Its interval.
    pub advertise_interval_ms: f64,
    /// Its checksum: `rfc9568` or `rfc5798`.
    pub checksum: Word,
    /// When it was last heard.
    pub heard: Stamp,
    /// The same as an age.
    pub age_ms: f64,
}

/// Messages that named no virtual router of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnattributedDoc {
    /// `ipv4` or `ipv6`.
    pub family: Word,
    /// How many by reason; reasons that never occurred are absent.
    pub rejected: CountersDoc,
}

/// `demote`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemoteDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What the node calls itself.
    pub node: String,
    /// What was asked for: recorded where the outcome is not `refused`.
    pub demotion: DemotedDoc,
    /// Whether all of it is on the disk and survives a restart.
    pub persisted: bool,
    /// What to worry about, for people; null: nothing.
    pub warning: Option<String>,
    /// One per router and family.
    pub results: Vec<DemoteResultDoc>,
}

/// What a demotion did to one family of a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemoteResultDoc {
    /// The router.
    pub name: Word,
    /// `ipv4` or `ipv6`.
    pub family: Word,
    /// `handed_over`, `was_backup`, `already_demoted`, `refused`, `last_resort` or `forced`.
    pub outcome: Word,
    /// Who serves now; null unless `handed_over`.
    pub taken_over_by: Option<IpAddr>,
    /// From the command to the taker's first advertisement; null unless `handed_over`.
    pub handover_ms: Option<f64>,
    /// How long it waited in vain; null unless `refused`, `last_resort` or `forced`.
    pub waited_ms: Option<f64>,
    /// Its demotion before this one; null: none.
    pub replaced: Option<DemotedDoc>,
    /// The other router that was heard last before the command; null: none was.
    #[serde(default)]
    pub last_heard: Option<LastHeardDoc>,
    /// What it advertises.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
}

/// Another router, and when it was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHeardDoc {
    /// Its source address.
    pub address: IpAddr,
    /// Its priority; of one that resigned, that before.
    pub priority: u8,
    /// When.
    pub time: Stamp,
}

/// `promote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoteDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What the node calls itself.
    pub node: String,
    /// Whether all of it is on the disk and survives a restart.
    pub persisted: bool,
    /// What to worry about, for people; null: nothing.
    pub warning: Option<String>,
    /// One per router.
    pub results: Vec<PromoteResultDoc>,
}

/// What a promotion did to a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoteResultDoc {
    /// The router.
    pub name: Word,
    /// `promoted` or `was_not_demoted`.
    pub outcome: Word,
    /// What it does now and why, for people; its wording may change.
    #[serde(default)]
    pub outlook: String,
}

/// `events`; with `--follow` one such document a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventsDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What the node calls itself.
    pub node: String,
    /// How many events the follower missed before these, because it was too slow.
    pub lost: u64,
    /// Oldest first.
    pub events: Vec<EventDoc>,
}

/// `reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What the node calls itself.
    pub node: String,
    /// The file that was read.
    pub file: String,
    /// Whether it was only to be told what would change.
    pub dry_run: bool,
    /// Whether it is a configuration; if not, nothing was changed.
    pub valid: bool,
    /// Whether the plan is carried out.
    pub applied: bool,
    /// Why it is not carried out although it is a configuration: it would harm this machine. Each with its remedy.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Everything that is wrong with it, in the order of the file.
    pub errors: Vec<FindingDoc>,
    /// What is legal, but probably not meant.
    pub warnings: Vec<FindingDoc>,
    /// Errors and warnings as `check` shows them, for people. Its wording may change.
    pub report: String,
    /// All of the old and the new configuration, in the order of their names.
    pub virtual_routers: Vec<PlannedRouterDoc>,
    /// Likewise.
    pub checks: Vec<PlannedCheckDoc>,
    /// What changes in `[agent]`.
    pub agent: Vec<AgentChangeDoc>,
}

/// What a reload does to a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRouterDoc {
    /// The router.
    pub name: Word,
    /// Where it is to run; of one that is removed, where it runs.
    pub interface: Word,
    /// VRID, likewise.
    pub vrid: u8,
    /// `add`, `remove`, `retune` (it keeps its state), `rebuild` (it hands over and starts anew) or `unchanged`.
    pub action: Word,
    /// Of `retune` and `rebuild`: what differs.
    pub changes: Vec<ChangeDoc>,
}

/// What a reload does to a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCheckDoc {
    /// The check.
    pub name: Word,
    /// `add`, `remove`, `restart` or `unchanged`.
    pub action: Word,
    /// Of `restart`: what differs.
    pub changes: Vec<ChangeDoc>,
}

/// A key of `[agent]` that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentChangeDoc {
    /// What differs.
    #[serde(flatten)]
    pub change: ChangeDoc,
    /// `now`, or `restart`: it changes nothing until the daemon is started again.
    pub takes_effect: Word,
}

/// A key that has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeDoc {
    /// As in the configuration; `announce.delay` is in the table `announce`.
    pub key: Word,
    /// Before; null: it is a list.
    pub from: Option<String>,
    /// After; null: it is a list.
    pub to: Option<String>,
    /// What came; null: it is no list.
    pub added: Option<Vec<String>>,
    /// What went; null: it is no list. Nothing came and nothing went: another order.
    pub removed: Option<Vec<String>>,
}

/// `check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDoc {
    /// [`VERSION`].
    pub version: u32,
    /// The file that was read.
    pub file: String,
    /// Whether a daemon would start with it.
    pub valid: bool,
    /// Everything that is wrong with it, in the order of the file.
    pub errors: Vec<FindingDoc>,
    /// What is legal, but probably not meant.
    pub warnings: Vec<FindingDoc>,
}

/// One thing found in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingDoc {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Any command that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDoc {
    /// [`VERSION`].
    pub version: u32,
    /// What went wrong.
    pub error: ErrorDetailDoc,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetailDoc {
    /// A fixed name: `unreachable`, `timed_out`, `unknown_router`, …
    pub kind: Word,
    /// For people.
    pub message: String,
}
