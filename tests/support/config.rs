//! Configuration text for the daemons under test.

use std::fmt::Write;

/// A whole configuration, as text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    text: String,
}

/// One `[[virtual_router]]` on `eth0` with VRID 51 and an interval of 100 ms.
#[derive(Debug, Clone)]
pub(crate) struct Router {
    name: String,
    keys: Vec<(String, String)>,
    announce: Vec<(String, String)>,
}

impl Config {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A configuration with one router.
    pub(crate) fn of(router: &Router) -> Self {
        Self::new().with(router)
    }

    /// Sets keys of `[agent]`. To be called before anything else is added.
    pub(crate) fn agent(mut self, keys: &[(&str, &str)]) -> Self {
        self.text.push_str("[agent]\n");
        for (key, value) in keys {
            let _ = writeln!(self.text, "{key} = {value:?}");
        }
        self
    }

    pub(crate) fn with(mut self, router: &Router) -> Self {
        self.text.push_str(&router.text());
        self
    }

    /// A check that passes while `path` exists. It runs every 100 ms, and one run decides.
    pub(crate) fn file_check(self, name: &str, path: &str) -> Self {
        self.check(name, &format!("[\"/usr/bin/test\", \"-e\", {path:?}]"), &[])
    }

    /// Adds a check with keys of its own.
    pub(crate) fn check(mut self, name: &str, command: &str, keys: &[(&str, &str)]) -> Self {
        let mut all = vec![("interval", "\"100ms\""), ("timeout", "\"5s\""), ("rise", "1"), ("fall", "1")];
        all.retain(|(key, _)| !keys.iter().any(|(other, _)| other == key));
        let _ = writeln!(self.text, "[[check]]\nname = {name:?}\ncommand = {command}");
        for (key, value) in all.iter().chain(keys) {
            let _ = writeln!(self.text, "{key} = {value}");
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Router {
    pub(crate) fn new(name: &str) -> Self {
        let router = Self { name: name.to_owned(), keys: Vec::new(), announce: Vec::new() };
        router.key("interface", "\"eth0\"").vrid(51).interval("100ms")
    }

    pub(crate) fn vrid(self, vrid: u8) -> Self {
        self.key("vrid", &vrid.to_string())
    }

    pub(crate) fn priority(self, priority: u8) -> Self {
        self.key("priority", &priority.to_string())
    }

    pub(crate) fn interval(self, interval: &str) -> Self {
        self.key("advertise_interval", &format!("{interval:?}"))
    }

    pub(crate) fn addresses(self, addresses: &[&str]) -> Self {
        self.key("addresses", &format!("{addresses:?}"))
    }

    /// Sets any other key; the value is TOML. The last value counts.
    pub(crate) fn key(mut self, key: &str, value: &str) -> Self {
        self.keys.retain(|(other, _)| other != key);
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets a key of `[virtual_router.announce]`.
    pub(crate) fn announce(mut self, key: &str, value: &str) -> Self {
        self.announce.push((key.to_owned(), value.to_owned()));
        self
    }

    fn text(&self) -> String {
        let mut text = format!("[[virtual_router]]\nname = {:?}\n", self.name);
        for (key, value) in &self.keys {
            let _ = writeln!(text, "{key} = {value}");
        }
        if !self.announce.is_empty() {
            text.push_str("[virtual_router.announce]\n");
        }
        for (key, value) in &self.announce {
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }
}
