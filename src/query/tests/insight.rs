//! The envelope of a history, silent sessions first: against what was put in, naively.

use proptest::prelude::*;

use super::*;
use crate::live::Hello;

/// Hours before the fixture's time that are in the store.
const HOURS: u32 = 30;

/// Peaks of minutes before the fixture's time, `None` in a gap.
fn put(fixture: &Fixture, minutes: &[Option<u32>]) {
    let first = fixture.start.tick().hour().0 - HOURS;
    let rows: Vec<_> = minutes
        .chunks(60)
        .zip(first..)
        .map(|(peaks, hour)| {
            let mut row = KeyHour::gap();
            for (point, peak) in row.points.iter_mut().zip(peaks) {
                let covered = |peak| Point { peak, covered: 60, flags: Flags::default(), ..Point::GAP };
                *point = peak.map_or(Point::GAP, covered);
            }
            (fixture.id(), Hour(hour), row)
        })
        .collect();
    fixture.service().store.put_hours(&[(fixture.id(), key())], &rows).unwrap();
}

fn minutes() -> impl Strategy<Value = Vec<Option<u32>>> {
    let stretch = (1_usize..90, prop_oneof![Just(None), (0_u32..40).prop_map(Some)]);
    let spiked = prop::collection::vec((stretch, any::<bool>()), 40..80);
    spiked.prop_map(|stretches| {
        let of = |((len, peak), spike): ((usize, Option<u32>), bool)| {
            let at = len / 2;
            (0..len).map(move |nth| if spike && nth == at { peak.map(|peak| peak + 30) } else { peak })
        };
        let mut minutes: Vec<_> = stretches.into_iter().flat_map(of).collect();
        minutes.resize(HOURS as usize * 60, None);
        minutes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_lowest_peak_is_that_of_the_naive_sweep(minutes in minutes(), dropped in 0_u32..HOURS) {
        let mut fixture = Fixture::new();
        fixture.run(0..3);
        put(&fixture, &minutes);
        let start = fixture.start.tick().minute().0;
        let dropped_until = start - HOURS * 60 + dropped * 60;
        let live = (0..3).map(|minute| (start + minute, Some(BASE + burst(minute))));
        let before = (start - HOURS * 60..).zip(minutes.iter().copied());
        let all: std::collections::BTreeMap<_, _> = before.chain(live).collect();
        let kept = std::time::Duration::from_secs(u64::from((HOURS - dropped) * 3_600));
        let from = Hour(fixture.start.tick().hour().0 - (kept.as_secs() / 3_600) as u32);
        fixture.service().store.retain(from, Hour(0)).unwrap();
        for width in [1, 5, 15, 60, 720] {
            let range = Minute(start - HOURS * 60)..Minute(start + 60);
            let window = Window::new(range, width).unwrap();
            let mut history = fixture.queries.history(fixture.id(), &window, Detail::Peaks).unwrap();
            fixture.queries.add_lowest(fixture.id(), &window, &mut history).unwrap();
            prop_assert_eq!(history.lowest.len(), history.peaks.len());
            let starts = (window.minutes().start.0..window.minutes().end.0).step_by(width as usize);
            for ((first, lowest), peak) in starts.zip(&history.lowest).zip(&history.peaks) {
                let of_step = all.range(first..first + width).filter(|(minute, _)| **minute >= dropped_until);
                let expected = of_step.filter_map(|(_, peak)| *peak).min().unwrap_or(*peak);
                prop_assert_eq!(*lowest, expected, "width {} at {}", width, first);
            }
        }
    }
}

#[test]
fn silent_sessions_come_first_page_by_page() {
    let fixture = Fixture::new();
    let Target::Meter(name) = key().target else { return };
    let live = &fixture.service().live;
    let meter = live.meter(&key().project, &name, fixture.now()).unwrap();
    let mut streams = Vec::new();
    for worker in 1..=4_u8 {
        let hello = Hello {
            project: key().project,
            worker: format!("worker-{worker}").into(),
            incarnation: Incarnation([worker; 16]),
            replaces: None,
            attach_seq: 1,
        };
        let stream = live.attach(&hello, fixture.now()).unwrap();
        let _ = live.snapshot(&stream, 0, Vec::new(), Some((0, 0)), fixture.now()).unwrap();
        let open = |nth: u32| Event::Open {
            id: id(u32::from(worker) + 10 * nth),
            meter: meter.clone(),
            age: Duration::from_secs(u64::from(nth)),
            labels: None,
        };
        let _ = live.batch(&stream, 1, (0..3).map(open).collect(), fixture.now()).unwrap();
        streams.push(stream);
    }
    live.detach(&streams[1]);
    live.detach(&streams[3]);
    let pages = |silent_first: bool| {
        let filter = SessionFilter { silent_first, ..SessionFilter::default() };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = fixture.queries.sessions(&key().project, &filter, after, 2).unwrap();
            assert_eq!(page.total, 12);
            found.extend(page.sessions);
            after = page.last;
            if after.is_none() {
                return found;
            }
        }
    };
    let first = pages(true);
    let order: Vec<_> = first.iter().map(|session| (!session.silent, session.place.since)).collect();
    assert_eq!((first.len(), first.iter().take(6).all(|session| session.silent)), (12, true));
    assert!(order.is_sorted(), "{order:?}");
    let plain = pages(false);
    assert!(plain.iter().map(|session| session.place.since).is_sorted());
    let mut ids: Vec<_> = first.iter().map(|session| session.place.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), plain.len()), (12, 12));
}
