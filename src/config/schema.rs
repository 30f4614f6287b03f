//! Every key of the configuration contract: which table has it, and whether this version supports
//! it. A key that is not supported is *known*, so that it is refused with an explanation and never
//! ignored silently. A test compares `docs/configuration.md` with this table.

/// A table of the file and its keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema {
    /// The header as the operator writes it.
    pub(super) header: &'static str,
    /// The keys that the table may have.
    pub(super) keys: &'static [Known],
    /// Keys in `keys` that the table must not have after all: `[defaults]` uses the list of
    /// `[[virtual_router]]`.
    pub(super) except: &'static [&'static str],
    /// The keys that the table must have.
    pub(super) required: &'static [&'static str],
}

/// One key that this version knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Whether this version supports the key.
    pub(super) support: Support,
}

/// The values that a key accepts. The readers of `raw` decide; the JSON Schema is written from this
/// type, and `tests/json_schema.rs` compares the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The values `true` and `false`.
    Flag,
    /// Only this boolean, in this version.
    Only(bool),
    /// A whole number from `least` to `most`, except `but`.
    Number { least: i64, most: i64, but: Option<i64> },
    /// A number from 1 to 254, or `"owner"`.
    Priority,
    /// A duration from `least` to `most`, written as text.
    Duration { least: &'static str, most: &'static str },
    /// Advertisement_Interval: 10 ms to 40.95 s in steps of 10 ms, in VRRPv2 1 s to 255 s in whole
    /// seconds; written as text.
    Interval,
    /// The name of a router or a check.
    Name,
    /// The name of a node or a user.
    Word,
    /// The absolute path of a file.
    Path,
    /// An address of this machine and a TCP port.
    Listener,
    /// The name of an interface.
    Interface,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// One of these texts, or an address.
    ChoiceOrAddress(&'static [&'static str]),
    /// The password of VRRPv2: 1 to 8 octets.
    Password,
    /// An address without a prefix.
    Address,
    /// At least this number of addresses with a prefix.
    Addresses { least: u64 },
    /// Addresses of nodes, without a prefix.
    Hosts,
    /// A program with its absolute path, and its arguments.
    Command,
    /// As [`Self::Command`], or an empty list.
    OptionalCommand,
    /// A table.
    Table(&'static Schema),
    /// A list of tables.
    Tables(&'static Schema),
}

/// Whether this version supports a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// The key is supported, with values of this shape.
    Now(Shape),
    /// The key is not supported yet: only the value that means "off" is accepted.
    Later(Off),
}

/// The value with which a key that is not supported asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Off {
    /// There is no such value: if the key is present, it asks for something.
    Never,
    /// The value `false`.
    False,
    /// The value `[]`.
    Empty,
    /// The key has an effect only beside the key of this name. If that key is there, this one need
    /// not be reported as well.
    Beside(&'static str),
}

impl Support {
    /// The values that the key accepts, if it is supported.
    pub(super) const fn shape(self) -> Option<Shape> {
        match self {
            Self::Now(shape) => Some(shape),
            Self::Later(_) => None,
        }
    }

    pub(super) const fn is_now(self) -> bool {
        match self {
            Self::Now(_) => true,
            Self::Later(_) => false,
        }
    }
}

const fn now(name: &'static str, shape: Shape) -> Known {
    Known { name, support: Support::Now(shape) }
}

const fn later(name: &'static str, off: Off) -> Known {
    Known { name, support: Support::Later(off) }
}

const fn number(least: i64, most: i64) -> Shape {
    Shape::Number { least, most, but: None }
}

const fn duration(least: &'static str, most: &'static str) -> Shape {
    Shape::Duration { least, most }
}

/// The keys at the top level.
pub(super) const ROOT: Schema = Schema {
    header: "the top level",
    keys: &[
        now("agent", Shape::Table(&AGENT)),
        now("defaults", Shape::Table(&DEFAULTS)),
        now("check", Shape::Tables(&CHECK)),
        now("virtual_router", Shape::Tables(&ROUTER)),
        later("group", Off::Empty),
    ],
    except: &[],
    required: &["virtual_router"],
};

/// The keys of `[agent]`.
pub(super) const AGENT: Schema = Schema {
    header: "[agent]",
    keys: &[
        now("node_name", Shape::Word),
        now("realtime", Shape::Flag),
        now("peer_key_file", Shape::Path),
        now("peer_port", number(1, 65_535)),
        now("metrics", Shape::Listener),
    ],
    except: &[],
    required: &[],
};

