//! The environment variable that says what is logged.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// The environment variable that sets levels: `debug`, or `info,vrrpd::control=debug`.
pub const LEVEL_VARIABLE: &str = "VRRPD_LOG";

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// The text has a word that is not a level. Without this error, `warning` would be taken for the
/// name of a part of the program, and nothing would be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{LEVEL_VARIABLE} has {0:?}, which is not a log level. The levels are off, error, warn, info, debug and trace; a part of \
     the program gets one of its own like this: {LEVEL_VARIABLE}=info,vrrpd::control=debug"
)]
pub struct LevelError(String);

/// Reads the levels that the environment asks for. Without the variable the level is INFO.
///
/// # Errors
/// [`LevelError`].
pub fn levels() -> Result<Targets, LevelError> {
    let text = std::env::var_os(LEVEL_VARIABLE).unwrap_or_default();
    parse(&text.to_string_lossy())
}

pub(super) fn parse(text: &str) -> Result<Targets, LevelError> {
    let mut levels = Targets::new().with_default(LevelFilter::INFO);
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = || LevelError(part.to_owned());
        levels = match part.split_once('=') {
            None => levels.with_default(level(part).ok_or_else(wrong)?),
            Some((target, name)) => {
                let target = target.trim();
                if target != "vrrpd" && !target.starts_with("vrrpd::") {
                    return Err(wrong());
                }
                levels.with_target(target, level(name.trim()).ok_or_else(wrong)?)
            }
        };
    }
    Ok(levels)
}

fn level(name: &str) -> Option<LevelFilter> {
    LEVELS.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_is_one_of_six_words_for_everything_or_for_a_part() {
        let table = [
            ("", [true, false, false]),
            ("info", [true, false, false]),
            (" WARN ", [false, false, false]),
            ("debug", [true, true, true]),
            ("vrrpd::control=debug", [true, true, false]),
            ("warn,vrrpd::control=debug", [false, true, false]),
            ("off", [false, false, false]),
        ];
        for (text, expected) in table {
            let levels = parse(text).unwrap();
            let enabled = [
                levels.would_enable("vrrpd::runtime", &Level::INFO),
                levels.would_enable("vrrpd::control::server", &Level::DEBUG),
                levels.would_enable("vrrpd::runtime", &Level::DEBUG),
            ];
            assert_eq!(enabled, expected, "{text:?}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_those_that_are() {
        for text in ["warning", "verbose", "info,notice", "vrrpd=loud", "vrpd::control=debug", "3"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("off, error, warn, info, debug and trace"), "{text}: {error}");
        }
        let error = parse("info,verbose").unwrap_err().to_string();
        assert!(error.starts_with("VRRPD_LOG has \"verbose\", which is not a log level."), "{error}");
    }
}
