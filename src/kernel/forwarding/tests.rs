//! What happens when an answer of the kernel is lost, and what is not sent. The kernel's part is
//! played by a socket that counts.

use super::*;
use std::cell::RefCell;
use std::io;

thread_local! {
    /// What this thread's sockets have done, and what they are to do.
    static PLAY: RefCell<Play> = RefCell::default();
}

#[derive(Debug, Default)]
struct Play {
    opened: usize,
    /// The octets of each transaction, as text.
    committed: Vec<String>,
    /// How many of the next transactions are answered before one is not.
    lose_after: Option<usize>,
    refuse_to_open: bool,
}

#[derive(Debug)]
struct PlayedSocket;

impl Nftables for PlayedSocket {
    fn commit(&mut self, transaction: Transaction<'_>) -> Result<(), NftablesError> {
        PLAY.with_borrow_mut(|play| {
            play.committed.push(String::from_utf8_lossy(transaction.octets()).into_owned());
            match play.lose_after {
                Some(0) => {
                    play.lose_after = None;
                    Err(NftablesError::Receive(io::Error::from_raw_os_error(libc::ENOBUFS)))
                }
                left => {
                    play.lose_after = left.map(|left| left - 1);
                    Ok(())
                }
            }
        })
    }

    fn rules(&mut self, _family: TableFamily, _table: &str) -> Result<Vec<Vec<u8>>, NftablesError> {
        Ok(Vec::new())
    }
}

fn open_played() -> Result<Box<dyn Nftables>, NftablesError> {
    PLAY.with_borrow_mut(|play| {
        if play.refuse_to_open {
            return Err(NftablesError::Open(io::Error::from_raw_os_error(libc::EMFILE)));
        }
        play.opened += 1;
        Ok(Box::new(PlayedSocket) as Box<dyn Nftables>)
    })
}

fn table() -> ForwardingTable {
    PLAY.with_borrow_mut(|play| *play = Play::default());
    ForwardingTable::open_with(ForwardingSettings::default(), open_played).unwrap()
}

fn key(vrid: u8) -> InstanceKey {
    let interface = "lo".parse().unwrap();
    InstanceKey { interface, family: Family::Ipv4, vrid: Vrid::new(vrid).unwrap() }
}

const LEAVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11));

fn arming(vrid: u8) -> Arming {
    Arming {
        interface: "lo".parse().unwrap(),
        index: 1,
        addresses: [[192, 0, 2, 100 + vrid].into()].into(),
        last: Some(Leaver { address: LEAVER, mac: MacAddr([2, 0, 0, 0, 0, 11]) }),
        leavers: Vec::new(),
        own: Vec::new(),
        earlier: EarlierOwn::Stays,
    }
}

fn connections(vrid: u8, count: u16) -> Vec<Connection> {
    let one = |port| Connection {
        local: ([192, 0, 2, 100 + vrid], 80).into(),
        remote: ([198, 51, 100, 1], port).into(),
    };
    (1..=count).map(one).collect()
}

fn two_armed() -> ForwardingTable {
    let mut table = table();
    table.arm(key(1), &arming(1)).unwrap();
    table.arm(key(2), &arming(2)).unwrap();
    table
}

fn play<T>(look: impl FnOnce(&mut Play) -> T) -> T {
    PLAY.with_borrow_mut(look)
}

/// Every kind of change, with the answer lost.
#[test]
fn a_lost_answer_loses_no_instance_silently() {
    type Change = fn(&mut ForwardingTable) -> Result<(), ForwardingError>;
    let changes: [(&str, Change); 6] = [
        ("replace", |table| table.replace(key(1), LEAVER, &connections(1, 3)).map(drop)),
        ("add", |table| table.add(key(1), LEAVER, &connections(1, 3))),
        ("own", |table| table.add_own(key(1), &connections(1, 3))),
        ("flush", |table| table.flush(key(1), LEAVER)),
        ("remove", |table| table.remove_leaver(key(1), LEAVER)),
        ("arm", |table| table.arm(key(1), &arming(1))),
    ];
    for (name, change) in changes {
        let mut table = two_armed();
        play(|play| play.lose_after = Some(0));
        assert!(change(&mut table).is_err(), "{name}");
        // Nothing is believed of the old table, and who asks is told.
        assert_eq!(table.take_lost(), [key(1), key(2)], "{name}");
        assert_eq!(table.take_lost(), [], "each is reported once");
        assert!(matches!(table.flush(key(2), LEAVER), Err(ForwardingError::NotArmed(_))), "{name}");
        table.arm(key(1), &arming(1)).unwrap();
        assert_eq!(table.armed_instances().collect::<Vec<_>>(), [key(1)], "{name}");
        assert_eq!(play(|play| play.opened), 2, "one table in place of the old one: {name}");
    }
}

