//! The files that a configuration names: they are to be there, and what they are for.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    config::{Config, Mistake, Origin},
    model::{
        catalogue::{Catalogue, CatalogueError},
        plan::{PlanError, Plans},
    },
};

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} can't be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Catalogue { path: PathBuf, error: CatalogueError },
    #[error("{}: {error}", path.display())]
    Plan { path: PathBuf, error: PlanError },
}

/// The built-in catalogue with what a file adds.
///
/// # Errors
/// When the file can't be read, or has mistakes: all of them.
pub fn catalogue(extra: Option<&Path>) -> Result<Catalogue, FileError> {
    let builtin = Catalogue::builtin();
    let Some(path) = extra else { return Ok(builtin) };
    builtin.with_extra(&read(path)?).map_err(|error| FileError::Catalogue { path: path.to_owned(), error })
}

/// The built-in plans with those of a folder.
///
/// # Errors
/// When the folder or a file of it can't be read, or a file has mistakes.
pub fn plans(folder: Option<&Path>) -> Result<Plans, FileError> {
    let mut plans = Plans::builtin();
    let Some(folder) = folder else { return Ok(plans) };
    let failed = |error| FileError::Unreadable { path: folder.to_owned(), error };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
        if let Err(error) = plans.add(&read(&path)?) {
            return Err(FileError::Plan { path, error });
        }
    }
    Ok(plans)
}

fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|error| FileError::Unreadable { path: path.to_owned(), error })
}

/// Whether there is a file whose first byte can be read.
fn readable(path: &Path) -> Result<(), FileError> {
    let first = File::open(path).and_then(|mut file| file.read(&mut [0]));
    first.map(drop).map_err(|error| FileError::Unreadable { path: path.to_owned(), error })
}

/// What is wrong with the files that a configuration names.
pub(super) fn mistakes(config: &Config) -> Vec<Mistake> {
    let files = [
        ("tls.certificate", &config.tls.certificate),
        ("tls.key", &config.tls.key),
        ("tls.client_ca", &config.tls.client_ca),
        ("redis.password_file", &config.redis.password_file),
        ("redis.ca_file", &config.redis.ca_file),
    ];
    let files = files.map(|(key, path)| (key, path.as_deref().map_or(Ok(()), readable)));
    // What is built in is right, and is read when the service starts: its start is not to wait for it twice.
    let read = [
        ("catalogue", config.catalogue.as_deref().map_or(Ok(()), |path| catalogue(Some(path)).map(drop))),
        ("plans", config.plans.as_deref().map_or(Ok(()), |path| plans(Some(path)).map(drop))),
    ];
    let wrong = read.into_iter().chain(files).filter_map(|(key, found)| Some((key, found.err()?)));
    wrong
        .map(|(key, error)| {
            let given = config.effective.iter().find(|effective| effective.setting.key == key);
            let origin = given.map_or(Origin::Default, |given| given.origin.clone());
            Mistake { origin, key: key.to_owned(), problem: error.to_string() }
        })
        .collect()
}
