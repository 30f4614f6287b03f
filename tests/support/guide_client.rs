//! What the client of docs/getting-started.md saw. The client asks again and again, and prints the
//! page, which names the frontend. If there was no page, it prints `LOST` after curl's message.

/// The messages of curl for a connection that was open when its address moved: the new machine does
/// not know the connection and answers with a reset. No move of an address can spare a client that
/// (docs/operations.md).
const RESET: [&str; 2] = ["curl: (55) ", "curl: (56) "];
const FRONTENDS: [&str; 2] = ["fe0", "fe1"];

/// The result of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    ServedBy(&'a str),
    /// Its connection was reset.
    Cut,
    /// There was no answer, or a proxy answered that did not reach a server.
    Lost,
}

/// The result of every request whose end is in the log, in order.
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

/// How many requests ended in this way.
pub(crate) fn count(log: &str, ended: impl Fn(Outcome<'_>) -> bool) -> usize {
    outcomes(log).filter(|outcome| ended(*outcome)).count()
}
