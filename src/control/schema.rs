//! The JSON Schemas of the documents, generated from their types.
//!
//! Owns what a type cannot say: the words that a text may be, the limits of a number, and the
//! counters. Only tests and the developers' command (`cargo xtask docs`, feature `schema`) build
//! this file; the programs do not contain it. The schemas leave room for fields that a later
//! release adds; the tests read them more strictly.

use super::client::{ERROR_KINDS, LOCAL_ERROR};
use super::document::{
    CHECKSUM_POLICIES, DEMOTE_OUTCOMES, HEALTHS, LINK_LOCAL_RULES, PRESENCES, PROMOTE_OUTCOMES, ROLES,
    TAKE_OUTCOMES, WATCHED_KINDS, WAYS,
};
use super::health::HEALTH_LEVELS;
use super::message::{
    CheckDoc, DemoteDoc, ErrorDoc, EventsDoc, HealthDoc, PromoteDoc, ReloadDoc, ShowDoc, StatusDoc, TakeDoc,
    VERSION,
};
use super::reload::{CHECK_ACTIONS, EFFECTS, ROUTER_ACTIONS};
use crate::agent::{HOOK_OUTCOMES, Severity, named};
use crate::config::HookKind;
use crate::protocol::{Cause, CheckResult, HandoverCause, PeerWarning, StateName};
use crate::types::Family;
use crate::wire::{ChecksumFlavour, RejectReason};
use crate::words::channel::SETTINGS;
use crate::words::{self, EVENT_KINDS, Stamp};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Builds the schema of every document: the name of its file in `docs/json-schema` without
/// `.schema.json`, and the schema.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("check", schema::<CheckDoc>("vrrpctl check --json")),
        ("demote", schema::<DemoteDoc>("vrrpctl demote --json")),
        ("error", schema::<ErrorDoc>("Any command that failed, with --json")),
        ("events", schema::<EventsDoc>("vrrpctl events --json; with --follow one such document a line")),
        ("health", schema::<HealthDoc>("vrrpctl health --json")),
        ("promote", schema::<PromoteDoc>("vrrpctl promote --json")),
        ("reload", schema::<ReloadDoc>("vrrpctl reload --json")),
        ("take", schema::<TakeDoc>("vrrpctl take NAME --json")),
        ("show", schema::<ShowDoc>("vrrpctl show NAME --json")),
        ("status", schema::<StatusDoc>("vrrpctl status --json")),
    ]
}

/// The counters of a virtual router. They are a map in the documents, and a type of their own for
/// the schemas.
pub(super) struct CountersSchema;

/// Every counter, and what it counts.
const COUNTERS: [(&str, &str); 29] = [
    ("active_transitions", "How often it became Active."),
    ("addr_count_errors", "Discarded messages: the message lists no address."),
    (
        "address_list_errors",
        "Messages that list other addresses than this node; in IPv6 also discarded messages whose first address is not \
         link-local.",
    ),
    ("advertisement_rcvd", "Advertisements that were heard."),
    ("advertisement_sent", "Advertisements that were sent, of any priority."),
    ("announcements", "Rounds of gratuitous ARP or of unsolicited Neighbor Advertisements."),
    (
        "bad_destination",
        "Discarded messages: the message was not sent to the group of VRRP, or with `unicast_peers` not to this node.",
    ),
    ("bad_source", "Discarded messages: the source cannot be a router."),
    ("checksum_errors", "Discarded messages: the checksum is neither that of RFC 9568 nor that of RFC 5798."),
    ("checksum_legacy_accepted", "Advertisements that were heard with the checksum of RFC 5798."),
    ("dual_active", "How often another Active was heard while this node was Active."),
    (
        "immediate_adverts_sent",
        "Advertisements that were sent at once, in answer to an advertisement of lower rank.",
    ),
    (
        "immediate_adverts_suppressed",
        "Advertisements of lower rank that were not answered at once, because such answers are limited.",
    ),
    ("interval_errors", "Advertisements that were heard with another interval than that of this node."),
    ("interval_zero", "Discarded messages: the interval is 0."),
    ("invalid_type_pkts_rcvd", "Discarded messages: the message is not an advertisement."),
    (
        "ip_ttl_errors",
        "Discarded messages: TTL or Hop Limit is not 255 (or less than `min_ttl`), so that they may come from another link.",
    ),
    (
        "own_packets",
        "Discarded messages: a message of this node came back, or somebody sends from its address.",
    ),
    ("owner_conflicts", "Advertisements of an owner that were heard while this node owns the addresses."),
    ("packet_length_errors", "Discarded messages: the message is shorter or longer than its own fields say."),
    ("priority_zero_pkts_rcvd", "Resignations that were heard."),
    ("priority_zero_pkts_sent", "Resignations that were sent."),
    (
        "tx_errors",
        "Advertisements that the kernel did not send; with `unicast_peers` counted for each of them.",
    ),
    (
        "unknown_senders",
        "Discarded messages: the sender is not one of `unicast_peers`, or not one of `accept_from`.",
    ),
    ("version_errors", "Discarded messages: the version is not the one that is configured."),
    ("invalid_auth_type", "Discarded messages of VRRPv2: the Auth Type does not exist."),
    ("auth_type_mismatch", "Discarded messages of VRRPv2: the Auth Type is not the one that is configured."),
    ("auth_failures", "Discarded messages of VRRPv2: the password is not the one that is configured."),
    ("vrid_errors", "Discarded messages: the VRID is 0, or one that is not configured here."),
];

