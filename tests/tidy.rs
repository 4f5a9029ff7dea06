//! The rules of the house that a program can check: layering, small rooms, no dead files, live links.
//!
//! It reads the repository's text and never runs the service. `ARCHITECTURE.md` gives the reasons.

#[path = "tidy/lexing.rs"]
mod lexing;
#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/source.rs"]
mod source;

use std::{collections::BTreeSet, fs, path::PathBuf};

use lexing::{markdown_links, names, tags};
use repository::{files_below, library_sources, relative, root, rust_files, sources_with_room, targets};
use rooms::{NOT_IN_CORE, ROOMS, Room};
use source::Source;

/// Longest Rust file, in lines. A ratchet: it may be lowered, never raised.
const MAX_LINES: usize = 400;

/// Words that say "later". In two halves, so that this file does not hold them itself.
const LATER: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

#[test]
fn core_knows_nothing_of_the_shell() {
    let mut problems = Vec::new();
    for (source, room) in sources_with_room() {
        for (line, name) in source.top_level_modules_named() {
            if Room::find(&name).is_some_and(|used| !room.may_use(used)) {
                problems.push(format!(
                    "{}:{line}: `{}` may not use `{name}`: dependencies point down the data's way. Pass what it needs as \
                     an argument, or move the shared noun to model; if the way itself changed, change ROOMS in \
                     tests/tidy/rooms.rs and ARCHITECTURE.md.",
                    source.name(),
                    room.name,
                ));
            }
        }
    }
    none(problems);
}

#[test]
fn core_is_plain_synchronous_code() {
    let mut problems = Vec::new();
    for (source, room) in sources_with_room() {
        for (name, instead) in NOT_IN_CORE.iter().filter(|_| room.core) {
            if let Some(line) = source.lines_naming(name).first() {
                problems.push(format!("{}:{line}: `{name}` in the core: {instead}.", source.name()));
            }
        }
    }
    none(problems);
}

#[test]
fn every_module_has_its_room_and_its_line_in_the_layout() {
    let library = Source::read(&root().join("src/lib.rs"));
    let modules: Vec<_> = library.declared_modules().into_iter().map(|module| module.name).collect();
    let mut problems = Vec::new();
    for module in &modules {
        if !ROOMS.iter().any(|room| room.name == *module) {
            problems.push(format!("src/{module}.rs: unknown to the layering: add it to ROOMS in tests/tidy/rooms.rs."));
        }
        if !library.text.contains(&format!("//! - [`{module}`]")) {
            problems.push(format!("src/lib.rs: add a line \"//! - [`{module}`]: ...\" to its # Layout."));
        }
    }
    let listed: Vec<_> =
        library.text.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split('`').next()).collect();
    let in_order: Vec<_> = ROOMS.iter().map(|room| room.name).filter(|name| listed.contains(name)).collect();
    if listed != in_order {
        problems.push(format!("src/lib.rs: the # Layout follows the data's way: {}.", in_order.join(", ")));
    }
    if library.code().lines().any(|line| !line.trim().is_empty() && !is_module_line(line)) {
        problems
            .push("src/lib.rs: holds its # Layout and `mod` lines, nothing else: move the rest to a module.".into());
    }
    none(problems);
}

fn is_module_line(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("#[") || line.starts_with("#![") || (line.ends_with(';') && line.contains("mod "))
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    none(rust_files().iter().map(|path| Source::read(path)).filter(|source| !source.text.starts_with("//! ")).map(
        |source| format!("{}: begin with a `//!` line: what it is for, and what it must never do.", source.name()),
    ));
}

#[test]
fn no_rust_file_is_longer_than_the_ratchet() {
    none(
        rust_files()
            .iter()
            .map(|path| Source::read(path))
            .filter(|source| source.text.lines().count() > MAX_LINES)
            .map(|source| {
                let lines = source.text.lines().count();
                format!(
                    "{}: {lines} lines, of {MAX_LINES} at most: two nouns share a room, give one its own.",
                    source.name()
                )
            }),
    );
}

#[test]
fn no_unwrap_outside_tests() {
    let mut problems = Vec::new();
    for source in library_sources() {
        for line in source.lines_naming(".unwrap()") {
            problems.push(format!(
                "{}:{line}: `.unwrap()`: return the error, or `.expect(\"why this cannot happen\")`.",
                source.name()
            ));
        }
    }
    none(problems);
}

