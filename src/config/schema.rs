//! Every key of the configuration contract: which table has it, and whether this version can do
//! what it asks for. A key that it cannot is *known*, so that it is refused in as many words and
//! never silently ignored. `docs/configuration.md` is compared with this table by a test.

/// A table of the file and its keys.
#[derive(Debug)]
pub(super) struct Schema {
    /// As the operator writes it.
    pub(super) header: &'static str,
    /// What may stand in it.
    pub(super) keys: &'static [Known],
    /// Keys of `keys` that may not stand in it after all: `[defaults]` lends those of a router.
    pub(super) except: &'static [&'static str],
}

/// One key.
#[derive(Debug)]
pub(super) struct Known {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it works.
    pub(super) support: Support,
}

/// Whether a key works in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// Yes.
    Now,
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

const fn now(name: &'static str) -> Known {
    Known { name, support: Support::Now }
}

const fn later(name: &'static str, off: Off) -> Known {
    Known { name, support: Support::Later(off) }
}

/// The top level.
pub(super) const ROOT: Schema = Schema {
    header: "the top level",
    keys: &[now("agent"), now("defaults"), now("check"), now("virtual_router"), later("group", Off::Empty)],
    except: &[],
};

/// `[agent]`.
pub(super) const AGENT: Schema = Schema {
    header: "[agent]",
    keys: &[now("node_name"), now("realtime"), later("metrics", Off::Never)],
    except: &[],
};

/// `[[check]]`.
pub(super) const CHECK: Schema = Schema {
    header: "[[check]]",
    keys: &[
        now("name"),
        now("command"),
        now("interval"),
        now("timeout"),
        now("rise"),
        now("fall"),
        now("user"),
        later("tcp", Off::Never),
        later("http", Off::Never),
    ],
    except: &[],
};

/// `[[virtual_router]]`.
pub(super) const ROUTER: Schema = Schema {
    header: "[[virtual_router]]",
    keys: &[
        now("name"),
        now("interface"),
        now("vrid"),
        now("version"),
        now("priority"),
        now("addresses"),
        now("excluded_addresses"),
        now("link_local"),
        now("advertise_interval"),
        now("down_adverts"),
        now("preempt"),
        now("preempt_delay"),
        now("accept"),
        later("virtual_mac", Off::False),
        later("unicast_peers", Off::Empty),
        now("source_address"),
        now("checksum"),
        later("password", Off::Never),
        now("track"),
        later("routes", Off::Empty),
        later("rules", Off::Empty),
        now("on_transition"),
        now("before_active"),
        now("after_release"),
        now("hook_timeout"),
        now("before_active_timeout"),
        now("hook_user"),
        now("announce"),
    ],
    except: &[],
};

/// `[defaults]`.
pub(super) const DEFAULTS: Schema =
    Schema { header: "[defaults]", keys: ROUTER.keys, except: &["name", "vrid", "addresses"] };

/// `[virtual_router.announce]`.
pub(super) const ANNOUNCE: Schema = Schema {
    header: "[virtual_router.announce]",
    keys: &[now("repeat"), now("delay"), now("refresh")],
    except: &[],
};

/// `[defaults.announce]`.
pub(super) const DEFAULTS_ANNOUNCE: Schema =
    Schema { header: "[defaults.announce]", keys: ANNOUNCE.keys, except: &[] };

/// One entry of `track`.
pub(super) const TRACK: Schema = Schema {
    header: "track",
    keys: &[
        now("check"),
        now("interface"),
        now("weight"),
        later("file", Off::Never),
        later("process", Off::Never),
        later("min", Off::Beside("process")),
    ],
    except: &[],
};

/// Tables in which a misplaced key may be at home.
pub(super) const TABLES: &[&Schema] = &[&AGENT, &CHECK, &ROUTER, &ANNOUNCE, &TRACK, &ROOT];

/// What keepalived calls it, and what to write here.
pub(super) const KEEPALIVED: &[(&str, &str)] = &[
    ("virtual_router_id", "vrid = 51"),
    ("virtual_ipaddress", "addresses = [\"192.0.2.50/24\"]"),
    ("virtual_ipaddress_excluded", "excluded_addresses = [\"192.0.2.51/24\"]"),
    ("advert_int", "advertise_interval = \"1s\""),
    ("nopreempt", "preempt = false"),
    ("state", "nothing: `priority` decides who is preferred"),
    ("track_script", "track = [{ check = \"NAME\" }] and a [[check]]"),
    ("track_interface", "track = [{ interface = \"eth1\" }]"),
    ("mcast_src_ip", "source_address = \"192.0.2.10\""),
    ("vrrp_version", "version = 3"),
    ("notify", "on_transition = [\"/etc/vrrpd/notify\"]; the state is in VRRPD_STATE"),
    ("notify_master", "on_transition = [\"/etc/vrrpd/notify\"]; the state is in VRRPD_STATE"),
    ("notify_backup", "on_transition = [\"/etc/vrrpd/notify\"]; the state is in VRRPD_STATE"),
    ("notify_fault", "on_transition = [\"/etc/vrrpd/notify\"]; the state is in VRRPD_STATE"),
    ("garp_master_delay", "delay = \"5s\" in [virtual_router.announce]"),
    ("garp_master_repeat", "repeat = 5 in [virtual_router.announce]"),
    ("garp_master_refresh", "refresh = \"60s\" in [virtual_router.announce]"),
];

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
        self.keys().filter(|known| known.support == Support::Now).map(|known| known.name)
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
