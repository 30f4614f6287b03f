//! Every key of the configuration contract: which table has it, and whether this version can do
//! what it asks for. A key that it cannot is *known*, so that it is refused in as many words and
//! never silently ignored. `docs/configuration.md` is compared with this table by a test.

/// A table of the file and its keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema {
    /// As the operator writes it.
    pub(super) header: &'static str,
    /// What may stand in it.
    pub(super) keys: &'static [Known],
    /// Keys of `keys` that may not stand in it after all: `[defaults]` lends those of a router.
    pub(super) except: &'static [&'static str],
    /// Keys that must stand in it.
    pub(super) required: &'static [&'static str],
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it works.
    pub(super) support: Support,
}

/// What may stand behind a key. The readers of `raw` decide; the JSON Schema is written from this,
/// and `tests/json_schema.rs` holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// Only this flag so far.
    Only(bool),
    /// A whole number within limits, these included, but for the exception.
    Number { least: i64, most: i64, but: Option<i64> },
    /// 1 to 254, or `"owner"`.
    Priority,
    /// A duration within limits, as text.
    Duration { least: &'static str, most: &'static str },
    /// Advertisement_Interval: 10 ms to 40.95 s in steps of 10 ms, as text.
    Interval,
    /// The name of a router or check.
    Name,
    /// The name of a node or user.
    Word,
    /// The name of an interface.
    Interface,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// One of these texts, or an address.
    ChoiceOrAddress(&'static [&'static str]),
    /// An address without a prefix.
    Address,
    /// Addresses with a prefix; the least number of them.
    Addresses { least: u64 },
    /// A program by its absolute path, and arguments.
    Command,
    /// The same, or an empty list.
    OptionalCommand,
    /// A table.
    Table(&'static Schema),
    /// A list of tables.
    Tables(&'static Schema),
}

/// Whether a key works in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// Yes, with such a value.
    Now(Shape),
    /// Not yet: only the value that means "off" may be written.
    Later(Off),
}

/// The value by which a key says that it asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Off {
    /// Its mere presence asks for something.
    Never,
    /// `false`.
    False,
    /// `[]`.
    Empty,
    /// It refines the key of this name, beside which it need not be mentioned.
    Beside(&'static str),
}

impl Support {
    /// What may stand behind the key, if it works.
    pub(super) const fn shape(self) -> Option<Shape> {
        match self {
            Self::Now(shape) => Some(shape),
            Self::Later(_) => None,
        }
    }

    /// Whether the key works.
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

/// The top level.
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

/// `[agent]`.
pub(super) const AGENT: Schema = Schema {
    header: "[agent]",
    keys: &[now("node_name", Shape::Word), now("realtime", Shape::Flag), later("metrics", Off::Never)],
    except: &[],
    required: &[],
};

/// `[[check]]`.
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

/// `[[virtual_router]]`.
pub(super) const ROUTER: Schema = Schema {
    header: "[[virtual_router]]",
    keys: &[
        now("name", Shape::Name),
        now("interface", Shape::Interface),
        now("vrid", number(1, 255)),
        now("version", number(3, 3)),
        now("priority", Shape::Priority),
        now("addresses", Shape::Addresses { least: 1 }),
        now("excluded_addresses", Shape::Addresses { least: 0 }),
        now("link_local", Shape::ChoiceOrAddress(&["auto", "none"])),
        now("advertise_interval", Shape::Interval),
        now("down_adverts", number(1, 255)),
        now("preempt", Shape::Flag),
        now("preempt_delay", duration("0s", "1h")),
        now("accept", Shape::Only(true)),
        later("virtual_mac", Off::False),
        later("unicast_peers", Off::Empty),
        now("source_address", Shape::Address),
        now("checksum", Shape::Choice(&["auto", "rfc9568", "rfc5798"])),
        later("password", Off::Never),
        now("track", Shape::Tables(&TRACK)),
        later("routes", Off::Empty),
        later("rules", Off::Empty),
        now("on_transition", Shape::OptionalCommand),
        now("before_active", Shape::OptionalCommand),
        now("after_release", Shape::OptionalCommand),
        now("hook_timeout", duration("10ms", "1h")),
        now("before_active_timeout", duration("10ms", "10s")),
        now("hook_user", Shape::Word),
        now("announce", Shape::Table(&ANNOUNCE)),
    ],
    except: &[],
    required: &["name", "vrid", "addresses"],
};

/// `[defaults]`.
pub(super) const DEFAULTS: Schema =
    Schema { header: "[defaults]", keys: ROUTER.keys, except: &["name", "vrid", "addresses"], required: &[] };

/// `[virtual_router.announce]`.
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

/// `[defaults.announce]`.
pub(super) const DEFAULTS_ANNOUNCE: Schema =
    Schema { header: "[defaults.announce]", keys: ANNOUNCE.keys, except: &[], required: &[] };

/// One entry of `track`.
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

/// Tables in which a misplaced key may be at home.
pub(super) const TABLES: &[&Schema] = &[&AGENT, &CHECK, &ROUTER, &ANNOUNCE, &TRACK, &ROOT];

/// What may stand behind the key of this name, wherever it is at home.
pub(super) fn shape(name: &str) -> Option<Shape> {
    TABLES.iter().find_map(|table| table.key(name)).and_then(|known| known.support.shape())
}

impl Schema {
    /// The key of this name, if it may stand here.
    pub(super) fn key(&self, name: &str) -> Option<&'static Known> {
        self.keys().find(|known| known.name == name)
    }

    /// The keys that may stand here.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Known> {
        self.keys.iter().filter(|known| !self.except.contains(&known.name))
    }

    /// The names of those that work.
    pub(super) fn supported(&self) -> impl Iterator<Item = &'static str> {
        self.keys().filter(|known| known.support.is_now()).map(|known| known.name)
    }

    /// What the operator may have meant: at most a third of the letters differ.
    pub(super) fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.keys().map(|known| known.name))
    }
}

/// The candidate that differs least from `name`, if it differs little.
pub(super) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 64; // a longer one is nobody's slip of the pen, and costs time
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
