//! Readers that turn one value of the document into one of our types. Each reader reports what is
//! wrong, with an example of what to write, and then returns `None`.

use super::address;
use super::document::Item;
use super::duration;
use super::problem::{Problems, shown};
use crate::protocol::{CheckName, ChecksumPolicy};
use crate::types::{
    AdverInterval, AuthPassword, AuthPasswordError, InterfaceName, Preempt, Priority, RouterName, Vrid,
};
use ipnet::IpNet;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// The value of `priority`: a number, or the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawRole {
    Owner,
    Priority(Priority),
}

/// The value of `link_local`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawLinkLocal {
    Auto,
    AsListed,
    Address(IpNet),
}

/// The value of `addresses`, as far as it could be read.
#[derive(Debug, Clone)]
pub(super) struct RawAddresses {
    pub(super) read: Vec<Spanned<IpNet>>,
    /// Whether all elements were read. Only then can missing addresses be reported.
    pub(super) completeness: Completeness,
}

/// Whether a list was read completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    Whole,
    Partial,
}

pub(super) fn text<'d>(item: Item<'d>, example: &str, problems: &mut Problems) -> Option<&'d str> {
    let text = item.value.as_str();
    if text.is_none() {
        item.refuse("text in quotes", &for_example(item, example), problems);
    }
    text
}

/// Marks an example as one, because it is not the value that the operator meant.
fn for_example(item: Item<'_>, example: impl Display) -> String {
    format!("for example {} = {example}", item.key)
}

pub(super) fn flag(item: Item<'_>, problems: &mut Problems) -> Option<bool> {
    let flag = item.value.as_bool();
    if flag.is_none() {
        item.refuse("true or false", "true or false, without quotes", problems);
    }
    flag
}

/// A whole number within limits.
pub(super) fn number(
    item: Item<'_>,
    range: RangeInclusive<i64>,
    example: i64,
    problems: &mut Problems,
) -> Option<i64> {
    let number = integer(item).filter(|number| range.contains(number));
    if number.is_none() {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        let write = item.legal_form().unwrap_or_else(|| for_example(item, example));
        item.refuse(&wanted, &write, problems);
    }
    number
}

fn integer(item: Item<'_>) -> Option<i64> {
    item.value.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok())
}

/// A whole number from 1 to `max`.
pub(super) fn count(item: Item<'_>, max: u8, example: i64, problems: &mut Problems) -> Option<NonZeroU8> {
    let number = number(item, 1..=i64::from(max), example, problems)?;
    u8::try_from(number).ok().and_then(NonZeroU8::new)
}

/// The VRID. The advice for a wrong one does not give an example or the nearest legal value,
/// because a node with another VRID than the others would be Active beside them.
pub(super) fn vrid(item: Item<'_>, problems: &mut Problems) -> Option<Vrid> {
    let vrid = integer(item).and_then(|n| u8::try_from(n).ok()).and_then(|n| Vrid::new(n).ok());
    if vrid.is_none() {
        item.refuse("a number from 1 to 255", "a number, the same on all nodes of this router", problems);
    }
    vrid
}

pub(super) fn role(item: Item<'_>, problems: &mut Problems) -> Option<RawRole> {
    let wanted = "a number from 1 to 254, or \"owner\"";
    let number = integer(item);
    let priority = number.and_then(|n| u8::try_from(n).ok()).and_then(|n| Priority::new(n).ok());
    match (priority, item.value.as_str()) {
        (Some(priority), _) => return Some(RawRole::Priority(priority)),
        (None, Some("owner")) => return Some(RawRole::Owner),
        (None, Some(_) | None) => {}
    }
    if number == Some(255) {
        let help =
            "write priority = \"owner\"; but only if these are the node's own addresses, otherwise 254";
        problems.error(item.span(), format!("`priority` is {wanted}, not 255"), help);
        return None;
    }
    let write = item.legal_form().unwrap_or_else(|| "for example priority = 100".to_owned());
    item.refuse(wanted, &write, problems);
    None
}

