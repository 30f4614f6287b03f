//! The TOML document as tables that are read key by key, reporting everything that is wrong instead
//! of the first thing: `serde` with `deny_unknown_fields` stops at one error, so the spanned tables
//! of `toml::de` are walked by hand.

use super::problem::{Problems, shown};
use super::schema::{ANNOUNCE, KEEPALIVED, Known, Off, ROUTER, Schema, Support, TABLES};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What was read from one key.
#[derive(Debug, Clone)]
pub(super) enum Key<T> {
    /// It is not there.
    Absent,
    /// It is there, and what is wrong with it has been reported.
    Wrong,
    /// Its value.
    Is(Spanned<T>),
}

impl<T> Key<T> {
    /// This one, or that of `[defaults]`.
    pub(super) const fn or<'k>(&'k self, defaults: &'k Self) -> &'k Self {
        match self {
            Self::Absent => defaults,
            Self::Wrong | Self::Is(_) => self,
        }
    }

    /// The value, where one was read.
    pub(super) const fn spanned(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// The value, or `default` if there is none; `None` if it was wrong.
    pub(super) fn or_default(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(default),
            Self::Wrong => None,
            Self::Is(value) => Some(value.get_ref().clone()),
        }
    }

    /// The value, if there is one; the outer `None` if it was wrong.
    pub(super) fn optional(&self) -> Option<Option<T>>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(None),
            Self::Wrong => None,
            Self::Is(value) => Some(Some(value.get_ref().clone())),
        }
    }
}

/// The value of one key, or one element of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'d> {
    /// The key.
    pub(super) key: &'static str,
    /// The value.
    pub(super) value: &'d DeValue<'d>,
    start: usize,
    end: usize,
}

impl<'d> Item<'d> {
    fn new(key: &'static str, value: &'d Spanned<DeValue<'d>>) -> Self {
        let Range { start, end } = value.span();
        Self { key, value: value.get_ref(), start, end }
    }

    /// Where it is.
    pub(super) const fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The elements, if it is an array.
    pub(super) fn elements(&self) -> Option<impl Iterator<Item = Item<'d>> + use<'d>> {
        let key = self.key;
        self.value.as_array().map(|array| array.iter().map(move |value| Item::new(key, value)))
    }

    /// Reports that it is of another kind, or outside what is allowed.
    pub(super) fn refuse(&self, wanted: &str, write: &str, problems: &mut Problems) {
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

/// One table.
#[derive(Debug)]
pub(super) struct Table<'d> {
    schema: &'static Schema,
    start: usize,
    end: usize,
    entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    /// Takes a table and reports the keys that may not stand in it.
    pub(super) fn open(
        schema: &'static Schema,
        span: Range<usize>,
        entries: &'d DeTable<'d>,
        problems: &mut Problems,
    ) -> Self {
        for (name, value) in entries.iter() {
            match schema.key(name.get_ref()) {
                None => unknown(schema, name.get_ref(), name.span(), problems),
                Some(Known { support: Support::Now(_), .. }) => {}
                Some(Known { name: known, support: Support::Later(off) }) => {
                    let item = Item::new(known, value);
                    if !asks_for_nothing(*off, item.value, entries) {
                        not_yet(name.span(), &format!("`{known}`"), "remove it", problems);
                    }
                }
            }
        }
        Self { schema, start: span.start, end: span.end, entries }
    }

    /// Where its header is.
    pub(super) const fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The value of a key.
    pub(super) fn item(&self, key: &'static str) -> Option<Item<'d>> {
        debug_assert!(self.schema.key(key).is_some(), "{key} is not in the schema of {}", self.schema.header);
        self.entries.get(key).map(|value| Item::new(key, value))
    }

    /// Reads one key; `read` reports what is wrong with it.
    pub(super) fn key<T>(
        &self,
        key: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(Item<'d>, &mut Problems) -> Option<T>,
    ) -> Key<T> {
        match self.item(key) {
            None => Key::Absent,
            Some(item) => match read(item, problems) {
                None => Key::Wrong,
                Some(value) => Key::Is(Spanned::new(item.span(), value)),
            },
        }
    }

    /// The table behind a key, if there is one.
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

    /// The tables behind `[[key]]`, none if it is not there.
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

/// Refuses what the contract knows and this version cannot do.
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

fn unknown(schema: &'static Schema, name: &str, span: Range<usize>, problems: &mut Problems) {
    let (header, key) = (schema.header, shown(name));
    if schema.except.contains(&name) {
        let help = format!("write it in each {}", ROUTER.header);
        problems.error(span, format!("`{key}` cannot have a default"), help);
        return;
    }
    let elsewhere = TABLES.iter().find(|table| table.key(name).is_some());
    let keepalived = KEEPALIVED.iter().find(|(theirs, _)| *theirs == name);
    let help = if let Some(near) = schema.nearest(name) {
        format!("did you mean `{near}`?")
    } else if let Some(home) = elsewhere {
        let above =
            if header == ANNOUNCE.header { format!(": write it above {header}") } else { String::new() };
        format!("it belongs to {}{above}", home.header)
    } else if let Some((_, ours)) = keepalived {
        format!("that is keepalived's name; write {ours}")
    } else {
        let known: Vec<_> = schema.supported().collect();
        format!("known here: {}", known.join(", "))
    };
    problems.error(
        span,
        format!("unknown key `{key}` {} {header}", if header.starts_with("the") { "at" } else { "in" }),
        help,
    );
}
