use super::*;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe;
use std::io::{BufRead, BufReader, Read};

const NO_TIME: Duration = Duration::from_millis(20);
/// The limit of each test is generous, because the machine may be busy.
const SOON: Duration = Duration::from_secs(10);

/// A printer on a pipe of one page, and the end of the pipe to read from.
fn on_a_pipe() -> (Printer, File) {
    let (reading, writing) = pipe().unwrap();
    fcntl(&writing, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let apology: Apology = Box::new(|lost| format!("{lost} lost\n").into_bytes());
    (Printer::start("printer", Stream(writing.into()), apology).unwrap(), reading.into())
}

/// Reads everything that was printed to a pipe while `printer` finishes.
fn read_all(printer: Printer, reading: File) -> Vec<String> {
    let reader = thread::spawn(move || {
        let lines = BufReader::new(reading).lines().map(Result::unwrap);
        lines.take_while(|line| line != "the end").collect()
    });
    assert_eq!(printer.finish(SOON), Finish::Complete);
    printer.print(b"the end\n");
    reader.join().unwrap()
}

#[test]
fn lines_come_in_their_order_and_the_end_waits_for_them() {
    let (printer, reading) = on_a_pipe();
    let expected: Vec<_> = (0..1000).map(|n| format!("line {n}")).collect();
    for line in &expected {
        printer.print(format!("{line}\n").as_bytes());
    }
    assert_eq!(read_all(printer, reading), expected);
}

#[test]
fn without_a_reader_nobody_waits_and_what_is_lost_is_said_where_it_is_missing() {
    let (printer, reading) = on_a_pipe();
    let line = |n: usize| format!("{n:07}{}\n", "x".repeat(1016));
    // This is more than twice the room: some lines are being written, some wait, and the rest is
    // lost.
    let printed = 3 * ROOM / 1024;
    for n in 0..printed {
        printer.print(line(n).as_bytes());
    }
    // The short line must not come before the count, although there would be room for it.
    printer.print(b"short\n");
    assert_eq!(printer.finish(NO_TIME), Finish::GivenUp);
    let lost = printer.lost();
    assert!(lost > 0, "a pipe of a page cannot have taken 3 MiB");
    let (mut next, mut said) = (0, 0);
    for told in read_all(printer, reading) {
        match told.strip_suffix(" lost") {
            Some(count) => (next, said) = (next + count.parse::<usize>().unwrap(), said + 1),
            None => {
                assert_eq!(told, line(next).trim_end(), "the count stands where the gap is");
                next += 1;
            }
        }
    }
    assert_eq!(next, printed + 1, "every line was written or counted");
    // The second time is possible if lines were lost before the thread ran at all.
    assert!((1..=2).contains(&said), "said {said} times that {lost} lines were lost");
}

#[test]
fn a_stream_that_does_not_block_loses_nothing() {
    let (reading, writing) = pipe().unwrap();
    fcntl(&writing, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let printer = Printer::start("printer", Stream(writing.into()), Box::new(|_| Vec::new())).unwrap();
    let line = format!("{}\n", "x".repeat(1023));
    for _ in 0..512 {
        printer.print(line.as_bytes());
    }
    assert_eq!(read_all(printer, reading.into()).len(), 512);
}

/// A stream that fails until it is told not to, as a full disk does.
struct FullDisk(std::sync::mpsc::Sender<Vec<u8>>, Arc<AtomicU64>);

impl Write for FullDisk {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let full = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if full.is_ok() {
            return Err(ErrorKind::StorageFull.into());
        }
        self.0.send(octets.to_vec()).unwrap();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_could_not_be_written_is_said_when_it_can_be_again() {
    let (written_in, written) = std::sync::mpsc::channel();
    // Two lines fail, and the line about the loss after each of them.
    let failures = Arc::new(AtomicU64::new(4));
    let apology: Apology = Box::new(|lost| format!("{lost} lost\n").into_bytes());
    let printer = Printer::start("printer", FullDisk(written_in, failures), apology).unwrap();
    for line in ["one\n", "two\n", "three\n"] {
        printer.print(line.as_bytes());
        assert_eq!(printer.finish(SOON), Finish::Complete);
    }
    let lines: Vec<_> = written.try_iter().map(|octets| String::from_utf8(octets).unwrap()).collect();
    assert_eq!((lines.concat().as_str(), printer.lost()), ("three\n2 lost\n", 2));
}

#[test]
fn a_reader_that_went_away_stops_nobody() {
    let (printer, mut reading) = on_a_pipe();
    printer.print(b"one\n");
    let mut one = [0; 4];
    reading.read_exact(&mut one).unwrap();
    drop(reading);
    printer.print(b"two\n");
    assert_eq!(printer.finish(SOON), Finish::Complete);
    assert_eq!(printer.lost(), 1);
}