pub(super) fn preempt(item: Item<'_>, problems: &mut Problems) -> Option<Preempt> {
    flag(item, problems).map(|allow| if allow { Preempt::Allow } else { Preempt::Forbid })
}

/// A duration within limits.
pub(super) fn duration(
    item: Item<'_>,
    range: RangeInclusive<Duration>,
    example: &str,
    problems: &mut Problems,
) -> Option<Duration> {
    let read = item.value.as_str().map(duration::parse);
    if let Some(Ok(duration)) = read
        && range.contains(&duration)
    {
        return Some(duration);
    }
    let (least, most) = (duration::text(*range.start()), duration::text(*range.end()));
    let mut write = item.legal_form().unwrap_or_else(|| for_example(item, format_args!("\"{example}\"")));
    if let Some(Err(reason)) = read {
        write.push_str(&format!("; the value in the file {reason}"));
    }
    // Reported here and not by `refuse`, which does not know the reason.
    let wanted = format!("a duration from \"{least}\" to \"{most}\"");
    item.refuse_for(&wanted, &write, problems);
    None
}

/// The password of VRRPv2 (RFC 2338 §5.3.6). keepalived cuts a longer one without a word, so the advice
/// has what it makes of it.
pub(super) fn password(item: Item<'_>, problems: &mut Problems) -> Option<AuthPassword> {
    let example = "for example password = \"secret\", the same on all nodes";
    let text = text(item, "\"secret\"", problems)?;
    match text.parse() {
        Ok(password) => Some(password),
        Err(AuthPasswordError::TooLong) => {
            let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= AuthPassword::LEN).last();
            let cut = text.get(..cut.unwrap_or_default()).unwrap_or_default();
            let help = format!("write \"{}\": keepalived cuts the same password to that", shown(cut));
            problems.error(item.span(), AuthPasswordError::TooLong.to_string(), help);
            None
        }
        Err(error @ (AuthPasswordError::Empty | AuthPasswordError::Nul)) => {
            problems.error(item.span(), error.to_string(), format!("write {example}"));
            None
        }
    }
}

/// Advertisement_Interval. Whether the router speaks a version that has such a long one is known later.
pub(super) fn adver_interval(item: Item<'_>, problems: &mut Problems) -> Option<AdverInterval> {
    let interval = |read| AdverInterval::from_duration(read).ok();
    let of_v2 = item.value.as_str().and_then(|text| duration::parse(text).ok()).and_then(interval);
    if of_v2.is_some_and(|interval| interval > AdverInterval::MAX) {
        return of_v2;
    }
    let read = duration(item, AdverInterval::MIN.period()..=AdverInterval::MAX.period(), "1s", problems)?;
    let interval = interval(read);
    if interval.is_none() {
        let write = item.legal_form().unwrap_or_else(|| for_example(item, "\"1s\""));
        item.refuse("a multiple of \"10ms\"", &write, problems);
    }
    interval
}

pub(super) fn interface(item: Item<'_>, problems: &mut Problems) -> Option<InterfaceName> {
    let text = text(item, "\"eth0\"", problems)?;
    let name = text.parse().ok();
    // The operator copied the name from `ip link`, which shows the interface below with it.
    if let Some((own, below)) = text.split_once('@').filter(|(own, _)| !own.is_empty()) {
        let message = format!(
            "\"{}\" is not the name of an interface: `@{}` only says which interface is below it",
            shown(text),
            shown(below)
        );
        problems.error(item.span(), message, format!("write \"{}\"", shown(own)));
        return None;
    }
    if name.is_none() {
        let names = "a name that `ip link` shows: 1 to 15 characters without / : or space";
        let help = item.own_form().unwrap_or_else(|| names.to_owned());
        let message = format!("\"{}\" cannot be the name of an interface", shown(text));
        problems.error(item.span(), message, format!("write {help}"));
    }
    name
}

pub(super) fn router_name(item: Item<'_>, problems: &mut Problems) -> Option<RouterName> {
    let text = text(item, "\"web\"", problems)?;
    let name = text.parse().ok();
    if name.is_none() {
        let help = item
            .own_form()
            .unwrap_or_else(|| "1 to 64 of the characters A-Z a-z 0-9 . _ - and do not begin with -".into());
        let message = format!("\"{}\" cannot be a name", shown(text));
        problems.error(item.span(), message, format!("write {help}"));
    }
    name
}

