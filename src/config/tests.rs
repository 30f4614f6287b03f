//! Tests of everything between a text and its [`Config`].

mod advice;
mod any_text;
mod documentation;
mod errors;
mod examples;
mod goldens;
mod meaning;
mod plan;
mod to_toml;
mod warnings;

use super::{Config, Finding, resolve};

/// A router with everything that is required. A test can append more keys.
const ROUTER: &str = "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n";

/// [`ROUTER`] with one IPv4 address.
fn router_with(keys: &str) -> String {
    format!("{ROUTER}addresses = [\"192.0.2.50/24\"]\n{keys}\n")
}

fn good(text: &str) -> Config {
    match resolve(text, "test.toml") {
        Ok(resolved) => resolved.config,
        Err(errors) => panic!("{errors:#?}\n{text}"),
    }
}

fn errors(text: &str) -> Vec<Finding> {
    match resolve(text, "test.toml") {
        Ok(resolved) => panic!("this is accepted: {text}\n{resolved:#?}"),
        Err(errors) => errors.into_iter().map(|error| error.0).collect(),
    }
}

fn warnings(text: &str) -> Vec<Finding> {
    match resolve(text, "test.toml") {
        Ok(resolved) => resolved.warnings.into_iter().map(|warning| warning.0).collect(),
        Err(errors) => panic!("{errors:#?}\n{text}"),
    }
}
