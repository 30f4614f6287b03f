//! What the forwarder tells the kernel, on a kernel that writes it down.

use super::*;
use crate::types::Vrid;

const START: MonoTime = MonoTime::from_nanos(1_000_000_000_000);
const FE0: &str = "192.0.2.10";
const FE2: &str = "192.0.2.12";

#[derive(Debug, Default)]
struct ScriptedKernel {
    log: Vec<String>,
    own: Vec<Connection>,
    macs: BTreeMap<IpAddr, MacAddr>,
    /// To how many addresses each list of own connections was.
    listed_own: Vec<usize>,
    /// The length of the list of each leaver.
    in_kernel: BTreeMap<IpAddr, usize>,
    /// How long neighbours would have been waited for, in milliseconds.
    waited: Vec<u128>,
    lost: Vec<InstanceKey>,
    refuses: bool,
    holds: bool,
}

impl ScriptedKernel {
    fn write(&mut self, line: String) -> Result<(), ForwardingError> {
        if self.refuses {
            return Err(ForwardingError::NotArmed(key()));
        }
        self.log.push(line);
        Ok(())
    }
}

impl ForwarderKernel for ScriptedKernel {
    fn index(&mut self, _interface: InterfaceName) -> Option<u32> {
        Some(2)
    }

    fn neighbour(&mut self, _index: u32, address: IpAddr, within: Duration) -> Option<MacAddr> {
        self.waited.push(within.as_millis());
        self.macs.get(&address).copied()
    }

    fn holds(&mut self, _addresses: &BTreeSet<IpAddr>) -> bool {
        self.holds
    }

    fn own_connections(&mut self, addresses: &BTreeSet<IpAddr>) -> Vec<Connection> {
        self.listed_own.push(addresses.len());
        self.own.clone()
    }

    fn arm(&mut self, _key: InstanceKey, arming: &Arming) -> Result<(), ForwardingError> {
        let last = arming.last.map_or_else(|| "nobody".to_owned(), |last| last.address.to_string());
        let leavers: Vec<String> = arming.leavers.iter().map(|one| one.address.to_string()).collect();
        let earlier = match arming.earlier {
            EarlierOwn::Stays => " and those before",
            EarlierOwn::Ends => "",
        };
        let (leavers, own) = (leavers.join(" "), arming.own.len());
        self.write(format!("arm, last {last}, leavers {leavers}, own {own}{earlier}"))
    }

    fn add_own(&mut self, _key: InstanceKey, connections: &[Connection]) -> Result<(), ForwardingError> {
        self.write(format!("own {}", connections.len()))
    }

