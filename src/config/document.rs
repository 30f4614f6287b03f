//! The TOML document as tables that are read key by key. All errors of a document are reported
//! together. `serde` with `deny_unknown_fields` stops at the first error, so the spanned tables of
//! `toml::de` are read by hand.

use super::problem::{Problems, shown};
use super::schema::{ANNOUNCE, Known, Off, ROUTER, Schema, Shape, Support, TABLES};
use super::{correction, keepalived};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The result of reading one key.
#[derive(Debug, Clone)]
pub(super) enum Key<T> {
    /// The table does not have the key.
    Absent,
    /// The table has the key, and what is wrong with its value has been reported.
    Wrong,
    /// The table has the key with this value.
    Set(Spanned<T>),
}

impl<T> Key<T> {
    /// This key, or the one of `[defaults]` if this one is absent.
    pub(super) const fn or<'k>(&'k self, defaults: &'k Self) -> &'k Self {
        match self {
            Self::Absent => defaults,
            Self::Wrong | Self::Set(_) => self,
        }
    }

    /// The value, unless the key is absent or wrong.
    pub(super) const fn spanned(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// The value, or `default` if the key is absent; `None` if the value was wrong.
    pub(super) fn or_default(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(default),
            Self::Wrong => None,
            Self::Set(value) => Some(value.get_ref().clone()),
        }
    }

    /// The value, or `Some(None)` if the key is absent; `None` if the value was wrong.
    pub(super) fn optional(&self) -> Option<Option<T>>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(None),
            Self::Wrong => None,
            Self::Set(value) => Some(Some(value.get_ref().clone())),
        }
    }
}

/// The value of one key, or one element of a list behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'d> {
    pub(super) key: &'static str,
    pub(super) value: &'d DeValue<'d>,
    /// The shape of the values that the key accepts; `None` for an element of a list, which is only
    /// a part of such a value.
    shape: Option<Shape>,
    start: usize,
    end: usize,
}

impl<'d> Item<'d> {
    fn new(key: &'static str, shape: Option<Shape>, value: &'d Spanned<DeValue<'d>>) -> Self {
        let Range { start, end } = value.span();
        Self { key, value: value.get_ref(), shape, start, end }
    }

    /// Where the value is in the text.
    pub(super) const fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The elements, if the value is an array.
    pub(super) fn elements(&self) -> Option<impl Iterator<Item = Item<'d>> + use<'d>> {
        let key = self.key;
        self.value.as_array().map(|array| array.iter().map(move |value| Item::new(key, None, value)))
    }

    /// `key = value` with this value in the form that the key accepts, or else with the nearest
    /// legal value.
    pub(super) fn legal_form(&self) -> Option<String> {
        self.own_form().or_else(|| {
            let value = correction::nearest(self.shape?, &words(self.value)?)?;
            Some(format!("{} = {value}", self.key))
        })
    }

    /// `key = value` with this value in the form that the key accepts.
    pub(super) fn own_form(&self) -> Option<String> {
        let words = words(self.value)?;
        let value = correction::rewritten(self.shape?, &words)?;
        // Some keys accept less than their shape says: do not recommend the very value that the
        // operator wrote.
        let same = match self.value {
            DeValue::String(text) => correction::quoted(text) == value,
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => words == value,
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => false,
        };
        (!same).then(|| format!("{} = {value}", self.key))
    }

    /// Reports that the value is of a wrong kind or out of range. The recommendation is the value
    /// that the operator probably meant, or `write` if that is not known.
    pub(super) fn refuse(&self, wanted: &str, write: &str, problems: &mut Problems) {
        let own = self.own_form();
        self.refuse_for(wanted, own.as_deref().unwrap_or(write), problems);
    }

