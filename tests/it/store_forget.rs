//! A project that is forgotten: part of the suite that every store passes.

use highwater::{
    model::{Hour, KeyId, LimitEntry, Project, Time},
    store::{Change, Document, Second, Shelf, StoreError},
};

use crate::store_contract::{Place, frame, key, key_hour};

pub fn a_forgotten_project_is_gone_and_its_numbers_are_not_used_again(place: &Place) {
    let store = place();
    assert_eq!(store.keys_end().unwrap(), 0);
    let keys = vec![(KeyId(1), key("acme", "a/b")), (KeyId(2), key("beside", "a/b")), (KeyId(5), key("acme", "c/d"))];
    let rows: Vec<_> = keys.iter().map(|(id, _)| (*id, Hour(10), key_hour(4))).collect();
    store.put_hours(&keys, &rows).unwrap();
    store.commit(&Second { frames: vec![frame(36_000)], ..Second::default() }).unwrap();
    let limit = LimitEntry { slots: Some(1), start: Time(5), end: None, set_by: "kim".into(), reason: String::new() };
    let limits = keys.iter().map(|(id, _)| (*id, limit.clone())).collect();
    store.change(&Change { limits, audit: vec![b"first".to_vec()], ..Change::default() }).unwrap();
    assert_eq!(store.keys_end().unwrap(), 6);

    let acme = Project::new("acme").unwrap();
    let document = Document { shelf: Shelf::Projects, name: "gone".into(), bytes: Some(b"acme".to_vec()) };
    let change =
        Change { documents: vec![document], audit_from: 1, audit: vec![b"second".to_vec()], ..Change::default() };
    let late = Change { audit_from: 0, ..change.clone() };
    assert!(matches!(store.forget(&acme, &late), Err(StoreError::Conflict(_))));
    assert_eq!(
        (store.keys().unwrap().len(), store.hours(KeyId(1), Hour(0)..Hour(99)).unwrap().len()),
        (3, 1),
        "whole or not"
    );
    let forgotten = store.forget(&acme, &change).unwrap();
    assert_eq!((forgotten.keys, forgotten.hours), (2, 2));
    drop(store);

    let store = place();
    assert_eq!(store.keys().unwrap(), [(KeyId(2), key("beside", "a/b"))]);
    for (id, hours) in [(1, 0), (2, 1), (5, 0)] {
        let ever = Hour(0)..Hour(99);
        let read = (store.hours(KeyId(id), ever.clone()).unwrap(), store.summaries(KeyId(id), ever).unwrap());
        assert_eq!((read.0.len(), read.1.len()), (hours, hours), "{id}");
    }
    let limited: Vec<_> = store.limits().unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(limited, [KeyId(2)]);
    assert_eq!((store.keys_end().unwrap(), store.audit_end().unwrap()), (6, 2));
    assert_eq!(store.documents(Shelf::Projects).unwrap().len(), 1);
    let again = store.forget(&acme, &Change { audit_from: 2, ..Change::default() }).unwrap();
    assert_eq!((again.keys, again.hours), (0, 0));
}