    fn add(
        &mut self,
        _key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError> {
        *self.in_kernel.entry(leaver).or_default() += connections.len();
        self.write(format!("add {} of {leaver}", connections.len()))
    }

    fn replace(
        &mut self,
        _key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError> {
        // As the kernel's table: what changes nothing is not sent.
        match (self.in_kernel.insert(leaver, connections.len()), connections.len()) {
            (None | Some(0), 0) => Ok(()),
            (_, now) => self.write(format!("list {now} of {leaver}")),
        }
    }

    fn remove_leaver(&mut self, _key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError> {
        self.write(format!("remove {leaver}"))
    }

    fn disarm(&mut self, _key: InstanceKey) -> Result<(), ForwardingError> {
        self.write("disarm".to_owned())
    }

    fn restore(&mut self, _interface: InterfaceName, index: u32) -> Result<(), ForwardingError> {
        self.write(format!("restore {index}"))
    }

    fn counts(&mut self) -> Result<Vec<ForwardedCount>, ForwardingError> {
        let leaver = FE0.parse().unwrap();
        Ok(vec![ForwardedCount { key: key(), leaver, packets: 7, octets: 700, listed: 1 }])
    }

    fn take_lost(&mut self) -> Vec<InstanceKey> {
        std::mem::take(&mut self.lost)
    }
}

fn key() -> InstanceKey {
    InstanceKey { interface: "eth0".parse().unwrap(), family: Family::Ipv4, vrid: Vrid::new(51).unwrap() }
}

fn connection(port: u16) -> Connection {
    Connection { local: "192.0.2.50:443".parse().unwrap(), remote: ([198, 51, 100, 7], port).into() }
}

fn addresses(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// An instance, Active here or not, that these nodes drain; from fe0 this node may take over armed.
fn wanted(is_active: bool, leavers: &[&str]) -> ForwardingWanted {
    let instance = ForwardingInstance {
        addresses: addresses(&["192.0.2.50"]),
        is_active,
        keeps: true,
        leavers: addresses(leavers),
    };
    ForwardingWanted {
        instances: BTreeMap::from([(key(), instance)]),
        relievable: BTreeMap::from([((key().interface, Family::Ipv4), addresses(&[FE0]))]),
    }
}

fn forwarder() -> PacketForwarder<ScriptedKernel> {
    let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
    let macs = BTreeMap::from([(FE0.parse().unwrap(), mac(10)), (FE2.parse().unwrap(), mac(12))]);
    let kernel = ScriptedKernel { macs, own: vec![connection(1)], holds: true, ..ScriptedKernel::default() };
    let mut forwarder = PacketForwarder::new(START, kernel);
    forwarder.update(START, wanted(false, &[]));
    forwarder
}

impl PacketForwarder<ScriptedKernel> {
    fn update(&mut self, now: MonoTime, wanted: ForwardingWanted) {
        self.set_wanted(wanted);
        self.follow(now);
    }

    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.kernel.log)
    }
}

fn after(seconds: u64) -> MonoTime {
    START + Duration::from_secs(seconds)
}

#[test]
fn a_takeover_from_a_node_that_drains_is_armed_with_its_own_connections() {
    let mut forwarder = forwarder();
    forwarder.take_over(START, key(), FE0.parse().unwrap());
    assert_eq!(forwarder.log(), ["arm, last 192.0.2.10, leavers 192.0.2.10, own 1"]);
    forwarder.after_takeovers(START, &[key()]);
    assert_eq!(forwarder.log(), ["own 1"], "what began meanwhile");
    forwarder.on_listed(after(1), key(), FE0.parse().unwrap(), &[connection(2), connection(3)]);
    assert_eq!(forwarder.log(), ["add 2 of 192.0.2.10"], "before it is said that it drains");
    forwarder.update(after(1), wanted(true, &[FE0]));
    assert!(forwarder.log().is_empty(), "it is armed already");
}

#[test]
fn a_node_that_does_not_drain_lists_nothing_before_the_addresses_come() {
    let mut forwarder = forwarder();
    forwarder.kernel.holds = false;
    forwarder.take_over(START, key(), FE0.parse().unwrap());
    assert_eq!(forwarder.log(), ["arm, last 192.0.2.10, leavers 192.0.2.10, own 0"]);
    forwarder.after_takeovers(START, &[key()]);
    assert_eq!(forwarder.log(), ["own 1"]);
}

#[test]
fn a_takeover_from_anybody_else_is_not_armed() {
    let mut forwarder = forwarder();
    forwarder.take_over(START, key(), FE2.parse().unwrap());
    assert!(forwarder.log().is_empty(), "the path to it is not proven");
    forwarder.wanted.instances.get_mut(&key()).unwrap().keeps = false;
    forwarder.take_over(START, key(), FE0.parse().unwrap());
    assert!(forwarder.log().is_empty(), "no connections are kept, so it would let clients hang");
    forwarder.wanted.instances.get_mut(&key()).unwrap().keeps = true;
    forwarder.kernel.macs.clear();
    forwarder.neighbours.clear();
    forwarder.take_over(START, key(), FE0.parse().unwrap());
    assert!(forwarder.log().is_empty(), "nobody knows where it is");
}

#[test]
fn takeovers_that_wait_together_have_one_list_of_own_connections() {
    let mut forwarder = forwarder();
    let fe0: IpAddr = FE0.parse().unwrap();
    let keys: Vec<InstanceKey> =
        (1..=20).map(|vrid| InstanceKey { vrid: Vrid::new(vrid).unwrap(), ..key() }).collect();
    let mut many = wanted(false, &[]);
    for key in &keys {
        let address = BTreeSet::from([IpAddr::from([192, 0, 2, 100 + key.vrid.get()])]);
        let one = ForwardingInstance { addresses: address, ..many.instances[&self::key()].clone() };
        many.instances.insert(*key, one);
    }
    forwarder.update(START, many);
    let to = |host| Connection { local: ([192, 0, 2, host], 443).into(), ..connection(1) };
    forwarder.kernel.own = vec![to(101), to(102), Connection { remote: connection(2).remote, ..to(102) }];
    let takeovers: Vec<_> = keys.iter().map(|key| (*key, fe0)).collect();
    forwarder.prepare(&takeovers);
    for key in &keys {
        forwarder.take_over(START, *key, fe0);
    }
    assert_eq!(forwarder.kernel.listed_own, [20], "to the addresses of all");
    let armed = forwarder.log();
    let own: Vec<&str> = armed.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!((&own[..3], own.len()), (["1", "2", "0"].as_slice(), 20), "each is told its own");
    forwarder.after_takeovers(START, &keys);
    assert_eq!(forwarder.kernel.listed_own, [20, 20]);
    assert_eq!(forwarder.log(), ["own 1", "own 2"]);
}

#[test]
fn a_takeover_does_not_wait_for_a_neighbour_that_did_not_answer_a_moment_ago() {
    let mut forwarder = forwarder();
    let fe0: IpAddr = FE0.parse().unwrap();
    let mac = forwarder.kernel.macs.remove(&fe0).unwrap();
    (forwarder.neighbours, forwarder.kernel.waited) = (BTreeMap::new(), Vec::new());
    // As many routers as are taken over at once.
    for _ in 0..20 {
        forwarder.take_over(START, key(), fe0);
    }
    assert_eq!(forwarder.kernel.waited, [100], "once for all of them");
    forwarder.on_second(after(1));
    forwarder.on_second(after(2));
    assert_eq!(forwarder.kernel.waited, [100, 2, 2], "it is looked for, and holds up nothing");
    forwarder.take_over(after(2), key(), fe0);
    assert!(forwarder.log().is_empty());
    forwarder.kernel.macs.insert(fe0, mac);
    forwarder.on_second(after(3));
    forwarder.take_over(after(3), key(), fe0);
    assert_eq!(forwarder.log(), ["arm, last 192.0.2.10, leavers 192.0.2.10, own 1"], "it has appeared");
}

#[test]
fn a_list_is_added_to_at_once_and_written_again_after_a_while() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0]));
    assert_eq!(forwarder.log(), ["arm, last nobody, leavers 192.0.2.10, own 1", "own 1"]);
    let fe0 = FE0.parse().unwrap();
    forwarder.on_listed(after(1), key(), fe0, &[connection(2), connection(3)]);
    forwarder.on_listed(after(2), key(), fe0, &[connection(2)]);
    assert_eq!(forwarder.log(), ["add 2 of 192.0.2.10"], "what is known is not added again");
    let stranger = Connection { local: "192.0.2.99:443".parse().unwrap(), ..connection(4) };
    forwarder.on_listed(after(2), key(), fe0, &[stranger]);
    assert!(forwarder.log().is_empty(), "this address is not of the router");
    let forwarded = forwarder.on_second(after(6));
    assert_eq!(forwarder.log(), ["list 2 of 192.0.2.10"]);
    assert_eq!(forwarded[&(key(), fe0)], ForwardedConnections { listed: 2, packets: 7 });
    forwarder.on_second(after(13));
    assert_eq!(forwarder.log(), ["list 1 of 192.0.2.10"], "one was not listed for 12 seconds");
}

