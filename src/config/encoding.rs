//! Decodes the octets of a configuration file as UTF-8, or says where they are not UTF-8 and how to
//! convert the file.

use std::fmt;

/// The file is not encoded in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUtf8 {
    /// Line of the first octet that is not UTF-8, counted from 1.
    pub line: usize,
    /// Column of that octet, in characters, counted from 1.
    pub column: usize,
    /// The first octet that is not UTF-8.
    pub octet: u8,
    probably: Probably,
}

/// The encoding that such a file usually has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probably {
    Latin1,
    Utf16,
}

/// Decodes octets as UTF-8.
///
/// # Errors
/// [`NotUtf8`] with the place of the first octet that is not UTF-8.
pub fn decode(octets: Vec<u8>) -> Result<String, NotUtf8> {
    String::from_utf8(octets).map_err(|error| {
        let octets = error.as_bytes();
        let (text, rest) = octets.split_at(error.utf8_error().valid_up_to());
        let text = String::from_utf8_lossy(text);
        let line = text.matches('\n').count() + 1;
        let column = text.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let utf16 = octets.starts_with(&[0xff, 0xfe]) || octets.starts_with(&[0xfe, 0xff]);
        let probably = if utf16 { Probably::Utf16 } else { Probably::Latin1 };
        NotUtf8 { line, column, octet: rest.first().copied().unwrap_or_default(), probably }
    })
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, octet, probably } = self;
        let from = match probably {
            Probably::Latin1 => "latin1",
            Probably::Utf16 => "utf-16",
        };
        write!(
            f,
            "line {line}, column {column}: the octet 0x{octet:02X} is not UTF-8. \
             Convert the file: iconv -f {from} -t utf-8 OLD > NEW"
        )
    }
}

impl std::error::Error for NotUtf8 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_are_not_utf_8_are_located_and_explained() {
        for (octets, said) in [
            (
                &b"# na\xc3\xafve\n# caf\xe9\n"[..],
                "line 2, column 6: the octet 0xE9 is not UTF-8. Convert the file: iconv -f latin1",
            ),
            (
                b"\xff\xfe[\0",
                "line 1, column 1: the octet 0xFF is not UTF-8. Convert the file: iconv -f utf-16",
            ),
            (
                b"\xfe\xff\0[",
                "line 1, column 1: the octet 0xFE is not UTF-8. Convert the file: iconv -f utf-16",
            ),
        ] {
            let error = decode(octets.to_vec()).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
        assert_eq!(decode(b"# caf\xc3\xa9\n".to_vec()).as_deref(), Ok("# café\n"));
    }
}
