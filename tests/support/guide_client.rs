//! What the client of docs/getting-started.md saw: it asks again and again, prints the page, which names the
//! frontend, and `LOST` if there was none, behind curl's own words.

/// curl's words for a connection that was open when its address moved: the new machine knows no such connection and
/// answers with a reset. No move of an address can spare a client that (docs/operations.md).
const RESET: [&str; 2] = ["curl: (55) ", "curl: (56) "];
const FRONTENDS: [&str; 2] = ["fe0", "fe1"];

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    ServedBy(&'a str),
    /// Its connection was reset.
    Cut,
    /// Nobody answered, or a proxy that reached nobody.
    Lost,
}

/// Every request whose end the log tells, in order.
pub(crate) fn outcomes(log: &str) -> impl Iterator<Item = Outcome<'_>> {
    let mut reset = false;
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole.lines().filter_map(move |line| {
        if line.starts_with("curl: ") {
            reset = RESET.iter().any(|words| line.starts_with(words));
            return None;
        }
        let outcome = match line {
            frontend if FRONTENDS.contains(&frontend) => Outcome::ServedBy(frontend),
            "LOST" if reset => Outcome::Cut,
            _ => Outcome::Lost,
        };
        reset = false;
        Some(outcome)
    })
}

/// How many requests ended so.
pub(crate) fn count(log: &str, ended: impl Fn(Outcome<'_>) -> bool) -> usize {
    outcomes(log).filter(|outcome| ended(*outcome)).count()
}
