//! Messages and frames with known contents, computed twice and independently of this code (with a
//! program of our own and with scapy 2.8.0; tshark 4.0.17 confirmed them); P40 to P45 were captured from
//! other implementations. The table is plain data, for every test that injects or reads packets.
//!
//! Where a vector does not say otherwise: VRID 51, and virtual address 192.0.2.254 from 192.0.2.1,
//! or fe80::51 and 2001:db8:51::fe from fe80::a.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of the table")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

/// How the checksum of a VRRPv3/IPv4 message was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Over the message only: RFC 9568. IPv6 and VRRPv2 have only one form, and are listed as this
    /// one.
    M,
    /// With the pseudo-header: RFC 5798 as deployed.
    P,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Vector {
    pub id: &'static str,
    pub form: Form,
    /// The IP source address, which also gives the family.
    pub source: &'static str,
    /// The IP payload in hexadecimal.
    pub message: &'static str,
    pub verdict: Verdict,
}

/// What a router without configuration does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted {
        vrid: u8,
        priority: u8,
        centiseconds: u16,
        addresses: &'static [&'static str],
    },
    /// The message is rejected, and this counter counts it.
    Rejected(&'static str),
}

impl Vector {
    /// The name of the vector in failures: `P01m`.
    pub fn name(&self) -> String {
        let form = match self.form {
            Form::M => 'm',
            Form::P => 'p',
        };
        format!("{}{form}", self.id)
    }

    /// Whether the message is one of VRRPv2.
    pub fn is_of_version_2(&self) -> bool {
        self.message.starts_with('2')
    }

    pub fn octets(&self) -> Vec<u8> {
        from_hex(self.message)
    }
}

/// The octets of a string of hexadecimal digits.
pub fn from_hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "an odd number of digits");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// The vector with this id and form.
pub fn vector(id: &str, form: Form) -> &'static Vector {
    VECTORS.iter().find(|vector| vector.id == id && vector.form == form).expect("no such vector")
}

/// The Ethernet frame of P01m.
pub const F01: &str = "01005e00001200005e000133080045c0002000000000ff70189ac0000201e0000012\
                       313364010064a768c00002fe";
/// The Ethernet frame of P20.
pub const F20: &str = "33330000001200005e00023386dd6c000000002870fffe80000000000000000000000000000a\
                       ff0200000000000000000000000000123133640200643e54fe80000000000000000000000000\
                       005120010db80051000000000000000000fe";
/// The gratuitous ARP of a router that becomes Active.
pub const G01: &str = "ffffffffffff00005e0001330806000108000604000100005e000133c00002fe\
                       00005e000133c00002fe";
/// The unsolicited Neighbor Advertisement of a router that becomes Active.
pub const N01: &str = "33330000000100005e00023386dd6000000000203aff20010db80051000000000000000000fe\
                       ff0200000000000000000000000000018800185ca000000020010db80051000000000000000000\
                       fe020100005e000233";

const V254: &[&str] = &["192.0.2.254"];
const V254_253: &[&str] = &["192.0.2.254", "192.0.2.253"];
const V6: &[&str] = &["fe80::51", "2001:db8:51::fe"];

const fn accepts(vrid: u8, priority: u8, centiseconds: u16, addresses: &'static [&'static str]) -> Verdict {
    Verdict::Accepted { vrid, priority, centiseconds, addresses }
}

const fn rejects(counter: &'static str) -> Verdict {
    Verdict::Rejected(counter)
}

