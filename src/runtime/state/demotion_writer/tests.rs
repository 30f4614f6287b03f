use super::*;
use crate::protocol::LastResort;
use std::io;
use std::sync::mpsc as sync;

/// A disk whose writes wait for the result that the test sends, and a list of what was written.
struct Disk {
    outcomes: sync::Sender<io::Result<()>>,
    written: sync::Receiver<Demotions>,
    messages: mpsc::Sender<WriterMessage>,
    _finish: oneshot::Sender<()>,
}

/// The limits are long enough to see what waits, and short enough to wait for it.
const IMPATIENT: WriterLimits =
    WriterLimits { write: Duration::from_millis(100), retry: Duration::from_millis(200) };

fn start(expired: &[&str]) -> Disk {
    let (outcomes, told) = sync::channel::<io::Result<()>>();
    let (written_in, written_out) = sync::channel();
    let save_all: SaveFunction = Box::new(move |demotions| {
        let outcome = told.recv().unwrap_or(Ok(()));
        let path = "/state".into();
        outcome.map_err(|source| StateError::Io { doing: "write", path, source })?;
        let _ = written_in.send(demotions.clone());
        Ok(())
    });
    let (notes_in, messages) = mpsc::channel(64);
    let (finish, finished) = oneshot::channel();
    let demotion_writer = DemotionWriter {
        messages,
        wanted: Demotions::new(),
        unsaved: expired.iter().copied().map(name).collect(),
        limits: IMPATIENT,
        save_all: Arc::new(Mutex::new(save_all)),
        writing: None,
        failure: None,
    };
    tokio::spawn(demotion_writer.run(finished));
    Disk { outcomes, written: written_out, messages: notes_in, _finish: finish }
}

fn name(name: &str) -> RouterName {
    name.parse().unwrap()
}

fn demotion() -> Demotion {
    let (since, by) = ("2026-11-23T11:00:00.000Z".into(), "alice".into());
    Demotion { since, until: None, last_resort: LastResort::No, reason: String::new(), by }
}

impl Disk {
    async fn remember(&self, router: &str, demotion: Option<Demotion>) {
        self.messages.send(WriterMessage::Save { router: name(router), demotion }).await.unwrap();
    }

    async fn answer(&self, router: &str) -> oneshot::Receiver<CommandReply> {
        let (reply, done) = oneshot::channel();
        let answer = Answer::Promoted { was_demoted: false };
        self.messages.send(WriterMessage::Answer { router: name(router), answer, reply }).await.unwrap();
        done
    }

    async fn demote(&self, router: &str) -> oneshot::Receiver<CommandReply> {
        self.remember(router, Some(demotion())).await;
        self.answer(router).await
    }
}

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::StorageFull.into())
}

#[tokio::test]
async fn an_answer_waits_until_its_demotion_is_written() {
    let disk = start(&[]);
    let mut done = disk.demote("web").await;
    tokio::time::timeout(Duration::from_millis(20), &mut done).await.expect_err("nothing is written yet");
    disk.outcomes.send(Ok(())).unwrap();
    assert_eq!(done.await.unwrap().saved, Ok(()));
    assert_eq!(disk.written.recv().unwrap(), [(name("web"), demotion())].into());
}

#[tokio::test]
async fn many_demotions_are_one_write() {
    let disk = start(&[]);
    let first = disk.demote("a").await;
    let second = disk.demote("b").await;
    disk.outcomes.send(Ok(())).unwrap();
    assert_eq!((first.await.unwrap().saved, second.await.unwrap().saved), (Ok(()), Ok(())));
    assert_eq!(disk.written.recv().unwrap().len(), 2);
    disk.written.try_recv().expect_err("a second write");
}

#[tokio::test]
async fn a_write_that_fails_is_told_to_those_whose_demotion_is_lost_and_only_to_them() {
    let disk = start(&[]);
    disk.outcomes.send(failure()).unwrap();
    let why = disk.demote("web").await.await.unwrap().saved.unwrap_err();
    assert!(why.starts_with("cannot write /state: "), "{why}");
    // The refused demotion of another router changes nothing, so none of it is lost.
    disk.outcomes.send(failure()).unwrap();
    assert_eq!(disk.answer("other").await.await.unwrap().saved, Ok(()));
    // The next write has all of the changes.
    disk.outcomes.send(Ok(())).unwrap();
    assert_eq!(disk.demote("third").await.await.unwrap().saved, Ok(()));
    assert_eq!(disk.written.recv().unwrap().len(), 2);
}

#[tokio::test]
async fn what_could_not_be_written_is_tried_again() {
    let disk = start(&[]);
    disk.outcomes.send(failure()).unwrap();
    disk.demote("web").await.await.unwrap().saved.unwrap_err();
    disk.outcomes.send(Ok(())).unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while disk.written.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(disk.answer("web").await.await.unwrap().saved, Ok(()));
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_the_answer_for_ever() {
    let disk = start(&[]);
    let why = disk.demote("web").await.await.unwrap().saved.unwrap_err();
    assert!(why.contains("did not answer within 100ms"), "{why}");
    // When the disk answers after all, it gets the demotions that are wanted by then: two writes,
    // not more.
    disk.remember("web", None).await;
    disk.outcomes.send(Ok(())).unwrap();
    disk.outcomes.send(Ok(())).unwrap();
    assert_eq!(disk.answer("web").await.await.unwrap().saved, Ok(()));
    let written: Vec<_> = disk.written.try_iter().map(|demotions| demotions.len()).collect();
    assert_eq!(written, [1, 0]);
}

#[tokio::test]
async fn a_file_with_demotions_whose_time_is_up_is_written_anew() {
    let disk = start(&["web"]);
    disk.outcomes.send(Ok(())).unwrap();
    assert_eq!(disk.answer("web").await.await.unwrap().saved, Ok(()));
    assert_eq!(disk.written.recv().unwrap(), Demotions::new());
}