/// Lists all variants of an enum without fields. The match makes sure that none is missing.
macro_rules! every {
    ($type:ident: $($variant:ident),+ $(,)?) => {{
        const _: fn($type) = |value| match value { $($type::$variant => (),)+ };
        [$($type::$variant),+]
    }};
}

named! {
    /// The names of all warnings about another router. A warning about a discarded message is named
    /// after its reason, so [`RejectReason::ALL`] has the names in place of `rejected`.
    const PEER_WARNINGS;
    fn peer_warning(PeerWarning);
    PeerWarning::Rejected(_) => "rejected",
    PeerWarning::OtherVersion { .. } => "other_version",
    PeerWarning::AuthenticationDiffers(_) => "authentication_differs",
    PeerWarning::IntervalRefused { .. } => "interval_refused",
    PeerWarning::AddressListRefused { .. } => "address_list_refused",
    PeerWarning::AddressListDiffers { .. } => "address_list_differs",
    PeerWarning::AddressesLost { .. } => "addresses_lost",
    PeerWarning::OtherVrid { .. } => "other_vrid",
    PeerWarning::SamePriority(_) => "same_priority",
    PeerWarning::StaysActive(_) => "also_active",
    PeerWarning::IntervalDiffers(_) => "interval_differs",
    PeerWarning::IntervalTooLong { .. } => "interval_too_long",
    PeerWarning::ChecksumDiffers => "checksum_differs",
    PeerWarning::OwnerConflict => "owner_conflict",
    PeerWarning::AddressConflict { .. } => "address_conflict",
}
const _: fn(&PeerWarning) -> &'static str = peer_warning;

const MAC: &str = "^([0-9a-f]{2}:){5}[0-9a-f]{2}$";