/// All vectors.
#[rustfmt::skip]
pub const VECTORS: &[Vector] = &[
    // priority 100, 1 s
    Vector { id: "P01", form: Form::M, source: "192.0.2.1", message: "313364010064a768c00002fe", verdict: accepts(51, 100, 100, V254) },
    Vector { id: "P01", form: Form::P, source: "192.0.2.1", message: "31336401006404d8c00002fe", verdict: accepts(51, 100, 100, V254) },
    // a resignation
    Vector { id: "P02", form: Form::M, source: "192.0.2.1", message: "3133000100640b69c00002fe", verdict: accepts(51, 0, 100, V254) },
    Vector { id: "P02", form: Form::P, source: "192.0.2.1", message: "31330001006468d8c00002fe", verdict: accepts(51, 0, 100, V254) },
    // the owner
    Vector { id: "P03", form: Form::M, source: "192.0.2.1", message: "3133ff0100640c68c00002fe", verdict: accepts(51, 255, 100, V254) },
    Vector { id: "P03", form: Form::P, source: "192.0.2.1", message: "3133ff01006469d7c00002fe", verdict: accepts(51, 255, 100, V254) },
    // priority 200, 100 ms
    Vector { id: "P04", form: Form::M, source: "192.0.2.1", message: "3133c801000a43c2c00002fe", verdict: accepts(51, 200, 10, V254) },
    Vector { id: "P04", form: Form::P, source: "192.0.2.1", message: "3133c801000aa131c00002fe", verdict: accepts(51, 200, 10, V254) },
    // P01 from a greater address; the message form of the checksum does not depend on the address
    Vector { id: "P05", form: Form::M, source: "192.0.2.200", message: "313364010064a768c00002fe", verdict: accepts(51, 100, 100, V254) },
    Vector { id: "P05", form: Form::P, source: "192.0.2.200", message: "3133640100640411c00002fe", verdict: accepts(51, 100, 100, V254) },
    // priority 254, 40.95 s, two addresses
    Vector { id: "P06", form: Form::M, source: "192.0.2.1", message: "3133fe020fff3acec00002fec00002fd", verdict: accepts(51, 254, 4095, &["192.0.2.254", "192.0.2.253"]) },
    Vector { id: "P06", form: Form::P, source: "192.0.2.1", message: "3133fe020fff9839c00002fec00002fd", verdict: accepts(51, 254, 4095, &["192.0.2.254", "192.0.2.253"]) },
    // interval 0
    Vector { id: "P07", form: Form::M, source: "192.0.2.1", message: "3133c801000043ccc00002fe", verdict: rejects("interval_zero") },
    Vector { id: "P07", form: Form::P, source: "192.0.2.1", message: "3133c8010000a13bc00002fe", verdict: rejects("interval_zero") },
    // no address
    Vector { id: "P08", form: Form::M, source: "192.0.2.1", message: "3133c80000640668", verdict: rejects("addr_count_errors") },
    Vector { id: "P08", form: Form::P, source: "192.0.2.1", message: "3133c800006463db", verdict: rejects("addr_count_errors") },
    // Reserve 0xF
    Vector { id: "P09", form: Form::M, source: "192.0.2.1", message: "3133c801f0645367c00002fe", verdict: accepts(51, 200, 100, V254) },
    Vector { id: "P09", form: Form::P, source: "192.0.2.1", message: "3133c801f064b0d6c00002fe", verdict: accepts(51, 200, 100, V254) },
    // Type 2
    Vector { id: "P10", form: Form::M, source: "192.0.2.1", message: "3233c80100644268c00002fe", verdict: rejects("invalid_type_pkts_rcvd") },
    Vector { id: "P10", form: Form::P, source: "192.0.2.1", message: "3233c80100649fd7c00002fe", verdict: rejects("invalid_type_pkts_rcvd") },
    // Version 4
    Vector { id: "P11", form: Form::M, source: "192.0.2.1", message: "4133c80100643368c00002fe", verdict: rejects("version_errors") },
    Vector { id: "P11", form: Form::P, source: "192.0.2.1", message: "4133c801006490d7c00002fe", verdict: rejects("version_errors") },
    // count 2, one address present
    Vector { id: "P12", form: Form::M, source: "192.0.2.1", message: "3133c80200644367c00002fe", verdict: rejects("packet_length_errors") },
    Vector { id: "P12", form: Form::P, source: "192.0.2.1", message: "3133c8020064a0d6c00002fe", verdict: rejects("packet_length_errors") },
    // one bit is wrong in both forms
    Vector { id: "P13", form: Form::M, source: "192.0.2.1", message: "3133c80100644369c00002fe", verdict: rejects("checksum_errors") },
    Vector { id: "P13", form: Form::P, source: "192.0.2.1", message: "3133c8010064a0d6c00002fe", verdict: rejects("checksum_errors") },
    // VRID 52
    Vector { id: "P14", form: Form::M, source: "192.0.2.1", message: "3134c80100644367c00002fe", verdict: accepts(52, 200, 100, V254) },
    Vector { id: "P14", form: Form::P, source: "192.0.2.1", message: "3134c8010064a0d6c00002fe", verdict: accepts(52, 200, 100, V254) },
    // another address
    Vector { id: "P15", form: Form::M, source: "192.0.2.1", message: "3133c80100644369c00002fd", verdict: accepts(51, 200, 100, &["192.0.2.253"]) },
    Vector { id: "P15", form: Form::P, source: "192.0.2.1", message: "3133c8010064a0d8c00002fd", verdict: accepts(51, 200, 100, &["192.0.2.253"]) },
    // priority 50
    Vector { id: "P16", form: Form::M, source: "192.0.2.1", message: "313332010064d968c00002fe", verdict: accepts(51, 50, 100, V254) },
    Vector { id: "P16", form: Form::P, source: "192.0.2.1", message: "31333201006436d8c00002fe", verdict: accepts(51, 50, 100, V254) },
    // a checksum of 0x0000
    Vector { id: "P17", form: Form::M, source: "192.0.2.1", message: "3133c80200640000c00002fe0a013966", verdict: accepts(51, 200, 100, &["192.0.2.254", "10.1.57.102"]) },
    Vector { id: "P17", form: Form::P, source: "192.0.2.1", message: "3133c80200640000c00002fe0a0196d1", verdict: accepts(51, 200, 100, &["192.0.2.254", "10.1.150.209"]) },
    // a plain Active of higher priority
    Vector { id: "P18", form: Form::M, source: "192.0.2.1", message: "3133c80100644368c00002fe", verdict: accepts(51, 200, 100, V254) },
    Vector { id: "P18", form: Form::P, source: "192.0.2.1", message: "3133c8010064a0d7c00002fe", verdict: accepts(51, 200, 100, V254) },
    // IPv6, priority 100
    Vector { id: "P20", form: Form::M, source: "fe80::a", message: "3133640200643e54fe80000000000000000000000000005120010db80051000000000000000000fe", verdict: accepts(51, 100, 100, V6) },
    // IPv6, a resignation
    Vector { id: "P21", form: Form::M, source: "fe80::a", message: "313300020064a254fe80000000000000000000000000005120010db80051000000000000000000fe", verdict: accepts(51, 0, 100, V6) },
    // IPv6, the first address is global: whether that is allowed depends on the configuration, so
    // it parses
    Vector { id: "P22", form: Form::M, source: "fe80::a", message: "3133c8020064da5320010db80051000000000000000000fefe800000000000000000000000000051", verdict: accepts(51, 200, 100, &["2001:db8:51::fe", "fe80::51"]) },
    // IPv6, checksum without pseudo-header
    Vector { id: "P23", form: Form::M, source: "fe80::a", message: "3133c8020064d88bfe80000000000000000000000000005120010db80051000000000000000000fe", verdict: rejects("checksum_errors") },
    // IPv6, 100 ms
    Vector { id: "P24", form: Form::M, source: "fe80::a", message: "3133c802000adaadfe80000000000000000000000000005120010db80051000000000000000000fe", verdict: accepts(51, 200, 10, V6) },
    // P20 from a greater address
    Vector { id: "P25", form: Form::M, source: "fe80::ffff", message: "3133640200643e5efe80000000000000000000000000005120010db80051000000000000000000fe", verdict: accepts(51, 100, 100, V6) },
    // IPv6, priority 200
    Vector { id: "P26", form: Form::M, source: "fe80::a", message: "3133c8020064da53fe80000000000000000000000000005120010db80051000000000000000000fe", verdict: accepts(51, 200, 100, V6) },
    // VRRPv2, priority 100, 1 s
    Vector { id: "P30", form: Form::M, source: "192.0.2.1", message: "213364010001b7cbc00002fe0000000000000000", verdict: accepts(51, 100, 100, &["192.0.2.254"]) },
    // VRRPv2, a resignation
    Vector { id: "P31", form: Form::M, source: "192.0.2.1", message: "2133000100011bccc00002fe0000000000000000", verdict: accepts(51, 0, 100, &["192.0.2.254"]) },
    // VRRPv2, 3 s
    Vector { id: "P32", form: Form::M, source: "192.0.2.1", message: "2133c801000353c9c00002fe0000000000000000", verdict: accepts(51, 200, 300, &["192.0.2.254"]) },
    // VRRPv2, authentication 1
    Vector { id: "P33", form: Form::M, source: "192.0.2.1", message: "2133c8010101167fc00002fe7365637265740000", verdict: accepts(51, 200, 100, &["192.0.2.254"]) },
    // VRRPv2, two addresses
    Vector { id: "P34", form: Form::M, source: "192.0.2.1", message: "2133c802000190ccc00002fec00002fd0000000000000000", verdict: accepts(51, 200, 100, &["192.0.2.254", "192.0.2.253"]) },
    // VRRPv2, the owner, two addresses
    Vector { id: "P35", form: Form::M, source: "192.0.2.1", message: "2133ff02000159ccc00002fec00002fd0000000000000000", verdict: accepts(51, 255, 100, &["192.0.2.254", "192.0.2.253"]) },
    // VRRPv2, as keepalived 2.2.7 sent it
    Vector { id: "P40", form: Form::M, source: "192.0.2.1", message: "21339601000185cbc00002fe0000000000000000", verdict: accepts(51, 150, 100, V254) },
    // VRRPv2, a resignation of keepalived 2.2.7
    Vector { id: "P41", form: Form::M, source: "192.0.2.1", message: "2133000100011bccc00002fe0000000000000000", verdict: accepts(51, 0, 100, V254) },
    // VRRPv2, as keepalived 2.2.7 sent it with the password "secret"
    Vector { id: "P42", form: Form::M, source: "192.0.2.1", message: "2133960201018580c00002fec00002fd7365637265740000", verdict: accepts(51, 150, 100, V254_253) },
    // VRRPv2, a resignation of keepalived 2.2.7 with the password "secret"
    Vector { id: "P43", form: Form::M, source: "192.0.2.1", message: "2133000201011b81c00002fec00002fd7365637265740000", verdict: accepts(51, 0, 100, V254_253) },
    // VRRPv2, as FRR 8.4.4 sent it
    Vector { id: "P44", form: Form::M, source: "192.0.2.1", message: "21339601000185cbc00002fe0000000000000000", verdict: accepts(51, 150, 100, V254) },
    // VRRPv2, a resignation of FRR 8.4.4
    Vector { id: "P45", form: Form::M, source: "192.0.2.1", message: "2133000100011bccc00002fe0000000000000000", verdict: accepts(51, 0, 100, V254) },
];