    /// As [`Self::refuse`], but the recommendation is always `write`.
    pub(super) fn refuse_for(&self, wanted: &str, write: &str, problems: &mut Problems) {
        let found = match self.value {
            DeValue::String(text) => format!("\"{}\"", shown(text)),
            DeValue::Integer(number) => shown(&number.to_string()),
            DeValue::Float(number) => shown(number.as_str()),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        let key = self.key;
        problems.error(self.span(), format!("`{key}` is {wanted}, not {found}"), format!("write {write}"));
    }
}

/// A value as an operator would type it who does not think of its TOML type.
fn words(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let decimal = i64::from_str_radix(number.as_str(), number.radix());
            Some(decimal.map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()))
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(array) => match array.iter().as_slice() {
            [only] if !matches!(only.get_ref(), DeValue::Array(_)) => words(only.get_ref()),
            _ => None,
        },
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// One table of the document and the keys that it may have.
#[derive(Debug)]
pub(super) struct Table<'d> {
    schema: &'static Schema,
    start: usize,
    end: usize,
    entries: &'d DeTable<'d>,
    /// Keys that the operator wrote under another name, so that their absence need not be reported.
    misnamed: BTreeSet<&'static str>,
}

impl<'d> Table<'d> {
    /// Wraps a table and reports the keys that it must not have.
    pub(super) fn open(
        schema: &'static Schema,
        span: Range<usize>,
        entries: &'d DeTable<'d>,
        problems: &mut Problems,
    ) -> Self {
        let mut misnamed = BTreeSet::new();
        for (name, value) in entries.iter() {
            match schema.key(name.get_ref()) {
                None => misnamed.extend(unknown(schema, name, value.get_ref(), problems)),
                Some(Known { support: Support::Now(_), .. }) => {}
                Some(Known { name: known, support: Support::Later(off) }) => {
                    if !asks_for_nothing(*off, value.get_ref(), entries) {
                        let instead = instead(known, value.get_ref());
                        not_yet(name.span(), &format!("`{known}`"), &instead, problems);
                    }
                }
            }
        }
        Self { schema, start: span.start, end: span.end, entries, misnamed }
    }

    /// Where the header of the table is in the text.
    pub(super) const fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) fn item(&self, key: &'static str) -> Option<Item<'d>> {
        let known = self.schema.key(key);
        debug_assert!(known.is_some(), "{key} is not in the schema of {}", self.schema.header);
        let shape = known.and_then(|known| known.support.shape());
        self.entries.get(key).map(|value| Item::new(key, shape, value))
    }

    /// Reads one key; `read` reports what is wrong with the value.
    pub(super) fn key<T>(
        &self,
        key: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(Item<'d>, &mut Problems) -> Option<T>,
    ) -> Key<T> {
        match self.item(key) {
            None if self.misnamed.contains(key) => Key::Wrong,
            None => Key::Absent,
            Some(item) => match read(item, problems) {
                None => Key::Wrong,
                Some(value) => Key::Set(Spanned::new(item.span(), value)),
            },
        }
    }

    /// The table behind a key, if the key is there.
    pub(super) fn table(
        &self,
        key: &'static str,
        schema: &'static Schema,
        problems: &mut Problems,
    ) -> Option<Table<'d>> {
        let item = self.item(key)?;
        match item.value {
            DeValue::Table(entries) => Some(Table::open(schema, item.span(), entries, problems)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                let header = schema.header;
                problems.error(
                    item.span(),
                    format!("`{key}` is one table"),
                    format!("write its keys under one {header}"),
                );
                None
            }
        }
    }

    /// The tables behind `[[key]]`; none if the key is absent.
    pub(super) fn tables(
        &self,
        key: &'static str,
        schema: &'static Schema,
        problems: &mut Problems,
    ) -> Vec<Table<'d>> {
        let Some(item) = self.item(key) else { return Vec::new() };
        let mut tables = Vec::new();
        if let DeValue::Table(entries) = item.value {
            let help = format!("write {} with two brackets on each side", schema.header);
            problems.error(item.span(), format!("there may be several of `{key}`"), help);
            tables.push(Table::open(schema, item.span(), entries, problems));
            return tables;
        }
        let Some(elements) = item.elements() else {
            item.refuse("a list of tables", schema.header, problems);
            return tables;
        };
        for element in elements {
            match element.value.as_table() {
                Some(entries) => tables.push(Table::open(schema, element.span(), entries, problems)),
                None => element.refuse("a list of tables", schema.header, problems),
            }
        }
        tables
    }
}

