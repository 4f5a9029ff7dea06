//! The repository's files, as far as the rules go through them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{rooms::Room, source::Source};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The roots of the package's targets, as Cargo.toml names them, and the build script.
pub fn targets() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the package has a Cargo.toml");
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
    paths.map(str::to_owned).chain(["build.rs".to_owned()]).collect()
}

pub fn rust_files() -> Vec<PathBuf> {
    files_below(&root(), &["rs"])
}

/// The files of the library and the binary, less those that are only compiled for tests.
pub fn library_sources() -> Vec<Source> {
    let all: Vec<_> = files_below(&root().join("src"), &["rs"]).iter().map(|path| Source::read(path)).collect();
    let mut for_tests = BTreeSet::new();
    for source in &all {
        for module in source.declared_modules().iter().filter(|module| module.for_tests) {
            for_tests.extend(source.file_of(module, source.is_crate_root()));
        }
    }
    all.into_iter().filter(|source| !for_tests.contains(&source.path)).collect()
}

/// The same, each with the room of the module at the top of its path; `src/lib.rs` has none.
pub fn sources_with_room() -> Vec<(Source, &'static Room)> {
    let with_room = |source: Source| {
        let room = Room::find(source.module_path().first()?)?;
        Some((source, room))
    };
    library_sources().into_iter().filter_map(with_room).collect()
}

/// All files below a folder with one of the extensions (or names), sorted, less what is built or fetched.
pub fn files_below(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("a folder of the repository can be listed").path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir()
            && !name.starts_with('.')
            && !["target", "build", "dist", "node_modules", "artifacts", "corpus"].contains(&name)
        {
            found.extend(files_below(&path, extensions));
        } else if extensions.contains(&name.rsplit('.').next().unwrap_or_default()) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}
