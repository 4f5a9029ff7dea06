//! Every interleaving of the primitives, explored by loom: the word against the roller, and two streams at one book.

use std::{sync::Arc, time::Duration};

use loom::thread;

use crate::{
    live::{
        apply::{Event, Moment},
        attach::{Attachment, Gone, take_over},
        book::{Book, Link},
        left_out::Room,
        meter::{Meter, Tally},
        sync::{Mutex, lock},
        word::{MeterWord, Rolled, TickPeak},
    },
    model::{Bounds, Incarnation, Key, KeyId, Kind, Meter as Name, Now, Project, SessionId, Target, Tick, Time},
};

/// One change of a program: +1, -1 or a roll to a tick, and the tick that its clock read.
#[derive(Clone, Copy)]
enum Step {
    Open(u64),
    Close(u64),
}

/// Runs the programs side by side with a roller that rolls `0..=last`, and checks that the peaks are those of one
/// order of the steps: each tick's peak is at least the level at its start and its end, at most all opens, and the highest of all is the highest level reached.
fn explore(programs: &'static [&'static [Step]], last: u64) {
    loom::model(move || {
        let word = Arc::new(MeterWord::new(Tick(0)));
        let threads: Vec<_> = programs
            .iter()
            .map(|program| {
                let word = word.clone();
                thread::spawn(move || {
                    let step = |step: &Step| match step {
                        Step::Open(tick) => (1_i64, word.open(Tick(*tick))),
                        Step::Close(tick) => (-1, word.close(Tick(*tick))),
                    };
                    program.iter().map(step).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut seen = Vec::new();
        for tick in 0..last {
            seen.push(roll_one(&word, tick));
        }
        let logs: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        seen.push(roll_one(&word, last));
        let end: i64 = logs.iter().map(|(by, _)| by).sum();
        assert_eq!(i64::from(word.level()), end, "the level is what was opened less what was closed");
        let highest = logs.iter().map(|(_, after)| *after).max().unwrap_or(0);
        assert_eq!(seen.iter().map(|tick| tick.peak).max(), Some(highest), "the highest level is in some tick");
        let mut start = 0;
        for tick in seen {
            assert!(
                tick.peak >= start && tick.peak >= tick.level,
                "a tick's peak holds its start and its end: {tick:?}"
            );
            start = tick.level;
        }
        assert_eq!(i64::from(start), end, "the last tick ends at the level");
    });
}

fn roll_one(word: &MeterWord, tick: u64) -> TickPeak {
    match word.roll(Tick(tick), Tick(tick + 1)) {
        Rolled::Still(seen) => seen,
        Rolled::Moved => word.tick_peak(Tick(tick)).expect("the ring holds the last ticks"),
    }
}

#[test]
fn loom_an_open_and_a_close_beside_the_roller() {
    explore(&[&[Step::Open(0), Step::Close(0)]], 1);
}

#[test]
fn loom_two_writers_at_the_boundary() {
    explore(&[&[Step::Open(0), Step::Close(1)], &[Step::Open(1)]], 1);
}

#[test]
fn loom_writers_ahead_of_a_late_roller_find_the_ring() {
    explore(&[&[Step::Open(0), Step::Close(2)], &[Step::Open(2)]], 2);
}

#[test]
fn loom_a_writer_with_a_stale_clock_counts_in_the_newer_tick() {
    explore(&[&[Step::Open(1), Step::Open(0)]], 1);
}

#[test]
fn loom_a_late_roller_reads_each_tick_of_the_ring() {
    loom::model(|| {
        let word = Arc::new(MeterWord::new(Tick(0)));
        let writer = {
            let word = word.clone();
            thread::spawn(move || {
                word.open(Tick(0));
                word.open(Tick(1));
                word.close(Tick(2));
            })
        };
        // The roller may come at any moment; once it has rolled to tick 3, each tick before is read without a gap.
        let rolled = word.roll(Tick(0), Tick(3));
        let peaks: Vec<_> = match rolled {
            Rolled::Still(seen) => vec![seen],
            Rolled::Moved => (0..3).map(|tick| word.tick_peak(Tick(tick)).expect("within the ring")).collect(),
        };
        writer.join().expect("no panic");
        let mut start = 0;
        for tick in &peaks {
            assert!(tick.peak >= start);
            start = tick.level;
        }
        assert_eq!(word.level(), 1);
        let rest = roll_one(&word, 3);
        let highest = peaks.iter().map(|tick| tick.peak).max().max(Some(rest.peak));
        assert_eq!(highest, Some(2), "the highest level is told once the roller has passed");
    });
}

/// A newer stream takes the book over while the older one still reports: whatever the order, the level is the number of
/// records, and the older stream changes nothing once it was told.
#[test]
fn loom_a_newer_stream_takes_the_book_over() {
    loom::model(|| {
        let now = Now::at(Time::from_secs(10));
        let project = Project::new("p").expect("a name");
        let name = Name::new(Kind::Tts, "a/b", "", None).expect("a name");
        let tally = |id, target| Arc::new(Tally::new(KeyId(id), Key { project: project.clone(), target }, Tick(10)));
        let pools =
            [tally(1, name.pools(&project)[0].target.clone()), tally(2, name.pools(&project)[1].target.clone())];
        let meter = Arc::new(Meter::new(tally(0, Target::Meter(name)), pools));
        let mut book = Book::new(project.clone(), "w", Incarnation([1; 16]), Link::Stream, Duration::from_secs(10));
        take_over(&mut book, 1, now).expect("the first stream");
        let book = Arc::new(Mutex::new(book));
        let (older, newer) = (Attachment::of(book.clone(), 1), Attachment::of(book.clone(), 2));

        let reporter = {
            let meter = meter.clone();
            thread::spawn(move || {
                let mut outcomes = Vec::new();
                for id in 1..=2 {
                    outcomes.push(open(&older, id, &meter, now));
                }
                outcomes
            })
        };
        let taker = {
            let (book, meter) = (book.clone(), meter.clone());
            thread::spawn(move || {
                take_over(&mut lock(&book), 2, now).expect("newer");
                open(&newer, 1, &meter, now).expect("it holds the book");
                open(&newer, 3, &meter, now).expect("it holds the book");
            })
        };
        let outcomes = reporter.join().expect("no panic");
        taker.join().expect("no panic");

        let book = lock(&book);
        assert_eq!(u64::from(meter.tally.word.level()), book.live_count(), "the level is the number of records");
        assert_eq!(meter.pools[0].word.level(), meter.tally.word.level());
        assert!(book.live_count() >= 2);
        let refused = outcomes.iter().position(Result::is_err).unwrap_or(outcomes.len());
        assert!(
            outcomes[refused..].iter().all(|outcome| *outcome == Err(Gone::Superseded)),
            "once told, it stays told"
        );
        assert_eq!(book.attach_seq, 2);
    });
}

fn open(stream: &Attachment, id: u8, meter: &Arc<Meter>, now: Now) -> Result<(), Gone> {
    let mut book = stream.mine()?;
    let bounds = Bounds::default();
    let moment = Moment { now, tick: now.wall.tick(), bounds: &bounds, down_from: None };
    let event = Event::Open { id: SessionId([id; 16]), meter: meter.clone(), age: Duration::ZERO, labels: None };
    book.apply_all(&mut [event], &moment, Room::any());
    Ok(())
}

/// Whoever asks for the highest level finds it, in the word or in the ring, at whatever moment the roller comes by.
#[test]
fn loom_a_peak_is_found_while_the_roller_moves_it_into_the_ring() {
    loom::model(|| {
        let word = Arc::new(MeterWord::new(Tick(0)));
        word.open(Tick(0));
        word.open(Tick(0));
        word.close(Tick(0));
        let roller = {
            let word = word.clone();
            thread::spawn(move || {
                let _ = word.roll(Tick(0), Tick(1));
                let _ = word.roll(Tick(1), Tick(2));
            })
        };
        assert_eq!(word.since(Tick(0)), TickPeak { peak: 2, level: 1 });
        roller.join().expect("no panic");
        assert_eq!(word.since(Tick(0)), TickPeak { peak: 2, level: 1 });
        assert_eq!(word.since(Tick(1)), TickPeak { peak: 1, level: 1 });
    });
}