#[test]
fn who_does_not_ask_before_the_next_change_is_told_after_it() {
    let mut table = two_armed();
    play(|play| play.lose_after = Some(0));
    assert!(table.add(key(1), LEAVER, &connections(1, 3)).is_err());
    table.arm(key(2), &arming(2)).unwrap();
    assert_eq!(table.take_lost(), [key(1)], "the other one is armed again");
}

#[test]
fn a_table_that_cannot_be_replaced_is_tried_again_and_not_believed_before() {
    let mut table = two_armed();
    play(|play| (play.lose_after, play.refuse_to_open) = (Some(0), true));
    for _ in 0..3 {
        assert!(table.flush(key(1), LEAVER).is_err());
    }
    assert_eq!(table.take_lost(), [key(1), key(2)]);
    // The socket opens, and the answer to the creation of the table is lost.
    play(|play| (play.lose_after, play.refuse_to_open) = (Some(0), false));
    assert!(table.arm(key(1), &arming(1)).is_err());
    table.arm(key(1), &arming(1)).unwrap();
    assert_eq!((play(|play| play.opened), table.take_lost()), (3, vec![]));
}

/// A host that audits its packet filter writes a line for each transaction.
#[test]
fn what_changes_nothing_is_not_sent() {
    let mut table = two_armed();
    let before = play(|play| play.committed.len());
    table.add(key(1), LEAVER, &[]).unwrap();
    table.add(key(1), LEAVER, &connections(2, 3)).unwrap();
    table.add_own(key(1), &[]).unwrap();
    assert_eq!(table.replace(key(1), LEAVER, &[]).unwrap(), 0);
    assert_eq!(play(|play| play.committed.len()), before);
    table.replace(key(1), LEAVER, &connections(1, 3)).unwrap();
    assert_eq!(table.replace(key(1), LEAVER, &[]).unwrap(), 0);
    assert_eq!(play(|play| play.committed.len()), before + 2, "a list that was not empty is emptied");
    let stranger = IpAddr::from([192, 0, 2, 99]);
    assert!(matches!(table.replace(key(1), stranger, &[]), Err(ForwardingError::UnknownLeaver { .. })));
}

#[test]
fn all_lists_together_have_a_bound() {
    let mut table = two_armed();
    table.replace(key(1), LEAVER, &connections(1, 3)).unwrap();
    assert!(table.check_total(MAXIMUM_LISTED - 3, 0).is_ok());
    let refused = table.check_total(MAXIMUM_LISTED - 2, 0);
    assert!(matches!(refused, Err(ForwardingError::NoRoom { count }) if count == MAXIMUM_LISTED + 1));
    assert!(table.check_total(MAXIMUM_LISTED, 3).is_ok(), "a list takes the place of the former one");
}

#[test]
fn the_room_for_own_connections_is_shared_when_many_are_armed() {
    let mut table = table();
    assert_eq!(table.room_for_own(), 65_536);
    for vrid in 1..=100 {
        table.arm(key(vrid), &arming(vrid)).unwrap();
    }
    assert_eq!(table.room_for_own(), TOTAL_ROOM_FOR_OWN / 101);
    table.settings.room_for_own = 5;
    assert_eq!(table.room_for_own(), 5);
}

/// A list that was under way when a port was used again must not take the connection away.
#[test]
fn what_is_our_own_is_known_as_long_as_a_list_is_believed() {
    let settings = ForwardingSettings::default();
    assert!(settings.own_lifetime >= settings.list_lifetime && settings.own_lifetime.as_secs() >= 15);
}