#[test]
fn metrics_are_named_in_one_place() {
    let mut problems = Vec::new();
    for source in library_sources().iter().filter(|source| source.module_path() != ["metrics", "name"]) {
        for (line, name) in source.metrics_named() {
            problems.push(format!(
                "{}:{line}: `{name}` is the name of a metric: add it to src/metrics/name.rs, and use its variant.",
                source.name()
            ));
        }
    }
    none(problems);
}

#[test]
fn no_rust_file_is_dead() {
    let mut reached = BTreeSet::new();
    let mut problems = Vec::new();
    let mut to_visit: Vec<PathBuf> = targets().iter().map(|path| root().join(path)).collect();
    while let Some(path) = to_visit.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let is_root = targets().iter().any(|target| path == root().join(target));
        let source = Source::read(&path);
        for module in source.declared_modules() {
            match source.file_of(&module, is_root) {
                Some(file) => to_visit.push(file),
                None => problems.push(format!(
                    "{}:{}: `mod {};` has no file (a module is name.rs, with its parts in name/).",
                    source.name(),
                    module.line,
                    module.name,
                )),
            }
        }
    }
    for path in rust_files().into_iter().filter(|path| !path.starts_with(root().join("fuzz"))) {
        if !reached.contains(&path) {
            problems.push(format!(
                "{}: no `mod` line or target of Cargo.toml reaches it: declare it, or delete it.",
                relative(&path)
            ));
        }
    }
    none(problems);
}

#[test]
fn every_declared_file_exists() {
    let build = fs::read_to_string(root().join("build.rs")).expect("build.rs is beside Cargo.toml");
    let missing = targets().into_iter().filter(|path| !root().join(path).is_file());
    let mut problems: Vec<_> = missing.map(|path| format!("Cargo.toml: {path} does not exist.")).collect();
    let protos = root().join("proto");
    for path in files_below(&protos, &["proto"]) {
        let name = path.strip_prefix(&protos).expect("it was found below proto/").display().to_string();
        if !build.contains(&format!("\"{name}\"")) {
            problems.push(format!("proto/{name}: not compiled: add it to PROTOS in build.rs."));
        }
    }
    for name in build.split('"').filter(|part| part.ends_with(".proto")) {
        if !protos.join(name).is_file() {
            problems.push(format!("build.rs: PROTOS names {name}, which is not in proto/."));
        }
    }
    none(problems);
}

#[test]
fn nothing_is_left_for_later() {
    let mut problems = Vec::new();
    for path in files_below(&root(), &["rs", "proto", "py", "sh", "md", "toml", "yaml", "ts", "tsx", "Makefile"]) {
        let text = fs::read_to_string(&path).expect("a text file that was just listed can be read");
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = LATER.iter().find(|word| names(line, word)) {
                let line = number + 1;
                problems.push(format!("{}:{line}: {word}: do it now, or file an issue.", relative(&path)));
            }
        }
    }
    none(problems);
}

#[test]
fn nothing_is_inline_in_the_pages_index() {
    // Where there is no page yet there is nothing in it.
    let index = fs::read_to_string(root().join("web/index.html")).unwrap_or_default();
    let mut problems = Vec::new();
    for (line, tag) in tags(&index) {
        let name = tag.split_ascii_whitespace().next().unwrap_or_default();
        let attributes: Vec<_> =
            tag.split_ascii_whitespace().skip(1).filter_map(|part| part.split('=').next()).collect();
        let is_inline = name == "style"
            || name == "script" && !attributes.contains(&"src")
            || attributes.iter().any(|attribute| *attribute == "style" || attribute.starts_with("on"));
        if is_inline {
            problems.push(format!("web/index.html:{line}: <{tag}>: browsers refuse it: give it a file in web/src."));
        }
    }
    none(problems);
}

#[test]
fn every_local_link_of_the_docs_resolves() {
    let mut problems = Vec::new();
    for path in files_below(&root(), &["md"]) {
        let text = fs::read_to_string(&path).expect("a text file that was just listed can be read");
        for (line, link) in markdown_links(&text) {
            let file = link.split('#').next().expect("a split has a first part");
            let is_local = !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:");
            if is_local && !path.parent().expect("a file has a folder").join(file).exists() {
                problems.push(format!("{}:{line}: the link to {file} leads nowhere: mend it.", relative(&path)));
            }
        }
    }
    none(problems);
}

#[track_caller]
fn none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n\n{}\n", problems.join("\n"));
}