/// A frame that another implementation sent.
#[derive(Debug, Clone, Copy)]
pub struct CapturedFrame {
    /// The vector that it carries.
    pub id: &'static str,
    /// Who sent it.
    pub by: &'static str,
    /// The whole frame in hexadecimal.
    pub frame: &'static str,
}

/// Frames of VRRPv2, captured in a network namespace on 2026-11-29 from the packages of Debian 12:
/// priority 150 and one second, then their orderly end.
#[rustfmt::skip]
pub const CAPTURED: &[CapturedFrame] = &[
    CapturedFrame { id: "P40", by: "keepalived 2.2.7", frame: "01005e00001202000000000a080045c0002800010000ff701891c0000201e000001221339601000185cbc00002fe0000000000000000" },
    CapturedFrame { id: "P41", by: "keepalived 2.2.7", frame: "01005e00001202000000000a080045c0002800040000ff70188ec0000201e00000122133000100011bccc00002fe0000000000000000" },
    CapturedFrame { id: "P42", by: "keepalived 2.2.7", frame: "01005e00001202000000000a080045c0002c00010000ff70188dc0000201e00000122133960201018580c00002fec00002fd7365637265740000" },
    CapturedFrame { id: "P43", by: "keepalived 2.2.7", frame: "01005e00001202000000000a080045c0002c00040000ff70188ac0000201e00000122133000201011b81c00002fec00002fd7365637265740000" },
    CapturedFrame { id: "P44", by: "FRR 8.4.4", frame: "01005e00001200005e000133080045c000283fe04000ff7098b1c0000201e000001221339601000185cbc00002fe0000000000000000" },
    CapturedFrame { id: "P45", by: "FRR 8.4.4", frame: "01005e00001200005e000133080045c0002843134000ff70957ec0000201e00000122133000100011bccc00002fe0000000000000000" },
];
