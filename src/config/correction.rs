//! Corrects a value in the wrong form: finds out which value the operator probably meant, so that
//! the advice can repeat it.
//!
//! Operators copy examples. One who wrote `vrid = "77"` and reads the advice `vrid = 51` would
//! configure another VRID than the other node has. The functions take texts and return TOML. Every
//! result is legal for the key that it is given for, which a test checks.

use super::address;
use super::duration;
use super::schema::Shape;
use crate::types::AdverInterval;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// RFC 9568 §5.2.7: the field has 12 bits and counts centiseconds.
const LONGEST_INTERVAL: Duration = Duration::from_millis(40_950);

/// The same value in the form that the key accepts; `None` if there is no such form.
pub(super) fn rewritten(shape: Shape, words: &str) -> Option<String> {
    let words = bare(words);
    match shape {
        Shape::Flag => flag(words).map(|flag| flag.to_string()),
        Shape::Only(only) => flag(words).filter(|flag| *flag == only).map(|flag| flag.to_string()),
        Shape::Number { least, most, but } => number(words)
            .filter(|n| (least..=most).contains(n) && Some(*n) != but)
            .map(|number| number.to_string()),
        Shape::Priority => match number(words) {
            Some(255) => Some(quoted("owner")),
            Some(number) => (1..=254).contains(&number).then(|| number.to_string()),
            None => words.eq_ignore_ascii_case("owner").then(|| quoted("owner")),
        },
        Shape::Duration { least, most } => {
            let range = duration::parse(least).ok()?..=duration::parse(most).ok()?;
            time(words, |duration| range.contains(&duration)).map(|(text, _)| quoted(&text))
        }
        Shape::Interval => time(words, is_interval).map(|(text, _)| quoted(&text)),
        Shape::Name => words.parse::<crate::types::RouterName>().ok().map(|_| quoted(words)),
        Shape::Interface => {
            words.parse::<crate::types::InterfaceName>().ok().filter(|_| plain(words)).map(|_| quoted(words))
        }
        Shape::Path => is_path(words).then(|| quoted(words)),
        Shape::Listener => listener(words).map(|address| quoted(&address.to_string())),
        Shape::Word => (plain(words) && !words.starts_with('-')).then(|| quoted(words)),
        Shape::Choice(texts) => choice(texts, words),
        Shape::ChoiceOrAddress(texts) => choice(texts, words),
        Shape::Password => words.parse::<crate::types::AuthPassword>().ok().map(|_| quoted(words)),
        Shape::Address => {
            let address = words.split('/').next().unwrap_or_default();
            address::parse_bare(address).ok().map(|_| quoted(address))
        }
        Shape::Addresses { .. } => addresses(words),
        Shape::Hosts => hosts(words),
        Shape::Command | Shape::OptionalCommand => command(words),
        Shape::Table(_) | Shape::Tables(_) => None,
    }
}

/// For a number or a duration outside the limits: the nearest legal value.
pub(super) fn nearest(shape: Shape, words: &str) -> Option<String> {
    let words = bare(words);
    match shape {
        Shape::Number { least, most, but } => {
            let clamped = number(words).map(|number| number.clamp(least, most));
            clamped.filter(|number| Some(*number) != but).map(|number| number.to_string())
        }
        Shape::Priority => number(words).map(|number| number.clamp(1, 254).to_string()),
        Shape::Duration { least, most } => {
            let range = duration::parse(least).ok()?..=duration::parse(most).ok()?;
            let (_, found) = time(words, |_| true)?;
            Some(quoted(&duration::text(clamped(found, &range))))
        }
        Shape::Interval => {
            let (_, found) = time(words, |_| true)?;
            let step = AdverInterval::MIN.period().as_millis();
            let below = u64::try_from(found.as_millis() / step * step).ok()?;
            let range = AdverInterval::MIN.period()..=LONGEST_INTERVAL;
            Some(quoted(&duration::text(clamped(Duration::from_millis(below), &range))))
        }
        Shape::Flag
        | Shape::Only(_)
        | Shape::Name
        | Shape::Password
        | Shape::Word
        | Shape::Path
        | Shape::Listener
        | Shape::Interface
        | Shape::Choice(_)
        | Shape::ChoiceOrAddress(_)
        | Shape::Address
        | Shape::Addresses { .. }
        | Shape::Hosts
        | Shape::Command
        | Shape::OptionalCommand
        | Shape::Table(_)
        | Shape::Tables(_) => None,
    }
}

/// An address and a port, of which a name for loopback, the address or the port may be missing.
fn listener(words: &str) -> Option<SocketAddr> {
    const USUAL_PORT: u16 = 9650;
    let whole = || words.parse::<SocketAddr>().ok();
    // `::1:9650` is an address as well, and probably not meant as one.
    let without_brackets = || {
        let (ip, port) = words.rsplit_once(':')?;
        let (ip, port) = (ip.parse::<Ipv6Addr>().ok()?, port.parse::<u16>().ok()?);
        (port >= 1024).then(|| (ip, port).into())
    };
    let alone = || words.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| (ip, USUAL_PORT).into());
    let of_loopback = || {
        let port = words.strip_prefix("localhost").unwrap_or(words);
        let port = port.strip_prefix(':').unwrap_or(port);
        let port = if port.is_empty() && !words.is_empty() { USUAL_PORT } else { port.parse().ok()? };
        Some((Ipv4Addr::LOCALHOST, port).into())
    };
    whole()
        .or_else(without_brackets)
        .or_else(alone)
        .or_else(of_loopback)
        .filter(|address: &SocketAddr| address.port() != 0)
}