/// The keys of `[[check]]`.
pub(super) const CHECK: Schema = Schema {
    header: "[[check]]",
    keys: &[
        now("name", Shape::Name),
        now("command", Shape::Command),
        now("interval", duration("100ms", "1h")),
        now("timeout", duration("10ms", "1h")),
        now("rise", number(1, 255)),
        now("fall", number(1, 255)),
        now("user", Shape::Word),
        later("tcp", Off::Never),
        later("http", Off::Never),
    ],
    except: &[],
    required: &["name", "command"],
};

/// The keys of `[[virtual_router]]`.
pub(super) const ROUTER: Schema = Schema {
    header: "[[virtual_router]]",
    keys: &[
        now("name", Shape::Name),
        now("interface", Shape::Interface),
        now("vrid", number(1, 255)),
        now("version", number(2, 3)),
        now("priority", Shape::Priority),
        now("addresses", Shape::Addresses { least: 1 }),
        now("excluded_addresses", Shape::Addresses { least: 0 }),
        now("link_local", Shape::ChoiceOrAddress(&["auto", "none"])),
        now("advertise_interval", Shape::Interval),
        now("down_adverts", number(1, 255)),
        now("preempt", Shape::Flag),
        now("preempt_delay", duration("0s", "1h")),
        now("accept", Shape::Only(true)),
        now("drain", duration("0s", "24h")),
        later("virtual_mac", Off::False),
        now("unicast_peers", Shape::Hosts),
        now("min_ttl", number(1, 255)),
        now("accept_from", Shape::Hosts),
        now("source_address", Shape::Address),
        now("checksum", Shape::Choice(&["auto", "rfc9568", "rfc5798"])),
        now("password", Shape::Password),
        now("track", Shape::Tables(&TRACK)),
        later("routes", Off::Empty),
        later("rules", Off::Empty),
        now("on_transition", Shape::OptionalCommand),
        now("before_active", Shape::OptionalCommand),
        now("on_drain", Shape::OptionalCommand),
        now("after_release", Shape::OptionalCommand),
        now("hook_timeout", duration("10ms", "1h")),
        now("before_active_timeout", duration("10ms", "10s")),
        now("hook_user", Shape::Word),
        now("announce", Shape::Table(&ANNOUNCE)),
    ],
    except: &[],
    required: &["name", "vrid", "addresses"],
};

/// The keys of `[defaults]`.
pub(super) const DEFAULTS: Schema =
    Schema { header: "[defaults]", keys: ROUTER.keys, except: &["name", "vrid", "addresses"], required: &[] };

/// The keys of `[virtual_router.announce]`.
pub(super) const ANNOUNCE: Schema = Schema {
    header: "[virtual_router.announce]",
    keys: &[
        now("repeat", number(1, 100)),
        now("delay", duration("0s", "1h")),
        now("refresh", duration("0s", "24h")),
    ],
    except: &[],
    required: &[],
};

/// The keys of `[defaults.announce]`.
pub(super) const DEFAULTS_ANNOUNCE: Schema =
    Schema { header: "[defaults.announce]", keys: ANNOUNCE.keys, except: &[], required: &[] };

/// The keys of one entry of `track`.
pub(super) const TRACK: Schema = Schema {
    header: "track",
    keys: &[
        now("check", Shape::Name),
        now("interface", Shape::Interface),
        now("weight", Shape::Number { least: -253, most: 253, but: Some(0) }),
        later("file", Off::Never),
        later("process", Off::Never),
        later("min", Off::Beside("process")),
    ],
    except: &[],
    required: &[],
};

/// The tables that a misplaced key may belong to.
pub(super) const TABLES: &[&Schema] = &[&AGENT, &CHECK, &ROUTER, &ANNOUNCE, &TRACK, &ROOT];

/// The values that the key of this name accepts, whichever table it belongs to.
pub(super) fn shape(name: &str) -> Option<Shape> {
    TABLES.iter().find_map(|table| table.key(name)).and_then(|known| known.support.shape())
}

impl Schema {
    /// The key of this name, if the table may have it.
    pub(super) fn key(&self, name: &str) -> Option<&'static Known> {
        self.keys().find(|known| known.name == name)
    }

    /// The keys that the table may have.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Known> {
        self.keys.iter().filter(|known| !self.except.contains(&known.name))
    }

    /// The names of the keys that this version supports.
    pub(super) fn supported(&self) -> impl Iterator<Item = &'static str> {
        self.keys().filter(|known| known.support.is_now()).map(|known| known.name)
    }

    /// The name that the operator may have meant: at most a third of its letters differ.
    pub(super) fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.keys().map(|known| known.name))
    }
}

/// The candidate that differs least from `name`, if the difference is small.
pub(super) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 64; // a longer name is not a typing error, and comparing it costs time
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= name.len().max(candidate.len()).max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