/// The name of a check. The rules are those for routers, because both names are typed and shown in
/// the same places.
pub(super) fn check_name(item: Item<'_>, problems: &mut Problems) -> Option<CheckName> {
    router_name(item, problems).map(|name| CheckName(name.as_str().into()))
}

/// The name of a node or of a user.
pub(super) fn word(item: Item<'_>, example: &str, problems: &mut Problems) -> Option<String> {
    let text = text(item, example, problems)?;
    let legal = |c: char| c.is_ascii_graphic() && !"/:\"'\\".contains(c);
    if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(legal) {
        let wanted = "1 to 64 letters, digits and . _ -";
        item.refuse(wanted, &for_example(item, example), problems);
        return None;
    }
    Some(text.to_owned())
}

/// The absolute path of a file.
pub(super) fn path(item: Item<'_>, example: &str, problems: &mut Problems) -> Option<PathBuf> {
    let text = text(item, example, problems)?;
    // The working directory of a daemon is nothing that a configuration could count on.
    if !text.starts_with('/') || text.ends_with('/') || text.contains('\0') {
        item.refuse("the absolute path of a file", &for_example(item, example), problems);
        return None;
    }
    Some(PathBuf::from(text))
}

/// An address of this machine and a TCP port. Names are not looked up: which address a name means
/// may change while nobody looks.
pub(super) fn listener(item: Item<'_>, problems: &mut Problems) -> Option<SocketAddr> {
    let example = "\"127.0.0.1:9650\"";
    let address = text(item, example, problems)?.parse::<SocketAddr>();
    match address {
        Ok(address) if address.port() != 0 => Some(address),
        Ok(_) | Err(_) => {
            item.refuse("an address and a port", &for_example(item, example), problems);
            None
        }
    }
}

/// The text of a checksum policy, of which [`checksum`] makes the same policy.
pub(super) const fn checksum_text(checksum: ChecksumPolicy) -> &'static str {
    match checksum {
        ChecksumPolicy::Auto => "auto",
        ChecksumPolicy::Rfc9568 => "rfc9568",
        ChecksumPolicy::Rfc5798 => "rfc5798",
    }
}

pub(super) fn checksum(item: Item<'_>, problems: &mut Problems) -> Option<ChecksumPolicy> {
    match item.value.as_str() {
        Some("auto") => Some(ChecksumPolicy::Auto),
        Some("rfc9568") => Some(ChecksumPolicy::Rfc9568),
        Some("rfc5798") => Some(ChecksumPolicy::Rfc5798),
        Some(_) | None => {
            item.refuse("\"auto\", \"rfc9568\" or \"rfc5798\"", &for_example(item, "\"auto\""), problems);
            None
        }
    }
}

pub(super) fn link_local(item: Item<'_>, problems: &mut Problems) -> Option<RawLinkLocal> {
    let text = text(item, "\"auto\"", problems)?;
    let read = match text {
        "auto" => return Some(RawLinkLocal::Auto),
        "none" => return Some(RawLinkLocal::AsListed),
        text => text.parse().map(address::link_local_net).ok().or_else(|| address::parse(text).ok()),
    };
    let net = read.filter(|net| address::is_link_local(net.addr()));
    if net.is_none() {
        let wanted = "\"auto\", \"none\" or an address in fe80::/10";
        item.refuse(wanted, "link_local = \"auto\", or an address in fe80::/10", problems);
    }
    net.map(RawLinkLocal::Address)
}

pub(super) fn addresses(item: Item<'_>, problems: &mut Problems) -> Option<RawAddresses> {
    let example = for_example(item, "[\"192.0.2.50/24\"]");
    let Some(elements) = item.elements() else {
        item.refuse("a list of addresses", &example, problems);
        return None;
    };
    let mut list = RawAddresses { read: Vec::new(), completeness: Completeness::Whole };
    for element in elements {
        let read = match element.value.as_str() {
            Some(text) => net(element, text, problems),
            None => {
                element.refuse("a list of addresses in quotes", &example, problems);
                None
            }
        };
        match read {
            Some(net) => list.read.push(Spanned::new(element.span(), net)),
            None => list.completeness = Completeness::Partial,
        }
    }
    Some(list)
}