/// The parts of the schema that types do not have: the type, its fields, and what is added to them.
fn refinements() -> Vec<(&'static str, &'static [&'static str], Value)> {
    let families = every!(Family: Ipv4, Ipv6).map(Family::as_str);
    let states = every!(StateName: Initialize, Backup, Active).map(StateName::as_str);
    let checksums = every!(ChecksumFlavour: Rfc9568, Rfc5798).map(words::checksum);
    let hooks = every!(HookKind: BeforeActive, OnTransition, OnDrain, AfterRelease).map(HookKind::as_str);
    let results = every!(CheckResult: Passing, Failing).map(words::check_result);
    let severities = every!(Severity: Info, Warning, Error).map(Severity::as_str);
    // What is only worth telling is an event and not a warning.
    let warning_severities: Vec<_> =
        severities.iter().copied().filter(|severity| *severity != Severity::Info.as_str()).collect();
    let causes = every!(
        Cause: Startup, OwnerStartup, ActiveDownTimer, PeerResigned, Preempted, HigherPriority, TieBreak,
        HandedOver, Fault, FaultCleared, Demoted, Promoted, DemotionExpired, Sibling, Stalled, Configuration,
        Shutdown,
    )
    .map(Cause::as_str);
    let handovers = every!(HandoverCause: Demote, Shutdown, Fault, Configuration).map(HandoverCause::as_str);
    let handovers = handovers.into_iter().filter(|cause| !causes.contains(cause));
    let causes_of_events: Vec<_> = causes.into_iter().chain(handovers).collect();
    let peer_warnings = PEER_WARNINGS.iter().copied().filter(|warning| *warning != "rejected");
    let rejected = RejectReason::ALL.map(RejectReason::as_str).into_iter();
    let suspicions: Vec<_> = rejected.chain(peer_warnings).collect();
    let errors: Vec<_> = ERROR_KINDS.iter().copied().chain([LOCAL_ERROR]).collect();
    // A hook that was superseded did not run.
    let run_outcomes: Vec<_> =
        HOOK_OUTCOMES.iter().copied().filter(|outcome| *outcome != "superseded").collect();
    // What is well is no finding.
    let finding_levels: Vec<_> = HEALTH_LEVELS.iter().copied().filter(|level| *level != "ok").collect();
    let word = |words: &[&str]| json!({ "enum": words });
    let from_one = json!({ "minimum": 1 });
    vec![
        ("StatusDoc", &["version"], json!({ "const": VERSION })),
        ("ShowDoc", &["version"], json!({ "const": VERSION })),
        ("DemoteDoc", &["version"], json!({ "const": VERSION })),
        ("PromoteDoc", &["version"], json!({ "const": VERSION })),
        ("TakeDoc", &["version"], json!({ "const": VERSION })),
        ("EventsDoc", &["version"], json!({ "const": VERSION })),
        ("ReloadDoc", &["version"], json!({ "const": VERSION })),
        ("CheckDoc", &["version"], json!({ "const": VERSION })),
        ("HealthDoc", &["version"], json!({ "const": VERSION })),
        ("ErrorDoc", &["version"], json!({ "const": VERSION })),
        ("ShowDoc", &["vrid"], from_one.clone()),
        ("VirtualRouterDoc", &["vrid"], from_one.clone()),
        ("PlannedRouterDoc", &["vrid"], from_one.clone()),
        ("EventDoc", &["vrid"], from_one.clone()),
        ("ConfigurationDoc", &["down_adverts"], from_one.clone()),
        ("AnnounceDoc", &["repeat"], json!({ "minimum": 1, "maximum": 100 })),
        ("CheckStatusDoc", &["rise", "fall"], from_one.clone()),
        ("FindingDoc", &["line", "column"], from_one),
        ("VirtualRouterDoc", &["family"], word(&families)),
        ("InstanceDoc", &["family"], word(&families)),
        ("UnattributedDoc", &["family"], word(&families)),
        ("DemoteResultDoc", &["family"], word(&families)),
        ("EventDoc", &["family"], word(&families)),
        ("VirtualRouterDoc", &["state"], word(&states)),
        ("InstanceDoc", &["state"], word(&states)),
        ("HookRunDoc", &["state"], word(&states)),
        ("EventDoc", &["from", "to", "state"], word(&states)),
        ("VirtualRouterDoc", &["cause"], word(&causes)),
        ("InstanceDoc", &["cause"], word(&causes)),
        ("EventDoc", &["cause"], word(&causes_of_events)),
        ("InstanceDoc", &["checksum"], word(&checksums)),
        ("PeerDoc", &["checksum"], word(&checksums)),
        ("EventDoc", &["checksum"], word(&checksums)),
        ("ConfigurationDoc", &["checksum"], word(CHECKSUM_POLICIES)),
        ("ConfigurationDoc", &["role"], word(ROLES)),
        ("ConfigurationDoc", &["link_local"], word(LINK_LOCAL_RULES)),
        ("WarningDoc", &["severity"], word(&warning_severities)),
        ("WarningDoc", &["mac"], json!({ "pattern": MAC })),
        ("DemotedDoc", &["since", "until"], json!({ "format": "date-time" })),
        ("TrackDoc", &["kind"], word(WATCHED_KINDS)),
        ("TrackDoc", &["health"], word(HEALTHS)),
        ("CheckStatusDoc", &["latest"], word(&results)),
        ("HookDoc", &["hook"], word(&hooks)),
        ("HookRunDoc", &["outcome"], word(&run_outcomes)),
        ("DemoteResultDoc", &["outcome"], word(DEMOTE_OUTCOMES)),
        ("PromoteResultDoc", &["outcome"], word(PROMOTE_OUTCOMES)),
        ("NodeDoc", &["presence"], word(PRESENCES)),
        ("DrainingDoc", &["via"], word(WAYS)),
        ("TakeDoc", &["outcome"], word(TAKE_OUTCOMES)),
        ("PlannedRouterDoc", &["action"], word(ROUTER_ACTIONS)),
        ("PlannedCheckDoc", &["action"], word(CHECK_ACTIONS)),
        ("AgentChangeDoc", &["takes_effect"], word(EFFECTS)),
        ("HealthDoc", &["level"], word(HEALTH_LEVELS)),
        ("HealthFindingDoc", &["level"], word(&finding_levels)),
        ("ErrorDetailDoc", &["kind"], word(&errors)),
        ("EventDoc", &["severity"], word(&severities)),
        ("EventDoc", &["kind"], word(EVENT_KINDS)),
        ("EventDoc", &["health"], word(&results)),
        ("EventDoc", &["hook"], word(&hooks)),
        ("EventDoc", &["outcome"], word(HOOK_OUTCOMES)),
        ("EventDoc", &["setting"], word(SETTINGS)),
        ("EventDoc", &["suspicion"], word(&suspicions)),
        ("EventDoc", &["mac", "mac_before"], json!({ "pattern": MAC })),
    ]
}

fn schema<T: JsonSchema>(title: &str) -> Value {
    // A document is described as it is written: every field that is always written is required.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut root = generator.into_root_schema_for::<T>().to_value();
    refine(&mut root, &T::schema_name());
    for (name, definition) in root.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten() {
        refine(definition, name);
    }
    simplify(&mut root);
    if let Some(root) = root.as_object_mut() {
        root.insert("title".to_owned(), title.into());
        let definitions = root.remove("$defs").and_then(|definitions| match definitions {
            Value::Object(definitions) => Some(definitions),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        });
        let renamed: Map<String, Value> =
            definitions.into_iter().flatten().map(|(name, one)| (name_of(&name), one)).collect();
        if !renamed.is_empty() {
            root.insert("$defs".to_owned(), renamed.into());
        }
    }
    root
}

/// Adds to the definition of one type what its fields say beyond their types.
fn refine(definition: &mut Value, type_name: &str) {
    for (of, fields, more) in refinements() {
        for field in fields.iter().filter(|_| of == type_name) {
            let place =
                definition.pointer_mut(&format!("/properties/{field}")).and_then(Value::as_object_mut);
            let Some(place) = place else { unreachable!("{type_name} has no field {field}") };
            place.extend(
                more.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())),
            );
        }
    }
}

