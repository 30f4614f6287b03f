//! Netlink attributes: octets with a kind and a length, some of which contain further attributes.

use netlink_packet_core::{NLA_F_NESTED, NlaBuffer, NlasIterator};

/// Length in octets of what comes before the value of an attribute.
const HEADER: usize = 4;

/// Appends attributes to a message.
#[derive(Debug)]
pub struct Attributes<'m>(&'m mut Vec<u8>);

impl<'m> Attributes<'m> {
    /// Attributes that are appended to `message`, whose length must be a multiple of 4.
    pub fn new(message: &'m mut Vec<u8>) -> Self {
        Self(message)
    }

    /// Appends an attribute whose value is these octets, at most 65,531.
    pub fn octets(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |message| message.extend_from_slice(value));
    }

    /// Appends an attribute whose value is a number of 32 bits.
    pub fn number(&mut self, kind: u16, value: u32) {
        self.octets(kind, &value.to_be_bytes());
    }

    /// Appends an attribute whose value is a number of 64 bits.
    pub fn long_number(&mut self, kind: u16, value: u64) {
        self.octets(kind, &value.to_be_bytes());
    }

    /// Appends an attribute whose value is a text, which the kernel expects to end with NUL.
    pub fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, |message| {
            message.extend_from_slice(value.as_bytes());
            message.push(0);
        });
    }

    /// Appends an attribute that contains the attributes which `fill` appends.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.attribute(kind | NLA_F_NESTED, |message| fill(&mut Attributes(message)));
    }

    fn attribute(&mut self, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; HEADER]);
        fill(self.0);
        // A value that is too long is cut short by the kernel's check of the length, which refuses
        // the message. The transaction splits lists before they are so long.
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        // The length and the kind are in the byte order of the machine.
        let [a, b] = length.to_ne_bytes();
        let [c, d] = kind.to_ne_bytes();
        if let Some(header) = self.0.get_mut(start..start + HEADER) {
            header.copy_from_slice(&[a, b, c, d]);
        }
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// The first attribute of this kind among those that `octets` consist of.
pub fn find(octets: &[u8], kind: u16) -> Option<&[u8]> {
    all(octets).find_map(|(of, value)| (of == kind).then_some(value))
}

/// The attributes that `octets` consist of, up to the first that is malformed.
pub fn all(octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(octets).map_while(Result::ok).map(|attribute: NlaBuffer<&[u8]>| {
        let length = attribute.value_length();
        let kind = attribute.kind();
        (kind, attribute.into_inner().get(HEADER..HEADER + length).unwrap_or_default())
    })
}

/// The text of an attribute, without its final NUL.
pub fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

/// The 64-bit number of an attribute.
pub fn long_number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_length_kind_value_and_padding() {
        let mut octets = Vec::new();
        Attributes::new(&mut octets).text(2, "stray");
        // As `nft add element` sends the name of a set, on a little-endian machine.
        let expected = [10_u16.to_ne_bytes().as_slice(), &2_u16.to_ne_bytes(), b"stray\0", &[0, 0]].concat();
        assert_eq!(octets, expected);
    }

    #[test]
    fn nested_attributes_are_inside_the_length_of_theirs_and_marked() {
        let mut octets = Vec::new();
        Attributes::new(&mut octets).nested(3, |outer| {
            outer.number(1, 0x0102_0304);
            outer.octets(2, &[9]);
        });
        assert_eq!(octets.len(), 4 + 8 + 8);
        assert_eq!(octets[..2], 20_u16.to_ne_bytes());
        assert_eq!(octets[2..4], (3 | NLA_F_NESTED).to_ne_bytes());
        let inner = find(&octets, 3).unwrap();
        assert_eq!(find(inner, 1), Some([1, 2, 3, 4].as_slice()));
        assert_eq!(find(inner, 2), Some([9].as_slice()));
        assert_eq!(find(inner, 4), None);
    }

    #[test]
    fn malformed_attributes_end_the_list() {
        assert_eq!(all(&[3, 0, 1, 0]).count(), 0, "shorter than its own header");
        assert_eq!(all(&[200, 0, 1, 0, 5]).count(), 0, "longer than the message");
        assert_eq!(all(&[1]).count(), 0);
    }

    #[test]
    fn numbers_are_read_in_network_order_and_only_at_their_length() {
        assert_eq!(long_number(&[0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(long_number(&[1, 2]), None);
        assert_eq!(text(b"eth0\0"), "eth0");
    }
}
