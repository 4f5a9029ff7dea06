//! How, and since when, anything is known of a key.

use super::*;

#[test]
fn what_is_known_since_is_said_from_its_first_minute_on_and_not_of_what_is_older() {
    let mut fixture = Fixture::new();
    fixture.run(0..2);
    fixture.pass_to(150);
    let first = fixture.minute(0);
    assert_eq!(fixture.quota(&fixture.queries).known_since, Some(first));
    // What was imported lies within the first day of the window.
    let point = Point { peak: 5, covered: 60, ..Point::default() };
    let mut imported = KeyHour { points: [point; 60], ..KeyHour::gap() };
    imported.points[..7].fill(Point::GAP);
    let put = |hours_ago: u32| {
        let hour = Hour(fixture.start.tick().hour().0 - hours_ago);
        let row = (fixture.id(), hour, imported.clone());
        fixture.service().store.put_hours(&[(fixture.id(), key())], &[row]).unwrap();
        Minute(hour.first_minute().0 + 7)
    };
    let anew = || fixture.quota(&Queries::new(fixture.queries.service.clone())).known_since;
    let within = put(7 * 24 - 3);
    assert_eq!(anew(), Some(within));
    // What is older than the window, by a day or by a year, leaves nothing to say.
    put(7 * 24 + 30);
    assert_eq!(anew(), None);
    put(360 * 24);
    assert_eq!(anew(), None);
}

#[test]
fn that_a_peak_is_a_lower_bound_is_known_a_second_later_and_makes_the_list_another() {
    let mut fixture = Fixture::new();
    fixture.pass_to(30);
    fixture.open(0..BASE);
    let at_once = fixture.quota(&fixture.queries);
    assert_eq!((at_once.peak.map(|(peak, _)| peak), at_once.peak_bound), (Some(BASE), Bound::Exact));
    for _ in 0..2 {
        fixture.passed += 1;
        fixture.recorder.step(&fixture.queries.service, fixture.now());
    }
    let later = fixture.quota(&fixture.queries);
    assert_eq!((later.peak, later.peak_bound), (at_once.peak, Bound::AtLeast));
    assert_ne!(later, at_once);
}