#[test]
fn a_leaver_that_has_ended_is_removed_and_the_last_one_disarms() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0, FE2]));
    forwarder.log();
    forwarder.update(after(1), wanted(true, &[FE2]));
    assert_eq!(forwarder.log(), ["remove 192.0.2.10"]);
    forwarder.update(after(2), wanted(true, &[]));
    assert_eq!(forwarder.log(), ["remove 192.0.2.12", "disarm"]);
}

#[test]
fn a_node_that_was_relieved_has_two_seconds_to_say_that_it_drains() {
    let mut forwarder = forwarder();
    forwarder.take_over(START, key(), FE0.parse().unwrap());
    forwarder.log();
    forwarder.update(after(1), wanted(true, &[]));
    assert!(forwarder.log().is_empty());
    forwarder.on_second(after(2));
    assert_eq!(forwarder.log(), ["remove 192.0.2.10", "disarm"]);
}

#[test]
fn rules_outlive_the_addresses_until_hosts_have_switched() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0]));
    forwarder.log();
    forwarder.update(after(1), wanted(false, &[FE0]));
    forwarder.on_second(after(6));
    assert!(forwarder.log().iter().all(|line| !line.starts_with("disarm")));
    forwarder.on_second(after(7));
    assert!(forwarder.log().contains(&"disarm".to_owned()));
}

#[test]
fn a_leaver_that_nobody_finds_on_the_link_does_not_arm_the_others_again_each_second() {
    let mut forwarder = forwarder();
    let mac = forwarder.kernel.macs.remove(&FE2.parse().unwrap()).unwrap();
    forwarder.update(START, wanted(true, &[FE0, FE2]));
    assert_eq!(forwarder.log(), ["arm, last nobody, leavers 192.0.2.10, own 1", "own 1"]);
    for second in 1..4 {
        forwarder.on_second(after(second));
    }
    assert!(forwarder.log().is_empty());
    forwarder.kernel.macs.insert(FE2.parse().unwrap(), mac);
    forwarder.on_second(after(4));
    let both = "arm, last nobody, leavers 192.0.2.10 192.0.2.12, own 1 and those before";
    assert_eq!(forwarder.log(), [both, "own 1"]);
}