/// A text as a TOML string, if it needs no escapes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The text without quotes of any kind around it, and without punctuation at its end that other
/// languages use.
fn bare(words: &str) -> &str {
    let quotes = ['"', '\'', '“', '”', '„', '‘', '’', '`'];
    words.trim().trim_end_matches([';', ',']).trim_matches(quotes).trim()
}

/// Whether all characters mean the same inside and outside of quotes.
fn plain(words: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    (1..=64).contains(&words.len()) && words.chars().all(legal)
}

/// Whether the text is an absolute path that needs no escapes in quotes.
fn is_path(words: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "/._-@+".contains(c);
    words.starts_with('/') && !words.ends_with('/') && words.chars().all(legal)
}

fn flag(words: &str) -> Option<bool> {
    match words.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "enable" | "enabled" => Some(true),
        "false" | "no" | "off" | "0" | "disable" | "disabled" | "none" => Some(false),
        _ => None,
    }
}

/// A whole number; `77.0` counts as one, and `007` is 7.
fn number(words: &str) -> Option<i64> {
    let whole = match words.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => words,
    };
    whole.parse().ok()
}

/// A text that `duration` accepts, and its value. A number without a unit counts as seconds if that
/// is allowed, and otherwise as milliseconds.
fn time(words: &str, allowed: impl Fn(Duration) -> bool) -> Option<(String, Duration)> {
    let text = units(words)?;
    let read = |text: String| duration::parse(&text).ok().map(|duration| (text, duration));
    let candidates = match duration::parse(&text) {
        Err(duration::DurationError::NoUnit) => vec![read(format!("{text}s")), read(format!("{text}ms"))],
        Ok(_) | Err(_) => vec![read(text)],
    };
    candidates.into_iter().flatten().find(|(_, duration)| allowed(*duration))
}

/// Replaces the unit names that people write by ours, removes spaces, and writes a decimal point
/// for a comma.
fn units(words: &str) -> Option<String> {
    let mut text: String = words.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    text = text.replace(',', ".");
    if text.starts_with('.') {
        text.insert(0, '0');
    }
    if text.len() > 40 || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut out = String::new();
    let mut rest = &*text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        out.push_str(number);
        out.push_str(match unit {
            "sec" | "secs" | "second" | "seconds" => "s",
            "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
            "min" | "mins" | "minute" | "minutes" => "m",
            "hr" | "hrs" | "hour" | "hours" => "h",
            "day" | "days" => "d",
            other => other,
        });
        rest = after;
    }
    Some(out)
}

/// Whether every version has such an interval, or VRRPv3 alone: which one the router speaks is not known.
fn is_interval(duration: Duration) -> bool {
    AdverInterval::from_duration(duration).is_ok_and(|interval| interval <= AdverInterval::MAX)
}

fn clamped(duration: Duration, range: &RangeInclusive<Duration>) -> Duration {
    duration.clamp(*range.start(), *range.end())
}

fn choice(texts: &[&str], words: &str) -> Option<String> {
    let off = |text: &&&str| **text == "none" && flag(words) == Some(false);
    let same = |text: &&&str| text.eq_ignore_ascii_case(&words.replace([' ', '-', '_'], ""));
    texts.iter().find(same).or_else(|| texts.iter().find(off)).map(|text| quoted(text))
}

fn addresses(words: &str) -> Option<String> {
    let inside = words.trim_start_matches('[').trim_end_matches(']');
    let separators = |c: char| c == ',' || c == ';' || c.is_whitespace();
    let listed = inside.split(separators).map(bare).filter(|word| !word.is_empty());
    let nets: Option<Vec<IpNet>> = listed.clone().map(|word| address::parse(word).ok()).collect();
    let nets = nets.filter(|nets| (1..=8).contains(&nets.len()))?;
    let distinct: std::collections::BTreeSet<_> = nets.iter().map(IpNet::addr).collect();
    (distinct.len() == nets.len()).then(|| list(listed))
}

/// Addresses without prefixes: a prefix that somebody wrote has no meaning here.
fn hosts(words: &str) -> Option<String> {
    let inside = words.trim_start_matches('[').trim_end_matches(']');
    let separators = |c: char| c == ',' || c == ';' || c.is_whitespace();
    let listed = inside.split(separators).map(bare).filter(|word| !word.is_empty());
    let listed = listed.map(|word| word.split('/').next().unwrap_or_default());
    let hosts: Option<Vec<IpAddr>> = listed.clone().map(|word| address::parse_bare(word).ok()).collect();
    let hosts = hosts.filter(|hosts| (1..=8).contains(&hosts.len()))?;
    let distinct: std::collections::BTreeSet<_> = hosts.iter().collect();
    (distinct.len() == hosts.len()).then(|| list(listed))
}

/// A command line without quotes or shell operators, written as a list.
fn command(words: &str) -> Option<String> {
    let inside = words.trim_start_matches('[').trim_end_matches(']');
    let legal = |c: char| c.is_ascii_alphanumeric() || " /._-=:@,+\"'".contains(c);
    if !inside.starts_with(['/', '"', '\'']) || inside.len() > 120 || !inside.chars().all(legal) {
        return None;
    }
    let separators: fn(char) -> bool =
        if words.starts_with('[') { |c| c == ',' } else { char::is_whitespace };
    let parts: Vec<_> = inside.split(separators).map(bare).filter(|word| !word.is_empty()).collect();
    let program = parts.first()?;
    let sound =
        program.starts_with('/') && !program.ends_with('/') && !parts.iter().any(|p| p.contains(['"', '\'']));
    sound.then(|| list(parts.into_iter()))
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.map(quoted).collect();
    format!("[{}]", words.join(", "))
}