fn net(item: Item<'_>, text: &str, problems: &mut Problems) -> Option<IpNet> {
    address::parse(text).map_err(|error| problems.error(item.span(), error.message, error.help)).ok()
}

pub(super) fn source_address(item: Item<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let text = text(item, "\"192.0.2.10\"", problems)?;
    address::parse_bare(text)
        .map_err(|error| {
            let help = item.own_form().map_or(error.help, |own| format!("write {own}"));
            problems.error(item.span(), error.message, help)
        })
        .ok()
}

/// Addresses of nodes, without a prefix.
pub(super) fn hosts(item: Item<'_>, problems: &mut Problems) -> Option<Vec<Spanned<IpAddr>>> {
    let example = for_example(item, "[\"192.0.2.11\"]");
    let Some(elements) = item.elements() else {
        let write = item.own_form().unwrap_or_else(|| example.clone());
        item.refuse("a list of addresses", &write, problems);
        return None;
    };
    let before = problems.error_count();
    let mut hosts = Vec::new();
    for element in elements {
        match element.value.as_str().map(address::parse_bare) {
            Some(Ok(address)) => hosts.push(Spanned::new(element.span(), address)),
            Some(Err(error)) => drop(problems.error(element.span(), error.message, error.help)),
            None => element.refuse("a list of addresses in quotes", &example, problems),
        }
    }
    (problems.error_count() == before).then_some(hosts)
}

/// A program with its absolute path, and its arguments.
pub(super) fn command(item: Item<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let example = format!("for example {}", command_example(item.key));
    let wanted = format!("`{}` is a list: a program and its arguments", item.key);
    let Some(elements) = item.elements() else {
        let write = item.own_form().unwrap_or_else(|| example.clone());
        problems.error(item.span(), wanted, format!("write {write}"));
        return None;
    };
    let before = problems.error_count();
    let mut words = Vec::new();
    for element in elements {
        match element.value.as_str() {
            Some(word) if !word.contains('\0') => words.push(word.to_owned()),
            Some(_) | None => element.refuse("a list of texts", &example, problems),
        }
    }
    if problems.error_count() > before {
        return None;
    }
    match words.first() {
        None => {
            problems.error(item.span(), wanted, format!("write {example}"));
        }
        Some(program) if !program.starts_with('/') || program.ends_with('/') => {
            let message = format!("\"{}\" is not the absolute path of a program", shown(program));
            let help = "write the whole path: there is no shell and no PATH to search";
            problems.error(item.span(), message, help);
        }
        Some(_) => return Some(words),
    }
    None
}

/// As [`command`], or an empty list, which means no command.
pub(super) fn optional_command(item: Item<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    match item.value.as_array() {
        Some(list) if list.is_empty() => Some(Vec::new()),
        Some(_) | None => command(item, problems),
    }
}

fn command_example(key: &str) -> String {
    match key {
        "command" => {
            "command = [\"/usr/bin/curl\", \"--fail\", \"--silent\", \"http://127.0.0.1/\"]".to_owned()
        }
        hook => format!("{hook} = [\"/etc/vrrpd/notify\"]"),
    }
}

/// -253..=253 without 0: a larger weight would move any priority beyond any other.
pub(super) fn weight(item: Item<'_>, problems: &mut Problems) -> Option<i16> {
    let weight = integer(item).filter(|n| *n != 0 && (-253..=253).contains(n));
    if weight.is_none() {
        let example = "for example weight = -60; or remove the weight: a failing check is then a fault";
        let write = item.legal_form().unwrap_or_else(|| example.to_owned());
        item.refuse_for("a number from -253 to 253, except 0", &write, problems);
    }
    weight.and_then(|weight| i16::try_from(weight).ok())
}