#[test]
fn a_router_that_was_elsewhere_for_a_while_does_not_know_its_own_connections_any_more() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0]));
    forwarder.log();
    forwarder.update(after(1), wanted(false, &[FE0]));
    forwarder.update(after(1), wanted(true, &[FE0]));
    assert!(forwarder.log().is_empty(), "what was seen late was not elsewhere");
    forwarder.update(after(2), wanted(false, &[FE0]));
    forwarder.update(after(4), wanted(true, &[FE0]));
    assert_eq!(forwarder.log(), ["arm, last nobody, leavers 192.0.2.10, own 1", "own 1"]);
    forwarder.update(after(5), wanted(true, &[FE0, FE2]));
    let again = "arm, last nobody, leavers 192.0.2.10 192.0.2.12, own 1 and those before";
    assert_eq!(forwarder.log(), [again, "own 1"], "one more leaver is no move");
}

#[test]
fn a_takeover_believes_of_all_lists_only_what_was_listed_just_now() {
    let mut forwarder = forwarder();
    let (fe0, fe2): (IpAddr, IpAddr) = (FE0.parse().unwrap(), FE2.parse().unwrap());
    forwarder.update(START, wanted(true, &[FE0, FE2]));
    forwarder.on_listed(after(1), key(), fe0, &[connection(2)]);
    forwarder.on_listed(after(1), key(), fe2, &[connection(3)]);
    forwarder.on_listed(after(4), key(), fe2, &[connection(4)]);
    forwarder.log();
    forwarder.take_over(after(5), key(), fe0);
    forwarder.after_takeovers(after(5), &[key()]);
    let armed = "arm, last 192.0.2.10, leavers 192.0.2.10 192.0.2.12, own 1";
    assert_eq!(forwarder.log(), [armed, "own 1", "list 0 of 192.0.2.10", "list 1 of 192.0.2.12"]);
}

#[test]
fn a_list_that_has_become_empty_is_emptied_in_the_kernel_too() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0]));
    forwarder.on_listed(after(1), key(), FE0.parse().unwrap(), &[connection(2)]);
    forwarder.log();
    for second in 2..18 {
        forwarder.on_second(after(second));
    }
    assert_eq!(forwarder.log().last().unwrap(), "list 0 of 192.0.2.10");
}

#[test]
fn another_hardware_address_arms_again() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0]));
    forwarder.log();
    forwarder.kernel.macs.insert(FE0.parse().unwrap(), MacAddr([2, 0, 0, 0, 0, 99]));
    forwarder.on_second(after(59));
    assert!(forwarder.log().iter().all(|line| !line.starts_with("arm")), "it is asked for each minute");
    forwarder.on_second(after(60));
    assert!(forwarder.log().iter().any(|line| line.starts_with("arm, last nobody")));
}

#[test]
fn what_the_kernel_lost_is_armed_again() {
    let mut forwarder = forwarder();
    forwarder.update(START, wanted(true, &[FE0]));
    forwarder.log();
    forwarder.kernel.lost.push(key());
    forwarder.on_second(after(1));
    assert_eq!(forwarder.log(), ["arm, last nobody, leavers 192.0.2.10, own 1", "own 1"]);
}

#[test]
fn a_refusal_is_told_until_it_is_over_and_tried_again() {
    let mut forwarder = forwarder();
    forwarder.kernel.refuses = true;
    forwarder.update(START, wanted(true, &[FE0]));
    assert!(forwarder.problem().is_some());
    forwarder.kernel.refuses = false;
    forwarder.on_second(after(1));
    assert_eq!(forwarder.problem(), None);
    assert_eq!(forwarder.log(), ["arm, last nobody, leavers 192.0.2.10, own 1", "own 1"]);
}

#[test]
fn a_leaver_that_falls_silent_is_not_waited_for() {
    let mut forwarder = forwarder();
    forwarder.take_over(START, key(), FE0.parse().unwrap());
    // The end of an earlier drain, which it says a moment too late, means nothing.
    forwarder.update(START, wanted(true, &[FE0]));
    forwarder.update(START, wanted(true, &[]));
    forwarder.update(after(1), wanted(true, &[FE0]));
    forwarder.on_listed(after(1), key(), FE0.parse().unwrap(), &[connection(2)]);
    assert!(forwarder.log().iter().all(|line| !line.starts_with("remove")));
    forwarder.update(after(4), wanted(true, &[]));
    assert_eq!(forwarder.log(), ["remove 192.0.2.10", "disarm"], "its connections are to be reset");
}