/// Makes the generated schema plain: it has no formats that no validator knows, descriptions of one
/// line, the names of definitions as in the documents, and no null where a field is left out
/// instead.
fn simplify(value: &mut Value) {
    match value {
        Value::Object(object) => {
            simplify_object(object);
            object.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn simplify_object(object: &mut Map<String, Value>) {
    object.remove("default");
    if object.get("format").is_some_and(|format| format != "date-time") {
        object.remove("format");
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.replace('\n', " ").replace('`', "");
    }
    if let Some(Value::String(reference)) = object.get_mut("$ref")
        && let Some(name) = reference.strip_prefix("#/$defs/")
    {
        *reference = format!("#/$defs/{}", name_of(name));
    }
    let required: Vec<Value> = match object.get("required") {
        Some(Value::Array(required)) => required.clone(),
        _ => Vec::new(),
    };
    let Some(Value::Object(properties)) = object.get_mut("properties") else { return };
    for (name, property) in properties.iter_mut() {
        let Some(property) = property.as_object_mut() else { continue };
        if !required.contains(&Value::String(name.clone())) {
            never_null(property);
        }
        let nullable = property.get("type").and_then(Value::as_array).is_some();
        if let Some(Value::Array(words)) = property.get_mut("enum").filter(|_| nullable) {
            words.push(Value::Null);
        }
        if name.ends_with("_ms") {
            property.insert("minimum".to_owned(), 0.into());
        }
    }
}

/// Forbids null in a field that is left out when it has no value.
fn never_null(property: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = property.get("type") else { return };
    if let [one, null] = types.as_slice()
        && null == "null"
    {
        let one = one.clone();
        property.insert("type".to_owned(), one);
    }
}

/// The name of a definition: `virtual_router` for `VirtualRouterDoc`.
fn name_of(type_name: &str) -> String {
    let mut name = String::new();
    for c in type_name.trim_end_matches("Doc").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

impl JsonSchema for CountersSchema {
    fn schema_name() -> Cow<'static, str> {
        "Counters".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = COUNTERS.iter().map(|(name, _)| *name).collect();
        let properties: Map<String, Value> = COUNTERS
            .iter()
            .map(|(name, what)| {
                let counter = json!({ "type": "integer", "minimum": 0, "description": what });
                ((*name).to_owned(), counter)
            })
            .collect();
        json_schema!({
            "type": "object",
            "description": "The counters since the router was configured: those of RFC 8347 with underscores, the \
                            reasons of discarded messages, and those of vrrpd.",
            "properties": properties,
            "required": names,
        })
    }
}

impl JsonSchema for Stamp {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::AuthenticationMismatch;
    use crate::types::{AdverInterval, AdvertPriority, MacAddr, Version, Vrid};

    #[test]
    fn the_schemas_are_those_of_the_types() {
        for (name, schema) in schemas() {
            let path = format!("{}/docs/json-schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            assert!(
                committed == generated,
                "docs/json-schema/{name}.schema.json is stale: run `cargo xtask docs`, and look at the difference"
            );
        }
    }

    /// Every object and every field has a description, which is a sentence.
    #[test]
    fn every_field_is_described() {
        fn look(at: &str, value: &Value) {
            for (name, property) in value["properties"].as_object().into_iter().flatten() {
                let described = property["description"].as_str().is_some_and(|text| text.ends_with('.'));
                assert!(described || property.get("$ref").is_some(), "{at}: {name}: {property}");
                look(at, property);
            }
            for (name, definition) in value["$defs"].as_object().into_iter().flatten() {
                assert!(definition["description"].is_string(), "{at}: {name}");
                look(at, definition);
            }
        }
        for (name, schema) in schemas() {
            look(name, &schema);
        }
    }

    #[test]
    fn the_names_of_peer_warnings_are_those_of_the_protocol() {
        let (address, mac) = ("192.0.2.50".parse().unwrap(), MacAddr([2, 0, 0, 0, 0, 1]));
        let (priority, interval) = (AdvertPriority::from_wire(100), AdverInterval::default());
        let warnings = [
            PeerWarning::OtherVersion { theirs: Version::V2, ours: Version::V3 },
            PeerWarning::AuthenticationDiffers(AuthenticationMismatch::OnlyHere),
            PeerWarning::IntervalRefused { theirs: interval, ours: interval },
            PeerWarning::AddressListRefused { more: vec![], less: vec![] },
            PeerWarning::AddressListDiffers { more: vec![], less: vec![] },
            PeerWarning::AddressesLost { priority, lists: vec![], ours: vec![] },
            PeerWarning::OtherVrid { address, theirs: Vrid::new(51).unwrap() },
            PeerWarning::SamePriority(priority),
            PeerWarning::StaysActive(priority),
            PeerWarning::IntervalDiffers(interval),
            PeerWarning::IntervalTooLong { said: interval, obeyed: interval },
            PeerWarning::ChecksumDiffers,
            PeerWarning::OwnerConflict,
            PeerWarning::AddressConflict { address, mac },
        ];
        let names: Vec<_> = warnings.iter().map(PeerWarning::as_str).collect();
        assert_eq!(names, PEER_WARNINGS[1..]);
        assert!(warnings.iter().all(|warning| peer_warning(warning) == warning.as_str()));
    }

    #[test]
    fn every_refinement_meets_its_type() {
        let texts: String = schemas().iter().map(|(_, schema)| schema.to_string()).collect();
        for (of, _, _) in refinements() {
            let root = [
                "Status", "Show", "Demote", "Promote", "Take", "Events", "Reload", "Check", "Health", "Error",
            ]
            .iter()
            .any(|name| of == format!("{name}Doc"));
            assert!(root || texts.contains(&format!("#/$defs/{}\"", name_of(of))), "nothing is a {of}");
        }
    }
}
