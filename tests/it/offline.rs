//! What is done at a store that no service uses leaves a row of the audit log, as what is done by a service does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use highwater::{
    access::{AuditRow, Hash, audit::Entry},
    model::Time,
    store::{EmbeddedStore, Store, content},
};

use crate::faults::process::PROGRAM;

/// So many rows of an audit log, as they follow each other.
pub fn audit_rows(count: u64) -> Vec<Vec<u8>> {
    let mut last = Hash::default();
    let row = |seq| {
        let entry = Entry { actor: "kim".to_owned(), action: "limit.set".to_owned(), ..Entry::default() };
        let row = AuditRow::after(seq, last, Time::from_secs(seq), entry);
        last = row.hash;
        row.encode()
    };
    (0..count).map(row).collect()
}

struct Place(tempfile::TempDir);

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program on the store of this place; what it said, and whether it did it.
    fn tries(&self, words: &[&str]) -> (String, bool) {
        let output =
            Command::new(PROGRAM).current_dir(self.0.path()).args(words).args(["--store", "store.redb"]).output();
        let output = output.unwrap();
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
        (said, output.status.success())
    }

    #[track_caller]
    fn does(&self, words: &[&str]) -> String {
        let (said, is_done) = self.tries(words);
        assert!(is_done, "{said}");
        said
    }

    /// All rows of the audit log, whose chain is whole.
    fn rows(&self) -> Vec<Entry> {
        let store = EmbeddedStore::open(&self.path("store.redb")).unwrap();
        assert_eq!(content::check(&store).unwrap().problems, Vec::<String>::new());
        let rows = store.audit(0..store.audit_end().unwrap(), usize::MAX).unwrap();
        rows.iter().map(|(_, row)| AuditRow::decode(row).unwrap().entry).collect()
    }

    fn actions(&self) -> Vec<String> {
        self.rows().into_iter().map(|row| row.action).collect()
    }
}

fn place() -> Place {
    Place(tempfile::tempdir().unwrap())
}

#[test]
fn a_restore_says_that_revoked_keys_are_good_again_and_is_a_row_of_what_it_restored() {
    let place = place();
    place.does(&["keys", "create", "--role", "operator"]);
    place.does(&["keys", "create", "--role", "viewer"]);
    let id = place.rows()[1].object.clone();
    place.does(&["backup", "backup.redb"]);
    place.does(&["keys", "revoke", &id]);
    assert_eq!(place.actions(), ["key.create", "key.create", "key.revoke"]);

    let said = place.does(&["restore", "backup.redb", "--replace"]);
    for words in ["2 API keys are good in it", "a key that was revoked since is good again", "revoke it again"] {
        assert!(said.contains(words), "{said}");
    }
    let rows = place.rows();
    assert_eq!(
        rows.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(),
        ["key.create", "key.create", "store.restore"]
    );
    let row = &rows[2];
    assert_eq!((&*row.actor, &*row.object, &*row.before), ("offline", "backup.redb", "what was there was replaced"));
    let year = said.split_once("as it was at ").unwrap().1.get(..19).unwrap();
    assert!(row.after.contains(year) && row.after.contains("2 API keys are good in it"), "{row:?}");
    assert!(!Path::new("/proc/self").exists() || row.after.contains("run by user "), "{row:?}");
    assert!(place.does(&["keys", "list"]).contains(&id), "it is good again");

    // Once it is revoked again, one is good; and a backup that is not there changes nothing.
    place.does(&["keys", "revoke", &id]);
    assert!(!place.tries(&["restore", "none.redb", "--replace"]).1);
    assert_eq!(place.actions().last().unwrap(), "key.revoke");
    place.does(&["backup", "later.redb"]);
    let said = place.does(&["restore", "later.redb", "--replace"]);
    assert!(said.contains("1 API key is good in it") && !said.contains("none of them works"), "{said}");

    // Without the key file it says so, lists what there is, and makes no file that would be taken for the right one.
    fs::rename(place.path("store.redb.key"), place.path("elsewhere")).unwrap();
    let said = place.does(&["restore", "later.redb", "--replace"]);
    assert!(said.contains("none of them works without the key file") && said.contains("store.redb.key"), "{said}");
    let listed = place.does(&["keys", "list"]);
    assert!(listed.contains("operator") && listed.contains("none of the keys works until"), "{listed}");
    let (said, is_done) = place.tries(&["keys", "create", "--role", "viewer"]);
    assert!(!is_done && said.contains("is not there") && said.contains("bring it back"), "{said}");
    assert!(!place.path("store.redb.key").exists());
}

#[test]
fn an_import_is_a_row_and_one_that_was_refused_is_none() {
    let place = place();
    let trace = "session_id,worker_id,kind,model,connected_at,disconnected_at\n\
        a,w1,stt,deepgram/nova-3,2026-01-01T00:00:01Z,2026-01-01T00:00:03Z\n\
        b,w1,stt,deepgram/nova-3,2026-01-01T00:00:02Z,2026-01-01T00:00:04Z\n";
    fs::write(place.path("calls.csv"), trace).unwrap();
    place.does(&["import", "calls.csv", "--project", "acme"]);
    let row = place.rows().remove(0);
    assert_eq!((&*row.actor, &*row.action, &*row.project), ("offline", "history.import", "acme"));
    assert_eq!((&*row.object, &*row.before), ("calls.csv", ""));
    let words = "2 sessions from 2026-01-01T00:00:01Z to 2026-01-01T00:00:04Z; adds to what is there";
    assert!(row.after.starts_with(words), "{row:?}");

    let (said, is_done) = place.tries(&["import", "calls.csv", "--project", "acme"]);
    assert!(!is_done && said.contains("use --replace"), "{said}");
    assert_eq!(place.actions(), ["history.import"]);
    place.does(&["import", "calls.csv", "--project", "acme", "--replace"]);
    let row = place.rows().pop().unwrap();
    assert!(row.after.contains("replaces history of that time"), "{row:?}");
    assert_eq!(place.rows().len(), 2);
    place.does(&["check"]);
}
