//! Reads paths out of a Rust source file: comments and literals are blanked, and `use` trees are
//! expanded. A parser is not needed, because the rules that use this module depend on names only.

/// `text` with the content of comments, strings and characters replaced by blanks, so that the
/// lines stay the same.
pub(crate) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        let previous = at.checked_sub(1).and_then(|before| chars.get(before)).copied();
        let skipped = match c {
            '/' if rest.get(1) == Some(&'/') => line_comment(rest),
            '/' if rest.get(1) == Some(&'*') => block_comment(rest),
            '"' => quoted(rest, '"'),
            'r' if !previous.is_some_and(is_word) || previous == Some('b') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(c);
            at += 1;
        } else {
            let hidden = rest.get(..skipped).unwrap_or(rest);
            code.extend(hidden.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at += skipped;
        }
    }
    code
}

fn line_comment(rest: &[char]) -> usize {
    rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    for (at, pair) in rest.windows(2).enumerate() {
        match pair {
            ['/', '*'] => depth += 1,
            ['*', '/'] => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 2;
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.iter().enumerate().skip(1) {
        match *c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of `r"…"` or `r#"…"#`; 0 if this `r` does not begin such a string.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest.iter().skip(1).take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut at = 2 + hashes;
    while at < rest.len() {
        let closes = rest.get(at) == Some(&'"');
        let followed = rest.iter().skip(at + 1).take_while(|c| **c == '#').count();
        if closes && followed >= hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// Length of a character literal; 0 for a lifetime.
fn character(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), Some(_)) => quoted(rest, '\''),
        (Some(_), Some('\'')) => 3,
        _ => 0,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A path such as `crate::types::Vrid`, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Line of the statement with the first segment, counted from 1.
    pub(crate) line: usize,
    /// The names between `::`.
    pub(crate) segments: Vec<String>,
}

impl NamedPath {
    /// Whether the path starts with these segments, written `a::b`.
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        prefix
            .split("::")
            .enumerate()
            .all(|(at, want)| self.segments.get(at).is_some_and(|have| have == want))
    }
}

/// Every path of two or more segments in code from [`code_only`], and every single name that is the
/// root of a `use`. Groups (`use a::{b, c::d}`) count as one path for each name.
pub(crate) fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.text == "::" || !token.text.starts_with(|c: char| is_word(c)) {
            at += 1;
            continue;
        }
        if token.text == "use" || token.text == "extern" {
            at += 1;
            continue;
        }
        let mut prefix = Vec::new();
        let in_use = at > 0 && tokens.get(at - 1).is_some_and(|before| before.text == "use");
        let next = tree(&tokens, at, &mut prefix, &mut found);
        if !in_use && next == at + 1 {
            // A single name outside of `use` is not a path.
            found.pop();
        }
        at = next.max(at + 1);
    }
    found
}

/// Reads one tree from `at`, appends its paths, and returns where the tree ends.
fn tree(tokens: &[Token], at: usize, prefix: &mut Vec<String>, found: &mut Vec<NamedPath>) -> usize {
    let depth = prefix.len();
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut at = at;
    let mut group = false;
    while let Some(token) = tokens.get(at) {
        if token.text == "{" && prefix.len() > depth && is_separator(tokens, at) {
            group = true;
            at = members(tokens, at + 1, prefix, found);
            break;
        }
        if !token.text.starts_with(|c: char| is_word(c) || c == '*') {
            break;
        }
        prefix.push(token.text.clone());
        at += 1;
        if tokens.get(at).is_some_and(|token| token.text == "::") {
            at += 1;
        } else {
            break;
        }
    }
    if !group && prefix.len() > depth {
        found.push(NamedPath { line, segments: prefix.clone() });
    }
    prefix.truncate(depth);
    at
}

fn members(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<NamedPath>) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "}" => return at + 1,
            "," => at += 1,
            // In `self as Name`, the name is not a path.
            "as" => at += 2,
            _ => at = tree(tokens, at, prefix, found).max(at + 1),
        }
    }
    at
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| token.text == "::")
}

struct Token {
    line: usize,
    text: String,
}

/// Splits code into words, `::`, and single other characters.
fn tokens(code: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut joined = false;
    let mut colon = false;
    for c in code.chars() {
        let continues = joined && is_word(c);
        joined = is_word(c);
        let second_colon = colon && c == ':';
        colon = c == ':' && !second_colon;
        match c {
            '\n' => line += 1,
            _ if c.is_whitespace() => {}
            _ if continues || second_colon => {
                if let Some(last) = tokens.last_mut() {
                    last.text.push(c);
                }
            }
            _ => tokens.push(Token { line, text: c.to_string() }),
        }
    }
    tokens
}
