//! The key file: 32 random bytes that what is kept of credentials is protected with.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroize as _;

use crate::{
    access::{Secret, vault::MASTER_BYTES},
    config::StorePlace,
};

/// What the name of a store's own key file ends with.
const ENDING: &str = "key";
/// Longest key file, in bytes: hex with white space around it.
const MAX_FILE_BYTES: u64 = 256;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("the key file {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the key file {}: {MASTER_BYTES} bytes are needed, as 64 hex digits or 44 letters of base64", .0.display())]
    Form(PathBuf),
    #[error("the key file {}: others may read it; `chmod 600` it", .0.display())]
    Open(PathBuf),
}

/// Where a store's own key file is: beside it. A Redis has none: the key would be where what it protects is.
pub fn beside(store: &StorePlace) -> Option<PathBuf> {
    let StorePlace::File(path) = store else { return None };
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ENDING);
    Some(name.into())
}

/// The key of a file, which is made when it is not there.
///
/// # Errors
/// When it can't be read or made, is no key, or others may read it.
pub fn read_or_make(path: &Path) -> Result<Secret<[u8; MASTER_BYTES]>, KeyFileError> {
    match fs::metadata(path) {
        Ok(_) => read(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(KeyFileError::Io { path: path.to_owned(), error }),
    }
}

/// Whether a key file that is there can be used; one that is not there is made.
///
/// # Errors
/// When it can't be read, is no key, or others may read it.
pub fn check(path: &Path) -> Result<(), KeyFileError> {
    if path.exists() { read(path).map(drop) } else { Ok(()) }
}

fn read(path: &Path) -> Result<Secret<[u8; MASTER_BYTES]>, KeyFileError> {
    let failed = |error| KeyFileError::Io { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(failed)?;
    // A secret that an orchestrator mounts belongs to a group at times; the world is nobody's group.
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(KeyFileError::Form(path.to_owned()));
    }
    let text = Secret::new(fs::read_to_string(path).map_err(failed)?);
    parse(text.expose().trim()).ok_or_else(|| KeyFileError::Form(path.to_owned()))
}

fn parse(text: &str) -> Option<Secret<[u8; MASTER_BYTES]>> {
    let mut bytes = match text.len() == 2 * MASTER_BYTES {
        true => {
            let pairs = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
            pairs.collect::<Option<Vec<u8>>>()?
        }
        false => STANDARD.decode(text).ok()?,
    };
    let master = bytes.as_slice().try_into().ok().map(Secret::new);
    bytes.zeroize();
    master
}

fn make(path: &Path) -> Result<Secret<[u8; MASTER_BYTES]>, KeyFileError> {
    let failed = |error| KeyFileError::Io { path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let master = Secret::new(super::random::<MASTER_BYTES>());
    let text = Secret::new(master.expose().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    // Made under another name first, so that it is whole or not there.
    let mut made = path.as_os_str().to_owned();
    made.push(".new");
    let made = PathBuf::from(made);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&made)?;
        writeln!(file, "{}", text.expose())?;
        file.sync_all()?;
        // Never over a key that another process has made meanwhile: that would be the end of what is kept under it.
        fs::hard_link(&made, path)?;
        fs::remove_file(&made)?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    match write() {
        Ok(()) => Ok(master),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = beside(&StorePlace::File(dir.path().join("new/store.redb"))).unwrap();
        assert!(path.ends_with("new/store.redb.key"));
        let made = read_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_make(&path).unwrap().expose(), made.expose());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn keys_are_hex_or_base64() {
        let bytes: [u8; MASTER_BYTES] = std::array::from_fn(|at| at as u8);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(parse(&hex).unwrap().expose(), &bytes);
        assert_eq!(parse(&STANDARD.encode(bytes)).unwrap().expose(), &bytes);
        for wrong in ["", "00", &"zz".repeat(32), &"é".repeat(32), &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])]
        {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