/// Reports a feature that the documentation names but this version does not support.
pub(super) fn not_yet(span: Range<usize>, what: &str, instead: &str, problems: &mut Problems) {
    problems.error(span, format!("{what} is not supported by this version yet"), instead);
}

fn asks_for_nothing(off: Off, value: &DeValue<'_>, beside: &DeTable<'_>) -> bool {
    match off {
        Off::Never => false,
        Off::False => value.as_bool() == Some(false),
        Off::Empty => value.as_array().is_some_and(|array| array.is_empty()),
        Off::Beside(key) => beside.contains_key(key),
    }
}

/// How to do without a key that this version does not support.
fn instead(key: &str, value: &DeValue<'_>) -> String {
    let plain = |text: &&str| text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    let text = value.as_str().filter(plain);
    match (key, text) {
        ("http", Some(url)) => format!(
            "write command = [\"/usr/bin/curl\", \"--fail\", \"--silent\", \"--output\", \"/dev/null\", \"{url}\"]"
        ),
        ("tcp", Some(place)) => match place.rsplit_once(':') {
            Some((host, port)) => {
                let host = host.trim_matches(['[', ']']);
                format!(
                    "write command = [\"/usr/bin/nc\", \"-z\", \"{host}\", \"{port}\"]; package netcat-openbsd"
                )
            }
            None => "write a `command` that tries the connection".to_owned(),
        },
        _ => "remove it".to_owned(),
    }
}

/// Reports a key that the table does not have. Returns the key that it stands for, if that is
/// certain.
fn unknown(
    schema: &'static Schema,
    name: &Spanned<Cow<'_, str>>,
    value: &DeValue<'_>,
    problems: &mut Problems,
) -> Option<&'static str> {
    let (header, span, name) = (schema.header, name.span(), &**name.get_ref());
    let key = shown(name);
    if schema.except.contains(&name) {
        let help = format!("write it in each {}", ROUTER.header);
        problems.error(span, format!("`{key}` cannot have a default"), help);
        return None;
    }
    let place = if header.starts_with("the") { "at" } else { "in" };
    let mut message = format!("unknown key `{key}` {place} {header}");
    if let Some(help) = keepalived::help(name, words(value).as_deref()) {
        message.push_str(": the name is keepalived's");
        problems.error(span, message, help);
        return keepalived::key(name).filter(|key| schema.key(key).is_some());
    }
    let elsewhere = TABLES.iter().find(|table| table.key(name).is_some());
    let near = schema.nearest(name);
    let help = if let Some(negated) = negated(schema, name) {
        format!("write {negated} = false")
    } else if let Some(near) = near {
        format!("did you mean `{near}`?")
    } else if let Some(home) = elsewhere {
        let above =
            if header == ANNOUNCE.header { format!(": write it above {header}") } else { String::new() };
        format!("it belongs to {}{above}", home.header)
    } else {
        let known: Vec<_> = schema.supported().collect();
        format!("known here: {}", known.join(", "))
    };
    problems.error(span, message, help);
    near
}

/// The boolean key whose opposite the name expresses.
fn negated(schema: &'static Schema, name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let rest = ["no_", "not_", "dont_", "disable_", "no"].iter().find_map(|not| name.strip_prefix(not))?;
    let near = schema.nearest(rest)?;
    let shape = schema.key(near).and_then(|known| known.support.shape());
    (shape == Some(Shape::Flag)).then_some(near)
}
